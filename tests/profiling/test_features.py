"""Labelled rows from short and long histories."""

import dataclasses
from datetime import timedelta

import duckdb
import pytest

from ecomine.domain import Inputs
from ecomine.errors import NotEnoughDataError
from ecomine.profiling import ProfilingParams
from ecomine.profiling.features import label
from tests.profiling.test_segments import AS_OF, shop


def inputs(connection: duckdb.DuckDBPyConnection, days: int, params: ProfilingParams) -> Inputs:
    """Order lines of the last `days` before AS_OF, the first at their very beginning."""
    lines, _ = shop(users=80)
    begin = AS_OF - timedelta(days=days)
    lines = lines[lines["event_timestamp"] >= begin].sort_values("event_timestamp", ignore_index=True)
    lines.loc[0, "event_timestamp"] = begin
    return Inputs(connection, {"order_lines": connection.from_df(lines)}, AS_OF, params, 42, 1)


@pytest.mark.parametrize(("days", "periods"), [(170, 2), (91, 1)])
def test_a_short_history_has_fewer_training_periods_and_says_so(days: int, periods: int) -> None:
    params = ProfilingParams()
    with duckdb.connect() as connection:
        rows = label(inputs(connection, days, params))
    moments = sorted(rows.train["event_timestamp"].unique())
    horizon = timedelta(days=params.horizon_days)
    assert len(moments) == periods
    assert moments[-1] + horizon == AS_OF - horizon == rows.test["event_timestamp"].iloc[0]
    (note,) = rows.notes
    assert f"holds {periods} of 4 training periods" in note


def test_a_history_that_holds_all_periods_needs_no_words() -> None:
    params = dataclasses.replace(ProfilingParams(), train_periods=2)
    with duckdb.connect() as connection:
        assert label(inputs(connection, 170, params)).notes == ()


def test_without_room_for_two_windows_it_stops() -> None:
    with duckdb.connect() as connection, pytest.raises(NotEnoughDataError, match="at least 91 days"):
        label(inputs(connection, 90, ProfilingParams()))
