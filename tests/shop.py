"""A tiny shop for tests: people with favourite products that they buy again, promotions and campaigns."""

from pathlib import Path

import numpy as np
import pandas as pd

START = pd.Timestamp("2024-01-01")


def tiny_shop(users: int = 120, items: int = 80, days: int = 150, seed: int = 7) -> dict[str, pd.DataFrame]:
    """Canonical tables of a small shop, clean, the same for the same arguments.

    Each person has six favourite items, bought with four times in five; the rest follows popularity.
    """
    random = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, items + 1)
    popularity /= popularity.sum()
    user_ids = np.array([f"u{number:04d}" for number in range(users)])
    item_ids = np.array([f"i{number:04d}" for number in range(items)])
    price = np.round(random.uniform(1, 20, items), 2)
    favourites = np.stack([random.choice(items, 6, replace=False, p=popularity) for _ in range(users)])

    rate = random.uniform(0.1, 0.4, users)
    user, day = np.nonzero(random.random((users, days)) < rate[:, None])
    orders = len(user)
    second = random.integers(8 * 3600, 22 * 3600, orders)
    lines = random.integers(1, 7, orders)
    order = np.repeat(np.arange(orders), lines)
    favourite = random.random(len(order)) < 0.8
    chosen = favourites[user[order], random.integers(0, 6, len(order))]
    item = np.where(favourite, chosen, random.choice(items, len(order), p=popularity))
    discount = np.where(random.random(len(order)) < 0.2, np.round(price[item] * 0.1, 2), 0.0)
    quantity = random.integers(1, 4, len(order)).astype(float)
    order_lines = pd.DataFrame(
        {
            "order_id": [f"o{number:06d}" for number in order],
            "user_id": user_ids[user[order]],
            "item_id": item_ids[item],
            "location_id": np.array(["north", "south"])[order % 2],
            "event_timestamp": START + pd.to_timedelta(day[order] * 86400 + second[order], unit="s"),
            "quantity": quantity,
            "unit_price": np.round(price[item] - discount, 2),
            "list_price": price[item],
            "discount": np.round(discount * quantity, 2),
            "coupon_id": None,
        }
    ).drop_duplicates(["order_id", "item_id"], ignore_index=True)
    weeks = np.arange(days // 7)
    promoted = random.integers(0, items, len(weeks) * 5)
    promotions = pd.DataFrame(
        {
            "item_id": item_ids[promoted],
            "location_id": np.array(["north", "south"])[np.arange(len(promoted)) % 2],
            "start_date": START + pd.to_timedelta(np.repeat(weeks, 5) * 7, unit="D"),
            "end_date": START + pd.to_timedelta(np.repeat(weeks, 5) * 7 + 7, unit="D"),
            "price": np.round(price[promoted] * 0.9, 2),
            "display": "front",
            "mailer": None,
        }
    ).drop_duplicates(["item_id", "location_id", "start_date"], ignore_index=True)
    return {
        "order_lines": order_lines,
        "items": pd.DataFrame(
            {
                "item_id": item_ids,
                "category": [f"dept{number % 4} > group{number % 12}" for number in range(items)],
                "brand": [f"b{number % 9}" for number in range(items)],
                "title": [f"thing {number}" for number in range(items)],
                "unit_cost": np.round(price * 0.6, 2),
                "launch_date": START,
            }
        ),
        "users": pd.DataFrame(
            {
                "user_id": user_ids,
                "signup_date": START,
                "age_group": np.array(["18-34", "35-54", "55+"])[random.integers(0, 3, users)],
                "marketing_consent": True,
            }
        ),
        "promotions": promotions,
    }


def write_raw(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    """The tables as Parquet files, the way a shop would put them into data/raw."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)


def tiny_campaigns(tables: dict[str, pd.DataFrame], seed: int = 11) -> dict[str, pd.DataFrame]:
    """Campaigns of a tiny shop and their contacts, drawn by chance with known propensities.

    Everybody is held out of a campaign with probability 0.15 and else reached on a visit with 0.6. An ad brings those
    who order rarely to buy, and does little with the others, who buy anyhow.
    """
    random = np.random.default_rng(seed)
    user_ids, item_ids = tables["users"]["user_id"].to_numpy(), tables["items"]["item_id"].to_numpy()
    price = tables["order_lines"].groupby("item_id")["list_price"].max().reindex(item_ids).fillna(1.0).to_numpy()
    orders = tables["order_lines"].groupby("user_id")["order_id"].nunique().reindex(user_ids).fillna(0)
    rare = (orders < orders.median()).to_numpy()
    days = (tables["order_lines"]["event_timestamp"].max().normalize() - START).days + 1
    number = np.arange(0, max((days - 1) // 14, 1))
    advertised = random.choice(np.argsort(-price)[: len(price) // 2], len(number))
    start = START + pd.to_timedelta(number * 14, unit="D")
    user, campaign, day = (axis.ravel() for axis in np.indices((len(user_ids), len(number), 28)))
    visit = (random.random(len(user)) < 0.12) & (campaign * 14 + day < days)
    user, campaign, day = user[visit], campaign[visit], day[visit]
    away = random.random((len(user_ids), len(number))) < 0.15
    treated = ~away[user, campaign] & (random.random(len(user)) < 0.6)
    chance = np.where(rare[user], 0.04 + 0.4 * treated, 0.15 + 0.02 * treated)
    converted = random.random(len(user)) < chance
    second = random.integers(9 * 3600, 20 * 3600, len(user))
    names = np.array([f"c{one:02d}" for one in number], object)
    contacts = pd.DataFrame(
        {
            "impression_id": [f"a{one:05d}" for one in range(len(user))],
            "campaign_id": names[campaign],
            "user_id": user_ids[user],
            "creative_id": np.array([f"{name}-{one}" for name, one in zip(
                names[campaign], random.integers(0, 2, len(user)), strict=True)], object),
            "event_timestamp": start[campaign] + pd.to_timedelta(day * 86400 + second, unit="s"),
            "position": 1,
            "propensity": 0.85 * 0.6,
            "cost": np.where(treated, np.round(random.uniform(0.2, 0.4, len(user)), 3), 0.0),
            "treated": treated,
            "clicked": treated & (random.random(len(user)) < 0.3),
            "converted": converted,
            "revenue": np.where(converted, price[advertised][campaign], 0.0),
        }
    )  # fmt: skip
    campaigns = pd.DataFrame(
        {
            "campaign_id": names,
            "kind": np.array(["display", "coupon"])[number % 2],
            "start_date": start,
            "end_date": start + pd.Timedelta(days=28),
            "budget": 60.0,
            "cost_per_contact": 0.3,
            "item_id": item_ids[advertised],
        }
    )
    return {"campaigns": campaigns, "ad_impressions": contacts}
