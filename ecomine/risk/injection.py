"""Anomalies of known kinds, put among real orders, so that a detector without labels can be judged.

An order that is chosen is changed in its own place, customer and time, or further orders follow it: nothing tells an
injected order but what is strange about it. Each kind is what goes wrong in a shop: a slip of the keyboard, an error of
a price list, a stolen account, a coupon that works without end.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

Change = Callable[[pd.DataFrame, pd.DataFrame, np.random.Generator], pd.DataFrame]
"""(lines of one kind's chosen orders, lines of the shop before, random) → their lines instead, further orders with it;
lines of the order that is the anomaly keep its order_id."""

OFTEN = 20
"""Sales from which on an item has a usual price that a slip departs from."""

RUN = "~"
"""Before the number of an order that belongs to a run."""

LEAST, LINES = 5.0, 3
"""Money and lines of an order in which something can go wrong that anybody would notice."""

MINUTE = pd.Timedelta(minutes=1)


def _one_line(lines: pd.DataFrame, past: pd.DataFrame) -> np.ndarray:
    """Flags of the dearest line of each order, of items that were sold often enough to have a usual price, if any."""
    sold = lines["item_id"].map(past["item_id"].value_counts()).fillna(0) >= OFTEN
    ranked = lines.assign(sold=sold).sort_values(["sold", "unit_price", "item_id"], ascending=[False, False, True])
    return np.asarray(lines.index.isin(ranked.drop_duplicates("order_id").index))


def _price_slip(factor: float) -> Change:
    def change(lines: pd.DataFrame, past: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
        hit = _one_line(lines, past)
        price = np.where(hit, np.round(lines["unit_price"] * factor, 2), lines["unit_price"])
        return lines.assign(unit_price=price, list_price=np.where(hit, price, lines["list_price"]))

    return change


def _many_units(lines: pd.DataFrame, past: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    hit = _one_line(lines, past)
    return lines.assign(quantity=np.where(hit, lines["quantity"] * random.integers(40, 90), lines["quantity"]))


def _all_but_free(lines: pd.DataFrame, past: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    listed = lines["list_price"].fillna(lines["unit_price"])
    return lines.assign(list_price=listed, unit_price=np.round(listed * 0.05, 2))


def _again_and_again(times: int, apart: pd.Timedelta) -> Change:
    """Earlier orders with the same lines, so that the chosen one is the last of a run."""

    def change(lines: pd.DataFrame, past: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
        runs = [
            lines.assign(
                order_id=lines["order_id"] + f"{RUN}{number}", event_timestamp=lines["event_timestamp"] - number * apart
            )
            for number in range(1, times)
        ]
        return pd.concat([lines, *runs], ignore_index=True)

    return change


def _two_places(lines: pd.DataFrame, past: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Minutes before, an order of the same customer at another place."""
    places = np.sort(past["location_id"].dropna().unique())
    elsewhere = np.roll(places, 1 + int(random.integers(0, max(len(places) - 1, 1))))
    other = lines["location_id"].map(dict(zip(places, elsewhere, strict=True)))
    twin = lines.assign(
        order_id=lines["order_id"] + f"{RUN}1", location_id=other, event_timestamp=lines["event_timestamp"] - 5 * MINUTE
    )
    return pd.concat([lines, twin], ignore_index=True)


def _cart_of(count: int, dear: bool) -> Change:
    """The order's lines replaced by many products, drawn from the dearest or from all of them."""

    def change(lines: pd.DataFrame, past: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
        goods = past.groupby("item_id", sort=True)["unit_price"].agg(["median", "size"]).query("size >= 5")
        goods = goods.nlargest(max(len(goods) // 50, 2 * count), "median") if dear else goods
        orders = lines.drop_duplicates("order_id")
        draws = [random.choice(len(goods), min(count, len(goods)), replace=False) for _ in range(len(orders))]
        many = orders.loc[orders.index.repeat([len(draw) for draw in draws])].reset_index(drop=True)
        drawn = np.concatenate(draws)
        price = goods["median"].to_numpy()[drawn]
        return many.assign(
            item_id=goods.index.to_numpy()[drawn], unit_price=price, list_price=price, quantity=1.0, discount=0.0
        )

    return change


def _stolen_account(lines: pd.DataFrame, past: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Twelve hours away from the usual, dear products, three of each."""
    cart = _cart_of(8, True)(lines, past, random)
    return cart.assign(quantity=3.0, event_timestamp=cart["event_timestamp"] - pd.Timedelta(hours=12))


KINDS: dict[str, Change] = {
    "price a hundred times too high": _price_slip(100.0),
    "price a hundredth of what it was": _price_slip(0.01),
    "units by the dozens": _many_units,
    "all but free": _all_but_free,
    "five orders within ten minutes": _again_and_again(5, 2 * MINUTE),
    "ten orders within a day": _again_and_again(10, 120 * MINUTE),
    "two places within five minutes": _two_places,
    "cart of the dearest products": _cart_of(15, True),
    "cart of ninety strange products": _cart_of(90, False),
    "stolen account": _stolen_account,
}
"""The kinds, in the order in which orders are dealt to them."""


def inject(lines: pd.DataFrame, since: pd.Timestamp, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lines with anomalies among the orders later than `since`, and the truth: order_id, kind, anomaly, loss.

    share: of these orders, equally many of each kind, at least one. A run of orders is one anomaly (its number), found
    with any of them. loss: the money at stake, what the chosen order was worth before or after, whichever is more; 0
    for the others of a run. Nothing is injected where there are too few orders.
    """
    random = np.random.default_rng(seed)
    late = lines.groupby("order_id")["event_timestamp"].transform("min") > since
    worth = (lines["quantity"] * lines["unit_price"]).groupby(lines["order_id"]).sum()
    size = lines.groupby("order_id").size()
    orders = np.sort(lines.loc[late, "order_id"].unique())
    fit = orders[(worth.loc[orders].to_numpy() >= LEAST) & (size.loc[orders].to_numpy() >= LINES)]
    each = min(max(1, round(share * len(orders) / len(KINDS))), len(fit) // len(KINDS))
    chosen = random.permutation(fit)[: each * len(KINDS)].reshape(len(KINDS), each)
    past, parts, truth = lines[~late], [lines[~lines["order_id"].isin(chosen.ravel())]], []
    for number, (kind, change) in enumerate(KINDS.items()):
        own = lines[lines["order_id"].isin(chosen[number])].sort_values(["order_id", "item_id"], ignore_index=True)
        if own.empty:
            continue
        changed = change(own, past, random)
        parts.append(changed)
        after = (changed["quantity"] * changed["unit_price"]).groupby(changed["order_id"]).sum()
        ids = after.index.to_numpy()
        main = pd.Index(ids).str.split(RUN).str[0]
        rank = number * each + np.searchsorted(np.sort(chosen[number]), main.to_numpy(object))
        loss = np.where(main == ids, np.maximum(worth.loc[main].to_numpy(), after.to_numpy()), 0.0)
        truth.append(pd.DataFrame({"order_id": ids, "kind": kind, "anomaly": rank, "loss": np.round(loss, 4)}))
    columns = {"order_id": object, "kind": object, "anomaly": np.int64, "loss": float}
    told = pd.concat(truth, ignore_index=True) if truth else pd.DataFrame(columns=list(columns)).astype(columns)
    return pd.concat(parts, ignore_index=True), told
