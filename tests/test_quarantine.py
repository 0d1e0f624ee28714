"""Quarantine: counted by reason, and re-admitted once a rule has changed."""

from pathlib import Path

import pandas as pd
import pytest

from ecomine import layout, quarantine
from ecomine.errors import CleaningError, MissingInputError
from ecomine.params import CleaningParams, Params
from ecomine.quarantine import Refused
from ecomine.stages import Context, data
from ecomine.store import Store
from ecomine.tables import MALFORMED
from tests.shop import tiny_shop
from tests.test_cleaning import canonical


def context(workspace: Path, **changes: float) -> Context:
    return Context(Store(workspace), Params(cleaning=CleaningParams(**changes)))


@pytest.fixture
def ingested(tmp_path: Path) -> Path:
    """A workspace whose canonical order lines hold three large orders, one twice, and two cancellations."""
    lines = tiny_shop(users=20)["order_lines"]
    lines.loc[[0, 1, 2], "quantity"] = [1500.0, 1500.0, 2500.0]
    lines.loc[[3, 4], "quantity"] = -1.0
    lines = pd.concat([lines, lines.iloc[[0]]], ignore_index=True)
    folder = tmp_path / layout.CANONICAL
    folder.mkdir(parents=True)
    canonical("order_lines", lines).to_parquet(folder / "order_lines.parquet", index=False)
    return tmp_path


def rows(workspace: Path) -> int:
    return sum(
        len(pd.read_parquet(workspace / folder / "order_lines.parquet")) for folder in (layout.CLEAN, layout.QUARANTINE)
    )


def test_counts_by_reason(ingested: Path) -> None:
    data.clean(context(ingested))
    assert quarantine.counts(Store(ingested)) == [
        Refused("order_lines", "quantity above max_quantity", 4),
        Refused("order_lines", "cancellation or return", 2),
    ]


def test_rows_come_back_after_a_rule_changed(ingested: Path) -> None:
    data.clean(context(ingested))
    before = rows(ingested)
    came_back = quarantine.readmit(context(ingested, max_quantity=2000.0))
    # Of the order that was there twice one copy stays out, now as a copy: it did not come back.
    assert came_back == [Refused("order_lines", "quantity above max_quantity", 2)]
    assert quarantine.counts(Store(ingested)) == [
        Refused("order_lines", "cancellation or return", 2),
        Refused("order_lines", "exact copy", 1),
        Refused("order_lines", "quantity above max_quantity", 1),
    ]
    assert rows(ingested) == before
    assert (pd.read_parquet(ingested / layout.CLEAN / "order_lines.parquet")["quantity"] == 1500.0).sum() == 2


def test_nothing_comes_back_where_nothing_changed(ingested: Path) -> None:
    data.clean(context(ingested))
    files = [ingested / folder / "order_lines.parquet" for folder in (layout.CLEAN, layout.QUARANTINE)]
    before = [path.read_bytes() for path in files]
    assert quarantine.readmit(context(ingested)) == []
    assert [path.read_bytes() for path in files] == before
    assert {path.name for path in (ingested / "data").iterdir()} == {"canonical", "clean", "quarantine"}


def test_tables_that_were_ingested_anew_must_be_cleaned_first(ingested: Path) -> None:
    data.clean(context(ingested))
    path = ingested / layout.CANONICAL / "order_lines.parquet"
    frame = pd.read_parquet(path)
    frame[MALFORMED] = frame[MALFORMED].astype(object)
    frame.iloc[10:].to_parquet(path, index=False)
    with pytest.raises(CleaningError, match="ingested anew since"):
        quarantine.readmit(context(ingested))


def test_without_a_quarantine_the_stage_to_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="ecomine stage clean"):
        quarantine.counts(Store(tmp_path))
    with pytest.raises(MissingInputError, match="ecomine stage clean"):
        quarantine.readmit(context(tmp_path))
