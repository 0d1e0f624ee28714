"""What to show to a customer."""

import re
from collections.abc import Mapping
from functools import partial
from operator import itemgetter
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from ecomine.deployment import Bundle
from ecomine.recommendation.policy import BOUGHT, barred
from ecomine.serving.ahead import Recipe
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.desk import Desk, Plain, Question
from ecomine.serving.errors import PROBLEMS, BadRequestError
from ecomine.serving.moment import Moment
from ecomine.serving.published import Published
from ecomine.serving.quick import Asked, Short
from ecomine.serving.seat import Answers
from ecomine.serving.split import Split

UserId = Annotated[str, Field(min_length=1, max_length=200, description="the customer", examples=["1"])]
Length = Annotated[int, Field(ge=1, le=1000, description="products wanted, at most as many as the model decides on")]

SHOWN = ["rank", "item_id", "score", "propensity", "reason"]

EXAMPLE: dict[str, Any] = {
    "user_id": "1",
    "known": True,
    "model": "3f0c9a7d1e42b6a85c1d",
    "as_of": "2017-12-31T23:59:59Z",
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
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")
    items: list[Item]


Situation = Literal["for_you", "buy_again", "discover"]
SITUATION = "for_you: everything; buy_again: what they bought before, when it is due; discover: what they never bought"

Products = Annotated[list[UserId], Field(min_length=1, max_length=200, description="products, the oldest first")]


class Beside(BaseModel):
    """Products to start from, where the customer may be unknown."""

    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"examples": [{"item_ids": ["1082185", "951590"], "k": 10}]},
    }

    item_ids: Products
    k: Length = 20


class Shown(BaseModel):
    """Products to show beside others, best first; none where nothing is known to go with them."""

    model: str = Field(description="digest of the version that answered")
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")
    unknown: list[str] = Field(description="products asked about that the model has never met")
    items: list[Item]


class Batch(BaseModel):
    """Several customers at once."""

    model_config = {"extra": "forbid", "json_schema_extra": {"examples": [{"user_ids": ["1", "2"], "k": 10}]}}

    user_ids: list[UserId] = Field(min_length=1, max_length=1000, description="the customers; each once")
    k: Length = 20
    situation: Annotated[Situation, Field(description=SITUATION)] = "for_you"


class Recommendations(BaseModel):
    """One entry a customer, in the order asked for."""

    results: list[Recommendation]


def router(desk: Desk) -> APIRouter:
    """The routes of recommendation."""
    routes = APIRouter(prefix="/v1/recommendations", tags=["recommendation"], responses=PROBLEMS)

    @routes.get("/{user_id:path}", summary="Products for one customer", response_model=Recommendation)
    async def one(
        user_id: Annotated[str, Path(min_length=1, max_length=200, description="the customer", examples=["1"])],
        k: Annotated[int, Query(ge=1, le=1000, description="products wanted", examples=[10])] = 20,
        situation: Annotated[Situation, Query(description=SITUATION)] = "for_you",
    ) -> Response:
        """The best products for a customer; somebody unknown is shown what is popular (`known` is false)."""
        asked: dict[str, Any] = {"user_ids": [user_id], "k": k, "situation": situation}
        return await desk.reply("lists", user_id, alone, **asked)

    @routes.post("", summary="Products for several customers", response_model=Recommendations)
    async def several(batch: Batch) -> Response:
        """The best products for each of up to 1,000 customers, in the order asked for."""
        if len(set(batch.user_ids)) < len(batch.user_ids):
            raise BadRequestError("user_ids names a customer twice.", "Name each customer once.")
        asked = batch.model_dump()
        return await desk.reply_each("lists", Split.of_results("user_ids", asked), **asked)

    @routes.post("/similar", summary="Products like a product", response_model=Shown)
    async def similar(beside: Beside) -> Response:
        """What is like the given products: by words, category and brand, and by who buys both; new ones too."""
        return await desk.reply("similar", **beside.model_dump())

    @routes.post("/basket", summary="Products that go with a basket", response_model=Shown)
    async def basket(beside: Beside) -> Response:
        """What is often bought together with what is in the basket."""
        return await desk.reply("beside_basket", **beside.model_dump())

    @routes.post("/visit", summary="Products for a running visit", response_model=Shown)
    async def visit(beside: Beside) -> Response:
        """What visits that began with these products, the oldest first, went on to; nobody needs to be known."""
        return await desk.reply("in_visit", **beside.model_dump())

    return routes


def alone(answer: dict[str, Any]) -> dict[str, Any]:
    """The list of the one customer who was asked about."""
    only: dict[str, Any]
    (only,) = answer["results"]
    return only


def _all_of(bundle: Bundle, user_ids: list[str]) -> dict[str, Any]:
    return {"user_ids": user_ids, "k": bundle.params.list_length, "situation": "for_you"}


def _beginning(arguments: Mapping[str, Any]) -> tuple[str, int] | None:
    """The customer and the length, where one list is asked for that begins as the longest does."""
    if arguments["situation"] != "for_you" or len(arguments["user_ids"]) != 1:
        return None
    return arguments["user_ids"][0], arguments["k"]


def _read(user_id: str, query: bytes) -> Asked | None:
    """A customer's list without more than a plain `k`."""
    k = query[2:] if query.startswith(b"k=") else b"20"
    if not 0 < len(user_id) <= 200 or "\n" in user_id or query[:2] not in (b"", b"k=") or not _COUNT.fullmatch(k):
        return None
    return Asked("lists", user_id, alone, {"user_ids": [user_id], "k": int(k), "situation": "for_you"})


