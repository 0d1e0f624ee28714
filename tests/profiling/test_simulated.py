"""Profiles of a simulated shop against its truth."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from ecomine.domain import Inputs
from ecomine.profiling import ProfilingParams, Segmenter
from ecomine.profiling.features import known
from ecomine.profiling.model import BEHAVIOUR, STEPS
from ecomine.profiling.portrait import neighbours, portrait
from ecomine.profiling.visits import BOUGHT, COLUMNS, intent, moments
from tests.simulation.conftest import make

DAYS = 110
START = datetime(2024, 1, 1)
AS_OF = START + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Inputs, pd.DataFrame]]:
    """Inputs over the shop's tables, and what is true of each person."""
    made = make(
        tmp_path_factory.mktemp("profiles"), users=320, items=120, days=DAYS, dirt=0.0, price_test_share=0.4,
        visits_per_year=60,
    )  # fmt: skip
    names = ("order_lines", "items", "events", "social_edges")
    tables = {name: made.connection.table(name) for name in names}
    truth = made.connection.sql("SELECT * FROM truth_people").df()
    yield Inputs(made.connection, tables, AS_OF, ProfilingParams(), 42, 1), truth.assign(user_id=truth.user_id.map(str))
    made.connection.close()


def rank_correlation(one: pd.Series, other: pd.Series) -> float:
    return float(np.corrcoef(one.rank(), other.rank())[0, 1])


def test_told_value_orders_people_like_their_true_one(shop: tuple[Inputs, pd.DataFrame]) -> None:
    inputs, truth = shop
    rows, _ = known(inputs, AS_OF)
    both = rows.merge(truth[truth["role"] == "honest"], on="user_id")
    horizon = inputs.params.horizon_days
    alive = np.clip(np.minimum(both.end_day, DAYS + horizon) - DAYS, 0, None)
    assert rank_correlation(both.expected_value, both.visits_per_day * both.basket * alive) > 0.7


def test_price_sensitivity_goes_with_the_true_one(shop: tuple[Inputs, pd.DataFrame]) -> None:
    inputs, truth = shop
    both = portrait(inputs, AS_OF).merge(truth, on="user_id")
    frequent = both[both.orders >= 10]
    assert rank_correlation(frequent.price_sensitivity, frequent.sensitivity) > 0.2


def test_segments_recover_the_kinds_put_in(shop: tuple[Inputs, pd.DataFrame]) -> None:
    inputs, truth = shop
    people = portrait(inputs, AS_OF, whole=False)
    model = Segmenter(4, words=BEHAVIOUR, steps=STEPS).fit(people[list(BEHAVIOUR)].astype(float))
    both = people.merge(truth, on="user_id")
    both = both[(both["role"] == "honest") & (both["orders"] >= 3)]
    found = model.predict(both[list(BEHAVIOUR)].astype(float))
    assert adjusted_rand_score(both["kind"], found) >= 0.5


def test_a_portrait_is_complete_and_knows_only_the_past(shop: tuple[Inputs, pd.DataFrame]) -> None:
    inputs, _ = shop
    early = AS_OF - timedelta(days=40)
    told = portrait(inputs, early)
    assert not told.isna().any(axis=None)
    assert told["last_order"].max() <= pd.Timestamp(early)
    lines = inputs.tables["order_lines"].df()
    lines = lines[lines.event_timestamp <= early]
    spent = (lines.quantity * lines.unit_price).groupby(lines.user_id).sum()
    np.testing.assert_allclose(told.set_index("user_id")["money"], spent.sort_index(), atol=1e-6)
    orders = lines.groupby("user_id").order_id.nunique()
    assert told.set_index("user_id")["orders"].tolist() == orders.sort_index().tolist()


def test_ties_tell_what_neighbours_do(shop: tuple[Inputs, pd.DataFrame]) -> None:
    inputs, _ = shop
    told = neighbours(inputs, AS_OF).set_index("user_id")
    edges = inputs.tables["social_edges"].df()[["user_id", "other_user_id"]].drop_duplicates()
    lines = inputs.tables["order_lines"].df()
    late = lines[(lines.event_timestamp <= AS_OF) & (lines.event_timestamp > AS_OF - timedelta(days=90))]
    orders = late.groupby("user_id").order_id.nunique()
    user = told.index[told.tie_orders.argmax()]
    others = edges[edges.user_id == user].other_user_id
    assert told.loc[user, "ties"] == len(others)
    assert told.loc[user, "tie_orders"] == pytest.approx(orders.reindex(others).fillna(0).mean())


def test_intent_tells_sessions_that_buy(shop: tuple[Inputs, pd.DataFrame]) -> None:
    inputs, _ = shop
    early = AS_OF - timedelta(days=30)
    model = intent(inputs.tables["events"], early, seed=1, threads=1)
    assert model is not None
    sessions = moments(inputs.tables["events"], AS_OF, newest=False)
    told = model.predict(sessions[list(COLUMNS)])
    bought = sessions[BOUGHT].to_numpy()
    ranks = pd.Series(told).rank().to_numpy()
    area = (ranks[bought > 0].mean() - (bought.sum() + 1) / 2) / (len(bought) - bought.sum())
    assert area > 0.6
    latest = moments(inputs.tables["events"], AS_OF, newest=True)
    assert latest["user_id"].is_unique


def test_a_portrait_made_in_blocks_of_customers_is_the_same(
    shop: tuple[Inputs, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, _ = shop
    whole = portrait(inputs, AS_OF)
    monkeypatch.setattr("ecomine.profiling.portrait.PEOPLE", 50)
    pd.testing.assert_frame_equal(portrait(inputs, AS_OF), whole, check_exact=True)
