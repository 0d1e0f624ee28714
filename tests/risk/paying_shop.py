"""The tiny shop with payments: thieves on strange devices, a ring on one device, charge-backs that come late."""

import numpy as np
import pandas as pd

from tests.shop import tiny_shop

RISK = {
    "test_days": 28, "maturity_days": 20, "train_days": 90, "recent_days": 5, "capacity": 4, "rounds": 100,
    "rules": {"crowd": "device_users_30d > 3"},
}  # fmt: skip
DELAY = 12
"""Days until a fraud is told."""


def paying_shop(seed: int = 5) -> dict[str, pd.DataFrame]:
    """Tables of the shop; each order is paid once, one in twenty by a thief with a stolen card on a strange device."""
    tables = tiny_shop()
    random = np.random.default_rng(seed)
    lines = tables["order_lines"]
    orders = (
        lines.assign(amount=lines["quantity"] * lines["unit_price"])
        .groupby("order_id", as_index=False)
        .agg(user_id=("user_id", "first"), event_timestamp=("event_timestamp", "min"), amount=("amount", "sum"))
    )
    count = len(orders)
    stolen = random.random(count) < 0.04
    ring = random.random(count) < 0.01
    away = random.random(count) < 0.08  # honest people are not always at home
    user = orders["user_id"]
    number = user.str[1:].astype(int).to_numpy()
    drawn = random.integers(0, 120, count)
    card = np.where((stolen & (random.random(count) < 0.6)) | ring, drawn, number)
    device = np.where(ring, 900, np.where(stolen | away, 500 + random.integers(0, 40, count), number))
    payments = pd.DataFrame(
        {
            "payment_id": "p" + orders["order_id"].str[1:],
            "order_id": orders["order_id"],
            "user_id": user,
            "event_timestamp": orders["event_timestamp"] + pd.Timedelta(seconds=30),
            "amount": np.round(orders["amount"] * np.where(stolen, 1.5, 1.0), 2),
            "method": "card",
            "card_id": pd.Series([f"c{one}" for one in card]),
            "device_id": pd.Series([f"d{one}" for one in device]),
            "address_id": pd.Series([f"a{one}" for one in np.where(stolen | away, 70 + drawn % 9, number)]),
            "ip": pd.Series([f"10.0.0.{one}" for one in number % 200]),
            "is_fraud": stolen | ring,
        }
    )
    told = payments["event_timestamp"] + pd.to_timedelta(np.where(payments["is_fraud"], DELAY, 20), unit="D")
    return {**tables, "payments": payments.assign(label_timestamp=told)}
