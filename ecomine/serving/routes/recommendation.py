"""What to show to a customer."""

from datetime import datetime
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from ecomine.serving.catalogue import Catalogue
from ecomine.serving.champion import Answers, Champion
from ecomine.serving.errors import PROBLEMS, BadRequestError

UserId = Annotated[str, Field(min_length=1, max_length=200, description="the customer", examples=["1"])]
Length = Annotated[int, Field(ge=1, le=1000, description="products wanted, at most as many as the model decides on")]

EXAMPLE: dict[str, Any] = {
    "user_id": "1",
    "known": True,
    "model": "3f0c9a7d1e42b6a85c1d",
    "as_of": "2017-12-31T23:59:59",
    "items": [
        {
            "rank": 1,
            "item_id": "1082185",
            "score": 0.81,
            "propensity": 0.95,
            "reason": "bought before",
            "title": "BANANAS",
            "category": "PRODUCE > TROPICAL FRUIT",
        }
    ],
}


class Item(BaseModel):
    """A product to show."""

    rank: int = Field(description="place on the list, from 1")
    item_id: str
    score: float = Field(description="what the model thinks of it; higher is better, comparable within one list")
    propensity: float = Field(
        description="probability with which it got its place: log it with what was shown, to judge other policies"
    )
    reason: str = Field(description="why it is on the list")
    title: str | None = Field(None, description="name of the product, where the shop's tables hold one")
    category: str | None = Field(None, description="path, broad to narrow")


class Recommendation(BaseModel):
    """Products for one customer, best first."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    user_id: str
    known: bool = Field(description="whether the customer has a history; others are shown what is popular")
    model: str = Field(description="digest of the version that answered")
    as_of: datetime = Field(description="the model has seen the shop up to this moment (UTC)")
    items: list[Item]


class Batch(BaseModel):
    """Several customers at once."""

    model_config = {"json_schema_extra": {"examples": [{"user_ids": ["1", "2"], "k": 10}]}}

    user_ids: list[UserId] = Field(min_length=1, max_length=1000, description="the customers; each once")
    k: Length = 20


class Recommendations(BaseModel):
    """One entry a customer, in the order asked for."""

    results: list[Recommendation]


def router(champion: Champion, catalogue: Catalogue) -> APIRouter:
    """The routes of recommendation."""
    routes = APIRouter(prefix="/v1/recommendations", tags=["recommendation"], responses=PROBLEMS)

    @routes.get("/{user_id:path}", summary="Products for one customer")
    def one(
        user_id: Annotated[str, Path(min_length=1, max_length=200, description="the customer", examples=["1"])],
        k: Annotated[int, Query(ge=1, le=1000, description="products wanted", examples=[10])] = 20,
    ) -> Recommendation:
        """The best products for a customer; somebody unknown is shown what is popular (`known` is false)."""
        return recommend(champion.get(), catalogue, [user_id], k)[0]

    @routes.post("", summary="Products for several customers")
    def several(batch: Batch) -> Recommendations:
        """The best products for each of up to 1,000 customers, in the order asked for."""
        if len(set(batch.user_ids)) < len(batch.user_ids):
            raise BadRequestError("user_ids names a customer twice.", "Name each customer once.")
        return Recommendations(results=recommend(champion.get(), catalogue, batch.user_ids, batch.k))

    return routes


def recommend(answers: Answers, catalogue: Catalogue, user_ids: list[str], k: int) -> list[Recommendation]:
    """The first `k` decisions for each of the distinct `user_ids`, all from one version."""
    longest = answers.bundle.params.list_length
    if k > longest:
        raise BadRequestError(
            f"k is {k}; the deployed model decides on {longest} products a customer.",
            f"Ask for at most {longest}, or raise recommendation.list_length in params.yaml and run again.",
        )
    frame = answers.requests(pd.DataFrame({"user_id": user_ids}))
    known = set(frame.loc[frame["personal_orders"] > 0, "user_id"])
    decisions = answers.decide(frame)
    decisions = decisions[decisions["rank"] <= k].sort_values(["user_id", "rank"], ignore_index=True)
    shown = pd.concat(
        [
            decisions[["user_id", "rank", "item_id", "score", "propensity", "reason"]],
            catalogue.look_up(decisions["item_id"]).reset_index(drop=True),
        ],
        axis=1,
    ).astype(object)
    shown = shown.where(shown.notna(), None)
    lists = {user_id: rows.drop(columns="user_id").to_dict("records") for user_id, rows in shown.groupby("user_id")}
    return [
        Recommendation(
            user_id=user_id,
            known=user_id in known,
            model=answers.bundle.digest,
            as_of=answers.bundle.as_of,
            items=[Item(**item) for item in lists.get(user_id, [])],
        )
        for user_id in user_ids
    ]
