from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from ecomine.domain import Inputs
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.profiling import ProfilingParams, Segmenter, migration
from ecomine.profiling.model import BEHAVIOUR, STEPS
from ecomine.profiling.portrait import portrait

AS_OF = datetime(2024, 6, 30)


def shop(users: int = 240, seed: int = 4) -> tuple[pd.DataFrame, np.ndarray]:
    """Order lines of four planted kinds of customers, and the kind of each."""
    random = np.random.default_rng(seed)
    kind = np.arange(users) % 4
    orders, lines = np.array([40, 6, 30, 5])[kind], np.array([2, 12, 3, 2])[kind]
    off = np.array([0.0, 0.02, 0.35, 0.0])[kind]
    silent = np.array([0, 0, 0, 110])[kind]
    user = np.repeat(np.arange(users), random.poisson(orders) + 1)
    day = random.random(len(user)) * (175 - silent[user])
    line = np.repeat(np.arange(len(user)), np.maximum(random.poisson(lines[user]), 1))
    who = user[line]
    price = random.uniform(5, 15, len(line))
    discount = np.where(random.random(len(line)) < 2 * off[who], 0.4, 0.0)
    return pd.DataFrame(
        {
            "order_id": [f"o{number}" for number in line],
            "user_id": [f"u{number:04d}" for number in who],
            "item_id": [f"i{number}" for number in random.integers(0, 60, len(line))],
            "event_timestamp": pd.Timestamp("2024-01-05") + pd.to_timedelta(day[line], unit="D"),
            "quantity": 1.0,
            "unit_price": price * (1 - discount),
            "list_price": price,
            "discount": price * discount,
        }
    ), kind


@pytest.fixture(scope="module")
def planted() -> tuple[pd.DataFrame, np.ndarray]:
    lines, kind = shop()
    with duckdb.connect() as connection:
        inputs = Inputs(connection, {"order_lines": connection.from_df(lines)}, AS_OF, ProfilingParams(), 42, 1)
        return portrait(inputs, AS_OF)[list(BEHAVIOUR)].astype(float), kind


@pytest.mark.parametrize("method", ["kmeans", "gaussian"])
def test_planted_segments_are_found_and_named(planted: tuple[pd.DataFrame, np.ndarray], method: str) -> None:
    behaviour, kind = planted
    model = Segmenter(None, method, BEHAVIOUR, most=6, steps=STEPS).fit(behaviour)
    found = model.predict(behaviour)
    assert adjusted_rand_score(kind, found) >= 0.6
    names = model.name(found)
    assert "discount lovers" in pd.Series(names[kind == 2]).mode()[0]
    assert "large baskets" in pd.Series(names[kind == 1]).mode()[0]
    assert len(set(model.names)) == len(model.names)


def test_numbers_and_names_stay_over_retraining(planted: tuple[pd.DataFrame, np.ndarray]) -> None:
    behaviour, _ = planted
    before = Segmenter(4, words=BEHAVIOUR, seed=1).fit(behaviour)
    again = behaviour.sample(frac=0.9, random_state=3) * 1.05
    after = Segmenter(4, words=BEHAVIOUR, seed=99).fit(again, previous=before)
    same = before.predict(behaviour) == after.predict(behaviour)
    assert same.mean() > 0.9
    assert set(after.names) == set(before.names)
    old, new = before.name(before.predict(behaviour)), after.name(after.predict(behaviour))
    table = migration(pd.Series(old), pd.Series(new[:-5]))
    assert table["customers"].sum() == len(behaviour)
    assert table.groupby("before")["share"].sum().tolist() == pytest.approx([1.0] * table["before"].nunique())
    assert table[table["after"] == "gone"]["customers"].sum() == 5


def test_a_further_segment_gets_a_new_number(planted: tuple[pd.DataFrame, np.ndarray]) -> None:
    behaviour, _ = planted
    before = Segmenter(3, words=BEHAVIOUR).fit(behaviour)
    after = Segmenter(4, words=BEHAVIOUR).fit(behaviour, previous=before)
    assert sorted(after.labels) == [0, 1, 2, 3]
    assert set(before.names) < set(after.names)


def test_a_loaded_segmenter_tells_the_same(planted: tuple[pd.DataFrame, np.ndarray], tmp_path: Path) -> None:
    behaviour, _ = planted
    model = Segmenter(4, "gaussian", BEHAVIOUR).fit(behaviour)
    model.save(tmp_path)
    loaded = Segmenter.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(behaviour), model.predict(behaviour))
    np.testing.assert_array_equal(loaded.name(loaded.predict(behaviour)), model.name(model.predict(behaviour)))


def test_errors_say_what_came(planted: tuple[pd.DataFrame, np.ndarray]) -> None:
    behaviour, _ = planted
    with pytest.raises(SettingsError, match="expected kmeans or gaussian"):
        Segmenter(method="means")
    with pytest.raises(NotEnoughDataError, match="at least four"):
        Segmenter().fit(behaviour.head(3))
    with pytest.raises(FeatureError, match="lack gap_days"):
        Segmenter(2).fit(behaviour).predict(behaviour.drop(columns="gap_days"))
