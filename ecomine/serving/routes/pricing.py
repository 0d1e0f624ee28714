"""What to charge."""

import dataclasses
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field, model_validator

from ecomine.pricing.panel import RIVAL
from ecomine.pricing.policies import Known
from ecomine.pricing.policy import items_of, suggest
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.desk import Desk, Plain, Question
from ecomine.serving.errors import PROBLEMS, BadRequestError, Problem
from ecomine.serving.moment import Moment
from ecomine.serving.published import Published
from ecomine.serving.seat import Answers
from ecomine.serving.split import Split

Money = Annotated[float, Field(ge=1e-4, le=1e9)]

ASKED: dict[str, Any] = {
    "items": [{"item_id": "1082185"}, {"item_id": "995242", "price": 1.89, "unit_cost": 1.1, "highest_price": 1.99}],
    "context": {"caution": 1.0},
}
ANSWERED: dict[str, Any] = {
    "model": "3f0c9a7d1e42b6a85c1d",
    "as_of": "2017-12-31T23:59:59Z",
    "unknown": {},
    "items": [
        {
            "item_id": "1082185",
            "price": 1.0,
            "suggested_price": 1.2,
            "change": 0.2,
            "elasticity": {"value": -0.27, "low": -0.86, "high": -0.05, "source": "item"},
            "units": 385.8,
            "expected_change": {"units": -18.4, "revenue": 55.1, "margin": 67.9},
            "objective": "margin",
            "binding_rule": "greatest change",
            "reason": "raised by 20.0 %: held by greatest change; elasticity -0.27 (-0.86 to -0.05)",
        }
    ],
}

TOLD = 20
"""Unknown items named in an error at most."""


class Item(BaseModel):
    """A product to price, and what is known of it that the shop's tables do not say."""

    model_config = {"extra": "forbid"}

    item_id: str = Field(min_length=1, max_length=200, description="the product", examples=["1082185"])
    price: Money | None = Field(None, description="what it costs now, where that is not the last list price")
    unit_cost: float | None = Field(None, ge=0, le=1e9, description="what the shop pays for a unit")
    competitor_price: Money | None = Field(None, description="what a rival asks")
    lowest_price: Money | None = Field(None, description="least price")
    highest_price: Money | None = Field(None, description="greatest price")
    stock: float | None = Field(None, ge=0, le=1e9, description="units to sell until the end of `clear_weeks`")
    clear_weeks: float | None = Field(None, ge=0.1, le=520, description="weeks within which `stock` must be sold")

    @model_validator(mode="after")
    def both(self) -> Self:
        """Stock to clear needs both numbers, and bounds their order."""
        if (self.stock is None) != (self.clear_weeks is None):
            raise ValueError("stock and clear_weeks belong together; give both or none")
        if self.lowest_price and self.highest_price and self.lowest_price > self.highest_price:
            raise ValueError("lowest_price is above highest_price")
        return self


class Context(BaseModel):
    """How to price this time; what is left out is as in the deployed version's settings."""

    model_config = {"extra": "forbid"}

    caution: float | None = Field(None, ge=0, le=1, description="1: sure over the whole interval; 0: the best guess")
    margin_weight: float | None = Field(None, ge=0, le=1, description="1 for margin, 0 for revenue, between for a mix")
    greatest_change: float | None = Field(None, ge=1e-4, le=10, description="share by which a price may change")


class Basket(BaseModel):
    """Products to price."""

    model_config = {"extra": "forbid", "json_schema_extra": {"examples": [ASKED]}}

    items: list[Item] = Field(min_length=1, max_length=1000, description="the products; each once")
    context: Context = Field(default_factory=lambda: Context.model_validate({}))
    skip_unknown: bool = Field(False, description="answer for the others where a product is not known")


class Elasticity(BaseModel):
    """Change of units in percent by one percent of price."""

    value: float
    low: float
    high: float
    source: str = Field(description="item, or category where the item's own data cannot tell")


class Price(BaseModel):
    """A suggested price and its reason."""

    item_id: str
    price: float = Field(description="what it costs now")
    suggested_price: float
    change: float = Field(description="share")
    elasticity: Elasticity
    units: float = Field(description="expected in the coming week at the present price")
    expected_change: dict[str, float] = Field(description="of units, revenue and margin, in a week")
    objective: str = Field(description="margin; revenue where no cost is known; or margin with an assumed cost")
    binding_rule: str = Field(description="the rule that holds the price, or none")
    reason: str


class Prices(BaseModel):
    """A price for each product, in the order asked for."""

    model_config = {"json_schema_extra": {"examples": [ANSWERED]}}

    model: str = Field(description="digest of the version that answered")
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")
    unknown: dict[str, str] = Field(description="products without a price, and why")
    models: dict[str, str] = Field(
        default_factory=dict, description="item_id → version, of those that a canary answered for beside `model`"
    )
    items: list[Price]


def router(desk: Desk) -> APIRouter:
    """The routes of pricing."""
    unknown: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "A product is not known"}}
    routes = APIRouter(prefix="/v1/prices", tags=["pricing"], responses={**PROBLEMS, **unknown})

    @routes.post("", summary="Prices for products", response_model=Prices)
    async def several(basket: Basket) -> Response:
        """The best price of each of up to 1,000 products under the rules, in the order asked for, with its reason.

        404 where a product is not known, unless `skip_unknown`.
        """
        asked = basket.model_dump(exclude_unset=True)
        if len(basket.items) == 1:
            return await desk.reply("prices", basket.items[0].item_id, basket=asked)
        return await desk.reply_each("prices", Split.of_items("basket", asked), basket=asked)

    return routes


