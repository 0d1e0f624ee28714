"""Every domain against every check, on a tiny shop with the real feature store."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from ecomine import feature_store
from ecomine.checks import CHECKS, Case
from ecomine.domain import Domain, Inputs, Rows
from ecomine.domains import DOMAINS
from ecomine.stages import Context
from tests.conftest import change_params, walk


@pytest.fixture(scope="module")
def context(walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A workspace with clean tables and the features of every domain; it is only read."""
    workspace = Path(shutil.copytree(walked, tmp_path_factory.mktemp("conformance") / "workspace"))
    change_params(workspace, domains=list(DOMAINS))
    walk(workspace, "features")
    return Context.of(workspace)


@pytest.fixture(scope="module", params=DOMAINS.values(), ids=lambda domain: domain.name)
def domain(request: pytest.FixtureRequest) -> Domain:
    return request.param


@pytest.fixture(scope="module")
def case(context: Context, domain: Domain) -> Iterator[Callable[[], Case]]:
    """Makes a case whose frames nobody else holds; labelling, joining and fitting is done once."""

    def read(rows: pd.DataFrame) -> pd.DataFrame:
        return feature_store.point_in_time(context.store.workspace, rows, domain.service)

    with context.connection() as connection:
        inputs = context.inputs(connection, domain)
        rows = domain.label(inputs)
        train, test = read(rows.train), read(rows.test)
        model = domain.fit(train, inputs)
        yield lambda: Case(inputs, Rows(train.copy(), test.copy(), rows.truth.copy()), read, model)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_conforms(check: Callable, domain: Domain, case: Callable[[], Case]) -> None:
    check(domain, case)


def test_the_shop_has_what_the_checks_leave_out(context: Context, domain: Domain) -> None:
    with context.connection() as connection:
        inputs: Inputs = context.inputs(connection, domain)
        assert inputs.as_of == datetime(2024, 5, 30)
        assert set(domain.requires) <= set(inputs.tables)


def test_a_check_fails_for_a_domain_that_breaks_it(domain: Domain, case: Callable[[], Case]) -> None:
    def forgetful(model: object, frame: pd.DataFrame, params: object) -> pd.DataFrame:
        return domain.decide(model, frame, params).drop(columns=domain.decision_columns[-1])

    with pytest.raises(AssertionError, match="decisions have the columns"):
        CHECKS["decides_in_canonical_columns"](replace(domain, decide=forgetful), case)

    def changing(model: object, frame: pd.DataFrame, params: object) -> pd.DataFrame:
        frame["new"] = 1
        return domain.decide(model, frame, params)

    with pytest.raises(AssertionError, match="requests"):
        CHECKS["does_not_change_its_inputs"](replace(domain, decide=changing), case)