_COUNT = re.compile(rb"[1-9][0-9]{0,2}")

SHORT = Short("/v1/recommendations/", "/v1/recommendations/{user_id:path}", _read)

AHEAD = Recipe("lists", _all_of, _beginning)


def show_beside(situation: str, answers: Answers, catalogue: Catalogue, item_ids: list[str], k: int) -> Shown:
    """The first `k` answers of a situation (a method of `Situations`) for one list of products."""
    model, params = answers.model, answers.bundle.params
    wanted = np.array(item_ids, object)
    known = set(wanted[np.isin(wanted, model.finder.items)])
    found = getattr(model.situations, situation)([item_ids], k, barred(model, params), model.assortment.titles)
    return Shown(
        model=answers.bundle.digest,
        as_of=answers.bundle.as_of,
        unknown=[item for item in item_ids if item not in known],
        items=[Item(**item) for item in _described(found[0].assign(propensity=1.0), catalogue)],
    )


def recommend(
    answers: Answers, catalogue: Catalogue, user_ids: list[str], k: int, situation: Situation = "for_you"
) -> Recommendations:
    """The first `k` decisions for each of the distinct `user_ids`, all from one version."""
    longest = answers.bundle.params.list_length
    if k > longest:
        raise BadRequestError(
            f"k is {k}; the deployed model decides on {longest} products a customer.",
            f"Ask for at most {longest}, or raise recommendation.list_length in params.yaml and run again.",
        )
    frame = answers.requests(pd.DataFrame({"user_id": user_ids}))
    bought = frame["personal_orders"].to_numpy() > 0
    known = set(frame["user_id"].to_numpy()[bought])
    if situation != "for_you":
        frame = frame[bought if situation == "buy_again" else ~bought].reset_index(drop=True)
    decisions = answers.decide(frame)
    lists: dict[str, list[dict[str, Any]]] = {}
    shown = decisions[decisions["rank"].to_numpy() <= k]
    for user_id, row in zip(shown["user_id"].tolist(), _described(shown, catalogue), strict=True):
        lists.setdefault(user_id, []).append(row)
    for rows in lists.values():
        rows.sort(key=itemgetter("rank"))
    results = [
        Recommendation(
            user_id=user_id,
            known=user_id in known,
            model=answers.bundle.digest,
            as_of=answers.bundle.as_of,
            items=[Item(**item) for item in lists.get(user_id, [])],
        )
        for user_id in user_ids
    ]
    return Recommendations(results=results)


def _described(shown: pd.DataFrame, catalogue: Catalogue) -> list[dict[str, Any]]:
    """Rows to show, with title and category, nulls as None."""
    columns = [shown[name].tolist() for name in SHOWN]
    names = (*SHOWN, *catalogue.columns)
    columns += catalogue.look_up(shown["item_id"].to_numpy())
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


QUESTIONS: dict[str, Question] = {
    "lists": recommend,
    **{situation: partial(show_beside, situation) for situation in ("similar", "beside_basket", "in_visit")},
}


def published_lists(
    published: Published, catalogue: Catalogue, user_ids: list[str], k: int, situation: Situation = "for_you"
) -> Recommendations:
    """The lists published last; somebody who has none is shown what stands on most of them."""
    popular = _popular(published)
    results = []
    for user_id in user_ids:
        rows = published.rows(user_id)
        known = not rows.empty
        if situation != "for_you":
            before = rows["reason"].str.startswith(BOUGHT)
            rows = rows[before if situation == "buy_again" else ~before]
        rows = rows.sort_values("rank").head(k)[SHOWN] if known else popular.head(k)
        rows = rows.assign(rank=np.arange(1, len(rows) + 1))
        items = [Item(**item) for item in _described(rows, catalogue)]
        results.append(
            Recommendation(
                user_id=user_id, known=known, model=published.digest, as_of=published.as_of, items=items
            )
        )  # fmt: skip
    return Recommendations(results=results)


def published_beside(published: Published, catalogue: Catalogue, item_ids: list[str], k: int) -> Shown:
    """What stands on most lists published last, but for the products asked about."""
    popular = _popular(published)
    rows = popular[~popular["item_id"].isin(item_ids)].head(k)
    items = [Item(**item) for item in _described(rows.assign(rank=np.arange(1, len(rows) + 1)), catalogue)]
    unknown = sorted(set(item_ids) - set(popular["item_id"]), key=item_ids.index)
    return Shown(model=published.digest, as_of=published.as_of, unknown=unknown, items=items)


def _popular(published: Published) -> pd.DataFrame:
    """Products by the share of published lists that they stand on, the most frequent first."""
    frame = published.frame
    share = frame.groupby("item_id", sort=True).size() / max(frame["user_id"].nunique(), 1)
    order = share.sort_values(ascending=False, kind="stable")
    told = {"score": order.to_numpy(float), "propensity": 1.0, "reason": "on many customers' lists"}
    return pd.DataFrame({"rank": np.arange(1, len(order) + 1), "item_id": order.index.to_numpy(object), **told})


PLAIN: dict[str, Plain] = {
    "lists": published_lists,
    **dict.fromkeys(("similar", "beside_basket", "in_visit"), published_beside),
}
