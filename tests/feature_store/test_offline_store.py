"""The ASOF store against a brute-force twin of Feast's meaning, through Feast's own door."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.infra.registry.registry import Registry
from feast.repo_config import RegistryConfig, RepoConfig
from feast.types import Float64, String
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecomine.errors import FeatureError
from ecomine.feature_store.offline_store import AsofOfflineStore, AsofOfflineStoreConfig, join, match
from ecomine.feature_store.offline_store.match import Rows, newest

START = datetime(2024, 1, 1)
hours = st.integers(0, 6).map(lambda hour: START + timedelta(hours=hour))
keys = st.sampled_from(["a", "b", None])
maybe_hours = st.one_of(st.none(), hours)
feature_rows = st.lists(st.tuples(keys, hours, maybe_hours), max_size=12)
entity_rows = st.lists(st.tuples(keys, maybe_hours), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repo")


def make_view(ttl: timedelta | None, field_mapping: dict[str, str] | None = None) -> FeatureView:
    entity = Entity(name="who", join_keys=["who"], value_type=ValueType.STRING)
    return FeatureView(
        name="view",
        entities=[entity],
        ttl=ttl,
        schema=[Field(name="who", dtype=String), Field(name="value", dtype=Float64)],
        source=FileSource(
            name="s",
            path="view.parquet",
            timestamp_field="event_timestamp",
            created_timestamp_column="created",
            field_mapping=field_mapping,
        ),
    )


def write(repo: Path, rows: list[tuple[str | None, datetime, datetime | None]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["who", "event_timestamp", "created"])
    frame = frame.astype({"who": object, "event_timestamp": "datetime64[us]", "created": "datetime64[us]"})
    # Rows alike in key, time and creation have no order between them, so they share a value.
    frame["value"] = frame.groupby(["who", "event_timestamp", "created"], dropna=False).ngroup().astype(float)
    frame.to_parquet(repo / "view.parquet", index=False)
    return frame


def retrieve(
    repo: Path, entities: pd.DataFrame | str, view: FeatureView, known_only: bool = False, full: bool = False
) -> pd.DataFrame:
    config = RepoConfig(
        project="p",
        provider="local",
        registry=str(repo / "registry.db"),
        offline_store=AsofOfflineStoreConfig(),
        entity_key_serialization_version=3,
    )
    config.repo_path = repo
    registry = Registry("p", RegistryConfig(path=str(repo / "registry.db")), None)
    return AsofOfflineStore.get_historical_features(
        config, [view], [f"{view.projection.name_to_use()}:value"], entities, registry, "p", full, known_only
    ).to_df()


def twin(
    features: pd.DataFrame, who: str | None, moment: datetime | None, ttl: timedelta | None, known_only: bool
) -> float:
    """The newest row not after the moment, latest created among equals, nothing older than the TTL."""
    best: tuple[datetime, datetime] | None = None
    value = np.nan
    for row in features.itertuples():
        if who is None or moment is None or row.who != who or row.event_timestamp > moment:
            continue
        if ttl and row.event_timestamp < moment - ttl:
            continue
        if known_only and not row.created <= moment:
            continue
        rank = (row.event_timestamp, pd.Timestamp.min if row.created is pd.NaT else row.created)
        if best is None or rank > best:
            best, value = rank, row.value
    return value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=feature_rows,
    entities=entity_rows,
    ttl=st.sampled_from([None, timedelta(0), timedelta(hours=2)]),
    known_only=st.booleans(),
    held=st.booleans(),
)
def test_equals_the_twin(
    repo: Path, rows: list, entities: list, ttl: timedelta | None, known_only: bool, held: bool
) -> None:
    features = write(repo, rows)
    frame = pd.DataFrame(entities, columns=["who", "event_timestamp"])
    frame = frame.astype({"who": object, "event_timestamp": "datetime64[us]"}).assign(label=range(len(entities)))
    with pytest.MonkeyPatch.context() as patch:
        if not held:  # as where stored rows are too many to be held
            patch.setattr(join, "HELD", 0)
            patch.setattr(join, "PART", 2)
        got = retrieve(repo, frame.copy(), make_view(ttl), known_only)
    expected = [twin(features, who, moment, ttl, known_only) for who, moment in entities]
    assert got.label.tolist() == frame.label.tolist()
    np.testing.assert_array_equal(got.value.to_numpy(dtype=float), expected)


@settings(max_examples=40, deadline=None)
@given(
    stored=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)), max_size=30),
    asked=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(-1, 10)), max_size=20),
    room=st.sampled_from([2**62, 40, 2]),
    unit=st.sampled_from([1, 1_000_000]),
)
def test_keys_and_times_that_do_not_fit_into_one_number(stored: list, asked: list, room: int, unit: int) -> None:
    """Times are ranked and combinations counted anew where there is no room; the answers are the same."""
    sides = [np.array(side, dtype=np.int64).reshape(-1, 3) for side in (stored, asked)]
    rows, wanted = (Rows([side[:, 0], side[:, 1]], side[:, 2] * unit, place=np.arange(len(side))) for side in sides)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(match, "ROOM", room)
        got = newest(rows, wanted, [3, 4], None, False)
    for (one, other, moment), found in zip(asked, got.tolist(), strict=True):
        fits = [(t, n) for n, (a, b, t) in enumerate(stored) if (a, b) == (one, other) and t <= moment]
        assert found == max(fits, default=(0, -1))[1]


ROWS = [("a", START, START), ("a", START + timedelta(hours=2), START)]


def test_join_key_map_full_names_and_sql(repo: Path) -> None:
    write(repo, ROWS)
    view = make_view(None).with_name("seller").with_join_key_map({"who": "seller_id"})
    sql = "SELECT 'a' AS seller_id, TIMESTAMP '2024-01-01 01:00:00' AS event_timestamp"
    got = retrieve(repo, sql, view, full=True)
    assert got.columns.tolist() == ["seller_id", "event_timestamp", "seller__value"]
    assert got["seller__value"].tolist() == [0.0]


def test_field_mapping(repo: Path) -> None:
    write(repo, ROWS)
    stored = pd.read_parquet(repo / "view.parquet").rename(columns={"value": "v", "event_timestamp": "t"})
    stored.to_parquet(repo / "view.parquet", index=False)
    view = make_view(None, {"v": "value", "t": "event_timestamp"})
    frame = pd.DataFrame({"who": ["a"], "event_timestamp": [START + timedelta(hours=3)]})
    assert retrieve(repo, frame, view).value.tolist() == [1.0]


def test_times_of_any_zone(repo: Path) -> None:
    write(repo, ROWS)
    frame = pd.DataFrame(
        {"who": ["a"], "event_timestamp": pd.to_datetime(["2024-01-01 03:00"]).tz_localize("Europe/Berlin")}
    )
    assert retrieve(repo, frame, make_view(None)).value.tolist() == [1.0]
    frame = pd.DataFrame({"who": ["a"], "event_timestamp": ["2024-01-01T02:30:00+01:00"]})
    assert retrieve(repo, frame, make_view(None)).value.tolist() == [0.0]


def test_a_missing_key_column_is_named(repo: Path) -> None:
    write(repo, ROWS)
    with pytest.raises(FeatureError, match="lack who"):
        retrieve(repo, pd.DataFrame({"id": ["a"], "event_timestamp": [START]}), make_view(None))


def test_the_last_row_of_the_file_counts_among_equal_ones(repo: Path) -> None:
    count = 300_000
    frame = pd.DataFrame({"who": "a", "event_timestamp": START, "created": START, "value": range(count)})
    frame.astype({"value": float}).to_parquet(repo / "view.parquet", index=False, row_group_size=20_000)
    rows = pd.DataFrame({"who": ["a"], "event_timestamp": [START]})
    for known_only in (False, True):
        assert {retrieve(repo, rows, make_view(None), known_only).value[0] for _ in range(3)} == {count - 1}
