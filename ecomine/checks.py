"""Conformance: what every domain must do, as plain functions that need no test file of their own.

A check gets a domain and a function that makes a fresh `Case`: the labelled rows with their features, the inputs, and
a feature reader. It raises AssertionError with the reason. A new domain is held against all of `CHECKS` by being in
`domains.DOMAINS`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.testing import assert_frame_equal

from ecomine.domain import EVENT_TIMESTAMP, LABEL, Domain, FeatureReader, Inputs, Rows
from ecomine.errors import EcomineError, FeatureError, NotEnoughDataError


@dataclass(frozen=True)
class Case:
    """A small shop to hold a domain against: its inputs, `rows` with features, and how features are read.

    `model` is fitted on these rows; it may be shared between cases, the frames may not.
    """

    inputs: Inputs
    rows: Rows
    read: FeatureReader
    model: Any

    def decisions(self, domain: Domain, model: Any, keys: pd.DataFrame | None = None) -> pd.DataFrame:
        return domain.decide(model, self.read(domain.request(model, keys)), self.inputs.params)


def rows_are_labelled_in_time(domain: Domain, case: Callable[[], Case]) -> None:
    """Training is over before the test begins, and the test before as_of."""
    given = case()
    for name, frame in (("train", given.rows.train), ("test", given.rows.test)):
        for column in (EVENT_TIMESTAMP, LABEL, domain.entity):
            assert column in frame, f"{name} rows lack {column}; they have {list(frame.columns)}"
        assert len(frame), f"there are no {name} rows"
    train, test = (frame[EVENT_TIMESTAMP] for frame in (given.rows.train, given.rows.test))
    assert train.max() < test.min(), f"training rows reach to {train.max()}, test rows begin at {test.min()}"
    assert test.max() <= given.inputs.as_of, f"test rows reach to {test.max()}, after as_of {given.inputs.as_of}"


def decides_in_canonical_columns(domain: Domain, case: Callable[[], Case]) -> None:
    """It fits, and its decisions have the declared columns, no null, and an entity that was asked for."""
    given = case()
    decisions = given.decisions(domain, given.model)
    assert tuple(decisions.columns) == domain.decision_columns, (
        f"decisions have the columns {list(decisions.columns)}; declared are {list(domain.decision_columns)}"
    )
    assert len(decisions), "there is no decision"
    nulls = decisions.isna().sum()
    assert not nulls.any(), f"decisions hold nulls: {nulls[nulls > 0].to_dict()}"
    assert not decisions.duplicated().any(), "a decision is there twice"


def is_deterministic(domain: Domain, case: Callable[[], Case]) -> None:
    """Labels are equal frames and models equal bytes, whenever they are made."""
    given = case()
    once, again = domain.label(given.inputs), domain.label(given.inputs)
    for name in ("train", "test", "truth"):
        assert_frame_equal(getattr(once, name), getattr(again, name), check_exact=True, obj=f"{name} rows")
    files = [_files(given.model), _files(domain.fit(given.rows.train, given.inputs))]
    assert files[0].keys() == files[1].keys(), f"the files differ: {sorted(files[0].keys() ^ files[1].keys())}"
    changed = [name for name in files[0] if files[0][name] != files[1][name]]
    assert not changed, f"two fits on the same rows saved different bytes: {changed}"


def does_not_change_its_inputs(domain: Domain, case: Callable[[], Case]) -> None:
    """Frames that were handed in are the same afterwards."""
    given = case()
    before = {name: getattr(given.rows, name).copy(deep=True) for name in ("train", "test", "truth")}
    model = domain.fit(given.rows.train, given.inputs)
    requests = given.read(domain.request(model, None))
    asked = requests.copy(deep=True)
    decisions = domain.decide(model, requests, given.inputs.params)
    decided = decisions.copy(deep=True)
    domain.evaluate(model, given.rows.test, given.rows.truth, given.inputs.params)
    domain.check(model, decisions, given.inputs)
    for name, frame in before.items():
        assert_frame_equal(getattr(given.rows, name), frame, check_exact=True, obj=f"{name} rows")
    assert_frame_equal(requests, asked, check_exact=True, obj="requests")
    assert_frame_equal(decisions, decided, check_exact=True, obj="decisions")


def saves_and_loads_to_equal_answers(domain: Domain, case: Callable[[], Case]) -> None:
    """A model from its files answers like the one that wrote them, and would write the same files."""
    given = case()
    model = given.model
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        loaded = domain.load(Path(folder))
        unsafe = [path.name for path in Path(folder).rglob("*") if path.suffix in {".pkl", ".pickle", ".joblib"}]
    assert not unsafe, f"files that can hold code: {unsafe}"
    assert _files(model) == _files(loaded), "a loaded model saves other bytes than the one it was loaded from"
    assert_frame_equal(
        given.decisions(domain, model), given.decisions(domain, loaded), check_exact=True, obj="decisions"
    )


def one_request_equals_the_batch(domain: Domain, case: Callable[[], Case]) -> None:
    """An entity asked for alone gets what it gets among all."""
    given = case()
    model = given.model
    batch = given.decisions(domain, model)
    for entity in np.unique(batch[domain.entity])[:: max(1, batch[domain.entity].nunique() // 5)]:
        alone = given.decisions(domain, model, pd.DataFrame({domain.entity: [entity]}))
        expected = batch[batch[domain.entity] == entity].reset_index(drop=True)
        assert_frame_equal(alone.reset_index(drop=True), expected, check_exact=True, obj=f"decisions for {entity}")


def evaluates_against_baselines(domain: Domain, case: Callable[[], Case]) -> None:
    """Metrics are finite numbers for the model and at least one baseline; so is the money of every unit."""
    given = case()
    result = domain.evaluate(given.model, given.rows.test, given.rows.truth, given.inputs.params)
    assert "model" in result.metrics, f"metrics are of {list(result.metrics)}, none of them `model`"
    broken = {
        f"{method}.{name}": value
        for method, named in result.metrics.items()
        for name, value in named.items()
        if not np.isfinite(value)
    }
    assert not broken, f"metrics that are no numbers: {broken}"
    money = result.values.select_dtypes("number")
    assert "model" in money and money.shape[1] >= 2, f"values have the methods {list(money.columns)}"
    assert len(money) and np.isfinite(money.to_numpy(float)).all(), "values hold nulls, or there are none"
    for name, frame in result.plots.items():
        assert len(frame), f"the plot {name} has nothing to draw"


def checks_its_decisions(domain: Domain, case: Callable[[], Case]) -> None:
    """Its own checks pass on its decisions and notice that decisions are gone."""
    given = case()
    model = given.model
    decisions = given.decisions(domain, model)
    failed = [check.why for check in domain.check(model, decisions, given.inputs) if not check.passed]
    assert not failed, f"sound decisions fail: {failed}"
    nothing = domain.check(model, decisions.iloc[:0], given.inputs)
    assert any(not check.passed for check in nothing), "no check notices that there is no decision"


def tells_what_is_too_little(domain: Domain, case: Callable[[], Case]) -> None:
    """No row, or one row, to learn from is a clear error and not a traceback; no request is no decision."""
    given = case()
    for count in (0, 1):
        rows = given.rows.train.iloc[:count]
        _expect(NotEnoughDataError, partial(domain.fit, rows, given.inputs), f"fit on {count} rows")
    for name in domain.requires:
        for count in (0, 1):
            tables = {**given.inputs.tables, name: given.inputs.tables[name].limit(count)}
            short = replace(given.inputs, tables=tables)
            _expect(NotEnoughDataError, partial(domain.label, short), f"label with {count} rows of {name}")
    test, truth = given.rows.test.iloc[:0], given.rows.truth.iloc[:0]
    model = given.model
    _expect(
        NotEnoughDataError, partial(domain.evaluate, model, test, truth, given.inputs.params), "evaluate on no rows"
    )
    nobody = pd.DataFrame({domain.entity: pd.Series([], dtype=object)})
    empty = given.decisions(domain, model, nobody)
    assert len(empty) == 0 and tuple(empty.columns) == domain.decision_columns, "no request must give no decision"


def answers_for_the_unknown(domain: Domain, case: Callable[[], Case]) -> None:
    """An entity that was never seen gets decisions, or none, but no error."""
    given = case()
    model = given.model
    decisions = given.decisions(domain, model, pd.DataFrame({domain.entity: ["never seen before"]}))
    assert tuple(decisions.columns) == domain.decision_columns
    assert not decisions.isna().any(axis=None), "decisions for an unknown entity hold nulls"


def names_missing_features(domain: Domain, case: Callable[[], Case]) -> None:
    """A feature that the model learned from and that a request lacks is named."""
    given = case()
    model = given.model
    requests = given.read(domain.request(model, None))
    features = [name for name in requests.columns if "__" in name]
    if not features:
        return
    message = _expect(
        FeatureError,
        partial(domain.decide, model, requests.drop(columns=features[0]), given.inputs.params),
        f"decide without {features[0]}",
    )
    assert features[0] in message, f"the error does not name {features[0]}: {message}"


def says_what_it_did_without(domain: Domain, case: Callable[[], Case]) -> None:
    """A table that makes it better may be absent, and is named; one that it needs may not."""
    given = case()
    needed = {name: table for name, table in given.inputs.tables.items() if name in domain.requires}
    bare = replace(given.inputs, tables=needed)
    said = " ".join(bare.without(domain))
    unsaid = [name for name in domain.improves if name not in said]
    assert not unsaid, f"it does not say that it did without {unsaid}"
    rows = domain.label(bare)
    model = domain.fit(given.read(rows.train), bare)
    assert len(domain.decide(model, given.read(domain.request(model, None)), bare.params)), "there is no decision"
    for name in domain.requires:
        rest = {other: table for other, table in given.inputs.tables.items() if other != name}
        message = _expect(
            NotEnoughDataError,
            partial(replace(given.inputs, tables=rest).without, domain),
            f"run without {name}",
        )
        assert name in message, f"the error does not name {name}: {message}"


CHECKS: dict[str, Callable[[Domain, Callable[[], Case]], None]] = {
    check.__name__: check
    for check in (
        rows_are_labelled_in_time,
        decides_in_canonical_columns,
        is_deterministic,
        does_not_change_its_inputs,
        saves_and_loads_to_equal_answers,
        one_request_equals_the_batch,
        evaluates_against_baselines,
        checks_its_decisions,
        tells_what_is_too_little,
        answers_for_the_unknown,
        names_missing_features,
        says_what_it_did_without,
    )
}
"""Every check, by name."""


def _files(model: Any) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }


def _expect(kind: type[EcomineError], act: Callable[[], Any], what: str) -> str:
    """The message of the error that `act` must raise."""
    try:
        act()
    except kind as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"{what}: expected {kind.__name__}, got {type(error).__name__}: {error}") from error
    raise AssertionError(f"{what}: expected {kind.__name__}, got no error")
