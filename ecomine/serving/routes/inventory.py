"""What to order."""

from datetime import datetime
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field, model_validator

from ecomine.inventory.law import QUANTILES
from ecomine.inventory.policy import restock
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.champion import Answers
from ecomine.serving.desk import Desk, Question
from ecomine.serving.errors import PROBLEMS, BadRequestError, Problem

Units = Annotated[float, Field(ge=0, le=1e9)]

ASKED: dict[str, Any] = {
    "items": [{"item_id": "1082185"}, {"item_id": "995242", "location_id": "all", "on_hand": 12, "on_order": 0}],
    "skip_unknown": True,
}
ANSWERED: dict[str, Any] = {
    "model": "3f0c9a7d1e42b6a85c1d",
    "as_of": "2017-12-31T23:59:59",
    "unknown": {},
    "items": [
        {
            "item_id": "995242",
            "location_id": "all",
            "order_now": 46.0,
            "order_up_to": 58.0,
            "reorder_point": 41.0,
            "order_quantity": 17.0,
            "stock": {
                "known": True,
                "on_hand": 12.0,
                "on_order": 0.0,
                "cover_days": 3.1,
                "stock_out_date": "2018-01-04",
            },
            "demand": {
                "days": 7.0,
                "mean": 27.0,
                "quantiles": {"0.05": 15, "0.1": 17, "0.25": 22, "0.5": 27, "0.75": 32, "0.9": 37, "0.95": 41},
            },
            "about_to_run_out": False,
            "stock_to_clear": False,
            "alert": "stock-out to come",
            "reason": "12 in stock and on order, reorder point 41: would not last until the next delivery",
        }
    ],
}

TOLD = 20
"""Unknown items named in an error at most."""


class Item(BaseModel):
    """An item, at one place or at all where it is known, and what the caller knows better than the shop's tables."""

    item_id: str = Field(min_length=1, max_length=200, description="the product", examples=["1082185"])
    location_id: str | None = Field(None, min_length=1, max_length=200, description="the place; all of them without")
    on_hand: Units | None = Field(None, description="units in stock now, where the last count is older")
    on_order: Units | None = Field(None, description="units ordered and not there yet")
    lead_days: float | None = Field(None, ge=1, le=365, description="days from an order to its delivery")


class Shelves(BaseModel):
    """What to restock."""

    model_config = {"json_schema_extra": {"examples": [ASKED]}}

    items: list[Item] = Field(min_length=1, max_length=1000, description="each item and place once")
    skip_unknown: bool = Field(False, description="answer for the others where an item is not known")

    @model_validator(mode="after")
    def once(self) -> Self:
        """What is said of the stock of an item must be said of one place."""
        for item in self.items:
            if item.location_id is None and (item.on_hand is not None or item.on_order is not None):
                same = [other for other in self.items if other.item_id == item.item_id]
                if len(same) > 1:
                    raise ValueError(
                        f"{item.item_id} is named several times, once with stock but without a location_id"
                    )
        return self


class Stock(BaseModel):
    """What is there, and how long it lasts."""

    known: bool = Field(description="false where the shop records no stock and the request told none")
    on_hand: float
    on_order: float
    cover_days: float = Field(description="days that what is on hand is expected to last")
    stock_out_date: str = Field(description="ISO date, `not expected`, or `unknown`")


class Demand(BaseModel):
    """Demand over the days that an order of now must last."""

    days: float
    mean: float
    quantiles: dict[str, float] = Field(description="probability → units that demand does not exceed with it")


class Order(BaseModel):
    """An item at a place: what to order now, and why."""

    item_id: str
    location_id: str
    order_now: float = Field(description="units; 0 where nothing is due or stock is not known")
    order_up_to: float = Field(description="units on hand and on order after an order")
    reorder_point: float = Field(description="units on hand and on order at which an order is due")
    order_quantity: float = Field(description="units of an order that is due at the reorder point")
    stock: Stock
    demand: Demand
    about_to_run_out: bool
    stock_to_clear: bool
    alert: str = Field(description="empty, `stock-out to come` or `dead stock`")
    reason: str


class Orders(BaseModel):
    """An order for each item and place, in the order asked for."""

    model_config = {"json_schema_extra": {"examples": [ANSWERED]}}

    model: str = Field(description="digest of the version that answered")
    as_of: datetime = Field(description="the model has seen the shop up to this moment (UTC)")
    unknown: dict[str, str] = Field(description="items without an answer, and why")
    items: list[Order]


