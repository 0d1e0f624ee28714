"""The tiny shop with all that features can be made of: events and payments too, and what computes them here."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine import feature_store
from ecomine.engine import connect
from ecomine.feature_store.catalogue import FEATURE_TABLES
from ecomine.params import EngineParams, FeatureParams
from ecomine.store import Store
from tests.shop import START, tiny_campaigns, tiny_shop

ALL = list(FEATURE_TABLES)
KINDS = ["search", "view", "view", "cart", "purchase"]


def wide_shop(rows: int = 3000, seed: int = 3, **shop: int) -> dict[str, pd.DataFrame]:
    """Canonical tables of the tiny shop, with events and payments of its people, the same for the same arguments."""
    tables = tiny_shop(**shop)
    random = np.random.default_rng(seed)
    users, items = tables["users"].user_id.to_numpy(), tables["items"].item_id.to_numpy()
    session = np.sort(random.integers(0, rows // 6, rows))
    begin = random.integers(0, 150 * 86_400, rows // 6)[session]
    user = users[random.integers(0, len(users), rows // 6)[session]]
    item = items[random.integers(0, len(items), rows)].astype(object)
    item[random.random(rows) < 0.1] = None
    events = pd.DataFrame(
        {
            "event_id": [f"e{number:05d}" for number in range(rows)],
            "user_id": user,
            "session_id": [f"s{number:05d}" for number in session],
            "item_id": item,
            "event_type": random.choice(KINDS, rows),
            "event_timestamp": START + pd.to_timedelta(begin + random.integers(0, 900, rows), unit="s"),
        }
    )
    moment = START + pd.to_timedelta(random.integers(0, 150 * 86_400, rows), unit="s")
    payments = pd.DataFrame(
        {
            "payment_id": [f"p{number:05d}" for number in range(rows)],
            "user_id": users[random.integers(0, len(users), rows)],
            "event_timestamp": moment,
            "amount": np.round(random.uniform(1, 90, rows), 2),
            "card_id": random.choice([f"c{number:02d}" for number in range(60)], rows),
            "device_id": random.choice([f"d{number:02d}" for number in range(40)], rows),
            "is_fraud": random.random(rows) < 0.05,
            "label_timestamp": moment + pd.Timedelta(days=20),
        }
    )
    return tables | tiny_campaigns(tables) | {"events": events, "payments": payments}


def write_clean(folder: Path, tables: dict[str, pd.DataFrame]) -> Path:
    """The tables as clean Parquet files, times in microseconds as DuckDB writes them; returns their folder."""
    clean = folder / "data/clean"
    clean.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        times = {column: frame[column].astype("datetime64[us]") for column in frame.select_dtypes("datetime").columns}
        frame.assign(**times).to_parquet(clean / f"{name}.parquet", index=False)
    return clean


def computed(
    folder: Path,
    shop: dict[str, pd.DataFrame],
    as_of: datetime,
    memory: Path | None = None,
    engine: EngineParams | None = None,
    **settings: object,
) -> tuple[Path, list[str]]:
    """The folder of all feature tables of a shop on DuckDB, and what the computation said."""
    said: list[str] = []
    write_clean(folder, shop)
    out = folder / "data/features"
    out.mkdir(parents=True)
    params = FeatureParams(**{"tables": ALL, **settings})  # type: ignore[arg-type]
    with connect(engine or EngineParams(), folder / "spill") as connection:
        relations = Store(folder).relations(connection, "data/clean")
        feature_store.compute(connection, relations, as_of, params, out, (), memory, said.append)
    return out, said
