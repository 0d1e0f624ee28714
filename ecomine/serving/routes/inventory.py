"""What to order."""

from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field, model_validator

from ecomine.inventory.law import QUANTILES
from ecomine.inventory.policy import restock
from ecomine.inventory.replenishment import LONGEST_COVER
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.desk import Desk, Plain, Question
from ecomine.serving.errors import PROBLEMS, BadRequestError, Problem
from ecomine.serving.moment import Moment
from ecomine.serving.published import Published
from ecomine.serving.seat import Answers
from ecomine.serving.split import Split

Units = Annotated[float, Field(ge=0, le=1e9)]

ASKED: dict[str, Any] = {
    "items": [{"item_id": "1082185"}, {"item_id": "995242", "location_id": "all", "on_hand": 12, "on_order": 0}],
    "skip_unknown": True,
}
ANSWERED: dict[str, Any] = {
    "model": "3f0c9a7d1e42b6a85c1d",
    "as_of": "2017-12-31T23:59:59Z",
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

KEYS = ["item_id", "location_id"]
TOLD_BETTER = ("on_hand", "on_order", "lead_days")

TOLD = 20
"""Unknown items named in an error at most."""


class Item(BaseModel):
    """An item, at one place or at all where it is known, and what the caller knows better than the shop's tables."""

    model_config = {"extra": "forbid"}

    item_id: str = Field(min_length=1, max_length=200, description="the product", examples=["1082185"])
    location_id: str | None = Field(None, min_length=1, max_length=200, description="the place; all of them without")
    on_hand: Units | None = Field(None, description="units in stock now, where the last count is older")
    on_order: Units | None = Field(None, description="units ordered and not there yet")
    lead_days: float | None = Field(None, ge=1, le=365, description="days from an order to its delivery")


class Shelves(BaseModel):
    """What to restock."""

    model_config = {"extra": "forbid", "json_schema_extra": {"examples": [ASKED]}}

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
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")
    unknown: dict[str, str] = Field(description="items without an answer, and why")
    models: dict[str, str] = Field(
        default_factory=dict, description="item_id → version, of those that a canary answered for beside `model`"
    )
    items: list[Order]


def router(desk: Desk) -> APIRouter:
    """The routes of inventory."""
    unknown: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "An item is not known"}}
    routes = APIRouter(prefix="/v1/replenishment", tags=["inventory"], responses={**PROBLEMS, **unknown})

    @routes.post("", summary="What to order now", response_model=Orders)
    async def several(shelves: Shelves) -> Response:
        """What to order now of each of up to 1,000 items, by place, with the demand it rests on and its reason.

        404 where an item, or an item at a place, is not known, unless `skip_unknown`.
        """
        asked = shelves.model_dump(exclude_unset=True)
        if len(shelves.items) == 1:
            return await desk.reply("orders", shelves.items[0].item_id, shelves=asked)
        return await desk.reply_each("orders", Split.of_items("shelves", asked), shelves=asked)

    return routes


def orders(answers: Answers, catalogue: Catalogue, shelves: dict[str, Any]) -> Orders:
    """Decisions for the items of a request, `Shelves`, all from one version."""
    asked, model = Shelves.model_validate(shelves), answers.model
    rows, unknown = _matched(asked, model.requests()[KEYS], "it did not sell enough lately to be forecast")
    found: list[Order] = []
    if len(rows):
        frame = answers.read(model.requests(rows[KEYS]))
        params = answers.bundle.params
        decisions = answers.mind(restock(model, model.situation(frame, params, rows[[*KEYS, *TOLD_BETTER]]), params))
        found = _told(rows[KEYS].merge(decisions, on=KEYS, how="inner"))
    return Orders(model=answers.bundle.digest, as_of=answers.bundle.as_of, unknown=unknown, items=found)


def published_orders(published: Published, catalogue: Catalogue, shelves: dict[str, Any]) -> Orders:
    """Orders published last; stock that the request tells is held against their levels, another lead time is not."""
    frame = published.frame
    rows, unknown = _matched(Shelves.model_validate(shelves), frame[KEYS], "no order was published for it")
    told = _by_levels(rows.merge(frame, on=KEYS, how="inner", suffixes=("_told", "")))
    return Orders(model=published.digest, as_of=published.as_of, unknown=unknown, items=_told(told))


def _by_levels(rows: pd.DataFrame) -> pd.DataFrame:
    """Published decisions, those of series whose stock is told by reorder point and level alone."""
    told = rows["on_hand_told"].notna().to_numpy() | (rows["on_order_told"].notna() & rows["stock_known"]).to_numpy()
    on_hand, on_order = (rows[f"{name}_told"].fillna(rows[name]).to_numpy(float) for name in ("on_hand", "on_order"))
    due = on_hand + on_order <= rows["reorder_point"].to_numpy(float)
    units = np.where(due, np.ceil(np.maximum(rows["order_up_to"].to_numpy(float) - on_hand - on_order, 0.0)), 0.0)
    cover = on_hand / np.maximum(rows["mean"].to_numpy(float) / rows["days"].to_numpy(float), 1e-9)
    fresh = {
        "on_hand": on_hand,
        "on_order": on_order,
        "order_now": units,
        "cover_days": np.minimum(cover, LONGEST_COVER),
        "stock_known": True,
        "stock_out_date": "unknown",
        "alert": "",
        "about_to_run_out": on_hand <= 0,
        "stock_to_clear": False,
        "reason": "by the levels published last: nothing more can be computed at this moment",
    }
    return rows.assign(**{name: np.where(told, values, rows[name]) for name, values in fresh.items()})


def _matched(shelves: Shelves, known: pd.DataFrame, why: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """The known series that are asked about, in order, with what is told of them; and what is not known, and why.

    Raises BadRequestError for what is named twice or told of no place, a 404 for the unknown unless it may be skipped.
    """
    said = pd.DataFrame([item.model_dump() for item in shelves.items]).astype(dict.fromkeys(TOLD_BETTER, float))
    asked = said.assign(_place=np.arange(len(said)))
    everywhere = asked["location_id"].isna()
    rows = pd.concat(
        [
            asked[~everywhere].merge(known, on=KEYS, how="inner"),
            asked[everywhere].drop(columns="location_id").merge(known, on="item_id", how="inner"),
        ],
        ignore_index=True,
    ).sort_values(["_place", "location_id"], ignore_index=True)
    if asked.duplicated(KEYS).any() or rows.duplicated(KEYS).any():
        raise BadRequestError("items names an item and place twice.", "Name each of them once.")
    _refuse_stock_of_many(rows)
    missing, there = asked[~asked["_place"].isin(rows["_place"])], set(known["item_id"])
    unknown = {
        item if pd.isna(place) else f"{item} at {place}": "not there" if item in there else why
        for item, place in missing[KEYS].to_numpy()
    }
    if unknown and not shelves.skip_unknown:
        told = "; ".join(f"{name}: {why}" for name, why in list(unknown.items())[:TOLD])
        more = f"; and {len(unknown) - TOLD} more" if len(unknown) > TOLD else ""
        raise HTTPException(404, f"No order can be told for {told}{more}. With skip_unknown the others are answered.")
    return rows, unknown


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

PLAIN: dict[str, Plain] = {"orders": published_orders}
