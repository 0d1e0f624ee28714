"""A small shop that counts its stock: known demand by item and place, orders by a plain rule, lost sales."""

from datetime import datetime

import numpy as np
import pandas as pd

AS_OF = datetime(2024, 6, 30)
DAYS = 180
PLACES = ("east", "west")


def stocked_shop(items: int = 16, days: int = DAYS, seed: int = 5, counted: bool = True) -> dict[str, pd.DataFrame]:
    """Canonical tables of items at two places with weekly courses, prices that move demand, and stock each evening.

    Item 0 has stopped selling and lies; item 1 has but few units left.
    """
    random = np.random.default_rng(seed)
    base = np.linspace(0.8, 9.0, items)[:, None, None] * np.array([1.0, 0.6])[None, :, None]
    day = np.arange(days)
    week = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.4, 0.9])[day % 7]
    cut = np.repeat(random.random((items, days // 14 + 1)) < 0.15, 14, axis=1)[:, :days]
    list_price = np.round(np.linspace(3, 12, items), 2)
    price = list_price[:, None] * np.where(cut, 0.8, 1.0)
    mean = base * week * np.where(cut, 1.7, 1.0)[:, None, :]
    mean[0, :, days - 30 :] = 0.0
    wanted = random.negative_binomial(np.maximum(mean, 1e-9) / 0.5, 1 / 1.5)
    lead, on_hand = 5, np.ceil(base[:, :, 0] * 14)
    coming = np.zeros((lead + 1, items, len(PLACES)))
    sold, left, ordered = np.zeros(wanted.shape), np.zeros(wanted.shape), np.zeros(wanted.shape)
    for now in day:
        on_hand = on_hand + coming[0]
        coming = np.roll(coming, -1, axis=0)
        coming[-1] = 0.0
        sold[:, :, now] = np.minimum(wanted[:, :, now], on_hand)
        on_hand = on_hand - sold[:, :, now]
        recent = sold[:, :, max(now - 27, 0) : now + 1].mean(axis=2)
        short = on_hand + coming.sum(axis=0) <= recent * 6 + 1
        coming[lead - 1] = np.where(short, np.ceil(recent * 8 + 1), 0.0)
        left[:, :, now], ordered[:, :, now] = on_hand, coming.sum(axis=0)
    left[0, :, days - 3 :], left[1, :, days - 1] = 400.0, 1.0
    ordered[1, :, days - 1] = 0.0
    item, place, when = np.nonzero(sold)
    names = np.array([f"p{number:02d}" for number in range(items)], object)
    start = pd.Timestamp(AS_OF) - pd.Timedelta(days=days)
    lines = pd.DataFrame(
        {
            "order_id": [f"o{number}" for number in range(len(item))], "user_id": "u", "item_id": names[item],
            "location_id": np.array(PLACES, object)[place],
            "event_timestamp": start + pd.to_timedelta(when * 24 + 15, unit="h"),
            "quantity": sold[item, place, when], "unit_price": price[item, when], "list_price": price[item, when],
        }
    )  # fmt: skip
    goods = pd.DataFrame(
        {"item_id": names, "category": [f"food > kind {n % 3}" for n in range(items)], "unit_cost": list_price * 0.6}
    )
    tables = {"order_lines": lines, "items": goods}
    if counted:
        item, place, when = (axis.ravel() for axis in np.indices(left.shape))
        tables["stock"] = pd.DataFrame(
            {
                "item_id": names[item], "location_id": np.array(PLACES, object)[place],
                "event_timestamp": start + pd.to_timedelta(when * 24 + 23, unit="h"), "on_hand": left.ravel(),
                "on_order": ordered.ravel(), "lead_time_days": float(lead),
            }
        )  # fmt: skip
    return tables