def router(desk: Desk) -> APIRouter:
    """The routes of inventory."""
    unknown: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "An item is not known"}}
    routes = APIRouter(prefix="/v1/replenishment", tags=["inventory"], responses={**PROBLEMS, **unknown})

    @routes.post("", summary="What to order now")
    def several(shelves: Shelves, response: Response) -> Orders:
        """What to order now of each of up to 1,000 items, by place, with the demand it rests on and its reason.

        404 where an item, or an item at a place, is not known, unless `skip_unknown`.
        """
        return desk.answer(Orders, response, "orders", shelves=shelves.model_dump())

    return routes


def orders(answers: Answers, catalogue: Catalogue, shelves: dict[str, Any]) -> Orders:
    """Decisions for the items of a request, `Shelves`, all from one version."""
    return _orders(answers, Shelves.model_validate(shelves))


def _orders(answers: Answers, shelves: Shelves) -> Orders:
    said = pd.DataFrame([item.model_dump() for item in shelves.items])
    model = answers.model
    known = model.requests(said[["item_id"]])[["item_id", "location_id"]]
    asked = said.assign(_place=np.arange(len(said)))
    everywhere = asked["location_id"].isna()
    rows = pd.concat(
        [
            asked[~everywhere].merge(known, on=["item_id", "location_id"], how="inner"),
            asked[everywhere].drop(columns="location_id").merge(known, on="item_id", how="inner"),
        ],
        ignore_index=True,
    ).sort_values(["_place", "location_id"], ignore_index=True)
    if rows.duplicated(["item_id", "location_id"]).any():
        raise BadRequestError("items names an item and place twice.", "Name each of them once.")
    _refuse_stock_of_many(rows)
    missing = asked[~asked["_place"].isin(rows["_place"])]
    unknown = {_named(item, place): _why(item, known) for item, place in missing[["item_id", "location_id"]].to_numpy()}
    if unknown and not shelves.skip_unknown:
        told = "; ".join(f"{name}: {why}" for name, why in list(unknown.items())[:TOLD])
        more = f"; and {len(unknown) - TOLD} more" if len(unknown) > TOLD else ""
        raise HTTPException(404, f"No order can be told for {told}{more}. With skip_unknown the others are answered.")
    found: list[Order] = []
    if len(rows):
        stock = rows[["item_id", "location_id", "on_hand", "on_order", "lead_days"]].astype(
            {"on_hand": float, "on_order": float, "lead_days": float}
        )
        frame = answers.read(model.requests(rows[["item_id", "location_id"]]))
        params = answers.bundle.params
        decisions = answers.mind(restock(model, model.situation(frame, params, stock), params))
        found = _told(rows[["item_id", "location_id"]].merge(decisions, on=["item_id", "location_id"], how="inner"))
    return Orders(model=answers.bundle.digest, as_of=answers.bundle.as_of, unknown=unknown, items=found)


def _refuse_stock_of_many(rows: pd.DataFrame) -> None:
    """Raises BadRequestError where a request tells the stock of an item that lies at several places."""
    told = rows["on_hand"].notna() | rows["on_order"].notna()
    several = rows[told].groupby("_place")["item_id"].agg(["first", "size"])
    several = several[several["size"] > 1]
    if len(several):
        item, places = several.iloc[0]
        raise BadRequestError(
            f"{item} lies at {places} places, and the stock that is told of it at none of them.",
            "Name a location_id with on_hand and on_order.",
        )


def _named(item: str, place: str | None) -> str:
    return item if place is None or pd.isna(place) else f"{item} at {place}"


def _why(item: str, known: pd.DataFrame) -> str:
    return "not there" if (known["item_id"] == item).any() else "it did not sell enough lately to be forecast"


def _told(decisions: pd.DataFrame) -> list[Order]:
    return [
        Order(
            stock=Stock(
                known=row["stock_known"],
                **{name: row[name] for name in ("on_hand", "on_order", "cover_days", "stock_out_date")},
            ),
            demand=Demand(
                days=row["days"], mean=row["mean"], quantiles={name.removeprefix("q"): row[name] for name in QUANTILES}
            ),
            **{
                name: row[name]
                for name in (
                    "item_id", "location_id", "order_now", "order_up_to", "reorder_point", "order_quantity",
                    "about_to_run_out", "stock_to_clear", "alert", "reason",
                )
            },
        )
        for row in decisions.to_dict("records")
    ]  # fmt: skip


QUESTIONS: dict[str, Question] = {"orders": orders}