def prices(answers: Answers, catalogue: Catalogue, basket: dict[str, Any]) -> Prices:
    """Decisions for the distinct products of a request, a `Basket`, all from one version."""
    return _prices(answers, Basket.model_validate(basket))


def _prices(answers: Answers, basket: Basket) -> Prices:
    wanted = [item.item_id for item in basket.items]
    if len(set(wanted)) < len(wanted):
        raise BadRequestError("items names a product twice.", "Name each product once.")
    model = answers.model
    frame = answers.requests(pd.DataFrame({"item_id": wanted}))
    known, learnt = set(frame["item_id"]), set(model.told["item_id"])
    unknown = {
        item: "it was not sold lately" if item in learnt else "it never sold enough to learn from"
        for item in wanted
        if item not in known
    }
    if unknown and not basket.skip_unknown:
        named = "; ".join(f"{item}: {why}" for item, why in list(unknown.items())[:TOLD])
        more = f"; and {len(unknown) - TOLD} more" if len(unknown) > TOLD else ""
        raise HTTPException(404, f"No price can be told for {named}{more}. With skip_unknown the others are answered.")
    found: dict[str, Price] = {}
    if known:
        ahead = model.ahead(frame)
        items = _informed(items_of(model, ahead), basket)
        params = _params(answers.bundle.params, basket.context)
        found = _told(answers.mind(suggest(items, Known(params, model.demand, ahead.rows))))
    return Prices(
        model=answers.bundle.digest,
        as_of=answers.bundle.as_of,
        unknown=unknown,
        items=[found[item] for item in wanted if item in found],
    )


def _informed(items: pd.DataFrame, basket: Basket) -> pd.DataFrame:
    """Items with what the request knows of them; units follow a present price that differs."""
    columns = [name for name in Item.model_fields if name != "item_id"]
    said = pd.DataFrame([item.model_dump() for item in basket.items]).set_index("item_id")[columns].astype(float)
    said = said.reindex(items["item_id"]).reset_index(drop=True)
    price = said["price"].fillna(items["price"])
    ratio = np.log(price.to_numpy(float) / items["price"].to_numpy(float))
    items = items.assign(
        price=price,
        units=items["units"] * np.exp(items["elasticity"] * ratio),
        unit_cost=said["unit_cost"].fillna(items["unit_cost"]),
    )
    for name, column in ((RIVAL, "competitor_price"), ("lowest_price",) * 2, ("highest_price",) * 2):
        if said[column].notna().any():
            items[name] = said[column].fillna(items[name]) if name in items else said[column]
    if said["clear_weeks"].notna().any():
        items = items.assign(stock=said["stock"], clear_periods=said["clear_weeks"])
    return items


def _params(params: Any, context: Context) -> Any:
    given = {name: value for name, value in context.model_dump().items() if value is not None}
    rules, optimiser = params.optimiser.rules, params.optimiser
    if "greatest_change" in given:
        rules = dataclasses.replace(rules, greatest_change=given["greatest_change"])
    optimiser = dataclasses.replace(
        optimiser, rules=rules, margin_weight=given.get("margin_weight", optimiser.margin_weight)
    )
    return dataclasses.replace(params, optimiser=optimiser, caution=given.get("caution", params.caution))


def _told(decisions: pd.DataFrame) -> dict[str, Price]:
    return {
        row["item_id"]: Price(
            elasticity=Elasticity(
                value=row["elasticity"], low=row["elasticity_low"], high=row["elasticity_high"],
                source=row["elasticity_source"],
            ),
            expected_change={name: row[f"{name}_change"] for name in ("units", "revenue", "margin")},
            **{
                name: row[name]
                for name in (
                    "item_id", "price", "suggested_price", "change", "units", "objective", "binding_rule", "reason"
                )
            },
        )
        for row in decisions.to_dict("records")
    }  # fmt: skip


def published_prices(published: Published, catalogue: Catalogue, basket: dict[str, Any]) -> Prices:
    """Prices published last; a product of which the request says more than its name keeps its price."""
    asked = Basket.model_validate(basket)
    wanted = [item.item_id for item in asked.items]
    if len(set(wanted)) < len(wanted):
        raise BadRequestError("items names a product twice.", "Name each product once.")
    rows = published.frame[published.frame["item_id"].isin(wanted)].copy()
    known = set(rows["item_id"])
    unknown = {item: "no price was published for it" for item in wanted if item not in known}
    if unknown and not asked.skip_unknown:
        raise HTTPException(404, f"No price can be told for {', '.join(list(unknown)[:TOLD])}.")
    more = {item.item_id: item.price for item in asked.items if item.model_fields_set - {"item_id"}}
    kept = rows["item_id"].isin(more)
    price = rows["item_id"].map(more).astype(float).fillna(rows["price"])
    changes = [name for name in rows if name.endswith("_change") or name == "change"]
    rows.loc[kept, changes] = 0.0
    rows.loc[kept, "reason"] = "kept: a new price cannot be computed at this moment"
    rows.loc[kept, "binding_rule"] = "none"
    rows = rows.assign(price=price, suggested_price=rows["suggested_price"].mask(kept, price))
    found = _told(rows)
    items = [found[item] for item in wanted if item in found]
    return Prices(model=published.digest, as_of=published.as_of, unknown=unknown, items=items)


QUESTIONS: dict[str, Question] = {"prices": prices}

PLAIN: dict[str, Plain] = {"prices": published_prices}
