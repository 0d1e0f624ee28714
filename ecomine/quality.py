"""Validation of clean tables by Great Expectations, whose only importer this module is.

A suite is a file of the folder `expectations`, in Great Expectations' own JSON, named for its table. An
expectation of severity `critical` stops the run; `warning` and `info` are reported. A suite may use the
parameters `as_of`, `earliest` and `fresh_since` (`as_of` less `quality.max_age_days`), written as
`{"$PARAMETER": "as_of"}`.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read by Great Expectations when it is imported

import great_expectations as gx
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from ecomine.errors import EcomineError, ExpectationError, SettingsError
from ecomine.params import Params, QualityParams
from ecomine.store import replacing
from ecomine.tables import TABLES, Table

CRITICAL = "critical"
SAMPLES = 5
"""Unexpected values shown in Data Docs, where the column is not personal."""

COUNTS = frozenset(
    {
        "element_count",
        "missing_count",
        "missing_percent",
        "unexpected_count",
        "unexpected_percent",
        "unexpected_percent_total",
        "unexpected_percent_nonmissing",
    }
)
"""What is kept of a result about a personal column: how many, never which."""

ABOUT_COLUMNS = ("expect_table_", "expect_column_type_to_be", "expect_column_to_exist")
"""Beginnings of the names of expectations whose results hold names and types, but no value of a row."""

PANDAS_TYPES = {
    pa.string(): pd.StringDtype("pyarrow"),
    pa.large_string(): pd.StringDtype("pyarrow"),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
"""Arrow types that pandas would otherwise turn into another type as soon as a null is among the values."""


def validate(
    tables: Mapping[str, duckdb.DuckDBPyRelation],
    suites_folder: Path,
    as_of: datetime,
    params: Params,
    docs_folder: Path,
) -> dict[str, Any]:
    """Hold each table against the suite of its name and write the Data Docs to `docs_folder`.

    Returns `{"tables": {name: {"rows", "validated", "expectations": [{"type", "columns", "kwargs",
    "severity", "success", "unexpected", "unexpected_share"}]}}}`, the same for the same data and suites.
    Raises SettingsError for a suite that is absent, is not readable or cannot be run on its table.
    """
    parameters = {
        "as_of": as_of,
        "earliest": params.cleaning.earliest,
        "fresh_since": as_of - timedelta(days=params.quality.max_age_days),
    }
    suites = {name: _read_suite(suites_folder / f"{name}.json", name) for name in sorted(tables)}
    report: dict[str, Any] = {}
    with replacing(docs_folder) as folder:
        context = _context(folder)
        for name, suite in suites.items():
            rows = int(tables[name].count("*").fetchall()[0][0])
            frame = load(tables[name], rows, params.quality.max_rows)
            result = _run(context, TABLES[name], suite, frame, parameters)
            report[name] = {
                "rows": rows,
                "validated": len(frame),
                "expectations": [_summary(name, one, len(frame)) for one in result.results],
            }
        with _whole_docs():
            context.build_data_docs()
    return {"tables": report}


def warnings(results: Mapping[str, Any]) -> list[str]:
    """What failed without being critical, a line each."""
    return [_told(name, one) for name, one in _failed(results) if one["severity"] != CRITICAL]


def raise_on_critical(results: Mapping[str, Any], docs: Path) -> None:
    """Raise ExpectationError where a critical expectation failed, naming each of them and the Data Docs."""
    broken = [_told(name, one) for name, one in _failed(results) if one["severity"] == CRITICAL]
    if broken:
        raise ExpectationError(
            "The clean tables break what is expected of them; nothing is trained on them.\n  "
            + "\n  ".join(broken)
            + f"\nLook at {docs / 'index.html'}. Then mend the source, its mapping or a rule of the "
            "section `cleaning`; or, where the expectation is wrong for this shop, change its suite."
        )


def volume_warnings(volumes: Mapping[str, int], last: Mapping[str, int], params: QualityParams) -> list[str]:
    """Tables that came, went or changed by more than `max_volume_change` since the last run, a line each."""
    if not last:
        return []
    lines = [f"{name}: the table is gone; the last run had {last[name]:,} rows" for name in last if name not in volumes]
    for name, rows in volumes.items():
        before = last.get(name)
        if before is None:
            lines.append(f"{name}: a new table of {rows:,} rows")
        elif abs(rows - before) > params.max_volume_change * max(before, 1):
            change = (rows - before) / max(before, 1)
            lines.append(f"{name}: {rows:,} rows, {change:+.0%} against the last run's {before:,}")
    return sorted(lines)


def _read_suite(path: Path, name: str) -> gx.ExpectationSuite:
    if not path.is_file():
        raise SettingsError(
            f"There is no {path.parent.name}/{path.name}; every table needs a suite of expectations. "
            f'An empty one is {{"name": "{name}", "expectations": []}}.'
        )
    try:
        document = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.parent.name}/{path.name} is not valid JSON: {error}.") from error
    if not isinstance(document, dict) or not isinstance(document.get("expectations"), list):
        raise SettingsError(
            f"{path.parent.name}/{path.name} is no suite; expected an object with a list `expectations`."
        )
    expectations = []
    # One by one: given a whole list, the suite would only log what it does not know, and drop it.
    for place, one in enumerate(document["expectations"], start=1):
        try:
            expectations.append(ExpectationConfiguration(**one).to_domain_obj())
        except Exception as error:  # whatever Great Expectations raises, it is about this entry
            raise SettingsError(
                f"{path.parent.name}/{path.name}: entry {place} is not an expectation "
                f"that Great Expectations {gx.__version__} can read: {_plain(error)}"
            ) from error
    return gx.ExpectationSuite(name=name, expectations=expectations, meta=document.get("meta"))


def _context(docs_folder: Path) -> EphemeralDataContext:
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        data_docs_sites={
            "validation": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                "store_backend": {
                    "class_name": "TupleFilesystemStoreBackend",
                    "base_directory": str(docs_folder),
                },
            }
        },
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


@contextmanager
def _whole_docs() -> Iterator[None]:
    """Stop at a page that cannot be written, which Great Expectations would only log, with a traceback."""

    def stop(record: logging.LogRecord) -> bool:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            raise error
        if error is not None:
            raise EcomineError(f"The Data Docs cannot be written: {type(error).__name__}: {_plain(error)}.") from error
        return True

    logger = logging.getLogger("great_expectations.render.renderer.site_builder")
    logger.addFilter(stop)
    try:
        yield
    finally:
        logger.removeFilter(stop)


def load(relation: duckdb.DuckDBPyRelation, rows: int, max_rows: int) -> pd.DataFrame:
    """The rows as pandas, or every k-th of them with the smallest k that keeps to `max_rows`."""
    if rows > max_rows:
        step = -(-rows // max_rows)
        relation = relation.query(
            "whole",
            f"SELECT * EXCLUDE (place) FROM (SELECT *, row_number() OVER () AS place FROM whole) "
            f"WHERE (place - 1) % {step} = 0",
        )
    return relation.to_arrow_table().to_pandas(types_mapper=PANDAS_TYPES.get, self_destruct=True, split_blocks=True)


def _run(
    context: EphemeralDataContext,
    table: Table,
    suite: gx.ExpectationSuite,
    frame: pd.DataFrame,
    parameters: Mapping[str, datetime],
) -> ExpectationSuiteValidationResult:
    source = context.data_sources.add_pandas(table.name)
    batch = source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("rows")
    definition = gx.ValidationDefinition(name=table.name, data=batch, suite=context.suites.add(suite))
    as_of = parameters["as_of"]
    result = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": frame},
        expectation_parameters=dict(parameters),
        result_format={"result_format": "BASIC", "partial_unexpected_count": SAMPLES},
        run_id=RunIdentifier(run_name=f"{as_of:%Y-%m-%d}", run_time=as_of.replace(tzinfo=UTC)),
    )
    for one in result.results:
        _raise_on_exception(table, one)
        about_values = not _config(one)["type"].startswith(ABOUT_COLUMNS)
        if about_values and set(_columns(one)) & set(table.personal):
            one.result = {key: value for key, value in one.result.items() if key in COUNTS}
        if "unexpected_percent" not in one.result:
            # A count of distinct values, which the site builder would take for one of rows and stumble over.
            one.result.pop("unexpected_count", None)
    store = context.validation_results_store
    for key in store.list_keys():
        if isinstance(key, ValidationResultIdentifier) and key.expectation_suite_identifier.name == table.name:
            store.set(key, result)
    context.data_sources.delete(table.name)  # lets go of the frame
    return result


def _raise_on_exception(table: Table, one: ExpectationValidationResult) -> None:
    information = one.exception_info or {}
    for problem in [information, *(value for value in information.values() if isinstance(value, dict))]:
        if problem.get("raised_exception") and problem.get("exception_message"):
            config = _config(one)
            # The message may quote values.
            personal = set(_columns(one)) & set(table.personal)
            why = "" if personal else f": {_plain(problem['exception_message'])}"
            raise SettingsError(
                f"expectations/{table.name}.json: {config['type']} on "
                f"{', '.join(_columns(one)) or 'the table'} cannot be run{why}. "
                f"The columns of {table.name} are {', '.join(table.names)}."
            )


def _config(one: ExpectationValidationResult) -> dict[str, Any]:
    configuration = one.expectation_config
    if configuration is None:
        raise ExpectationError("Great Expectations returned a result that does not say which expectation it is of.")
    return configuration.to_json_dict()


def _columns(one: ExpectationValidationResult) -> list[str]:
    kwargs = _config(one)["kwargs"]
    named = [kwargs.get(key) for key in ("column", "column_A", "column_B")]
    return [name for name in named if name] + list(kwargs.get("column_list") or [])


def _summary(name: str, one: ExpectationValidationResult, rows: int) -> dict[str, Any]:
    config = _config(one)
    hidden = ("batch_id", "column", "column_A", "column_B", "column_list")
    kwargs = {key: value for key, value in config["kwargs"].items() if key not in hidden and value is not None}
    unexpected = one.result.get("unexpected_count")
    return {
        "type": config["type"],
        "columns": _columns(one),
        "kwargs": kwargs,
        "severity": str(getattr(config["severity"], "value", config["severity"])),
        "success": bool(one.success),
        "unexpected": unexpected,
        "unexpected_share": None if unexpected is None else unexpected / max(rows, 1),
    }


def _failed(results: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, table in results["tables"].items():
        for one in table["expectations"]:
            if not one["success"]:
                yield name, one


def _told(name: str, one: Mapping[str, Any]) -> str:
    place = f"{name}.{' + '.join(one['columns'])}" if one["columns"] else name
    wanted = ", ".join(f"{key} {value}" for key, value in one["kwargs"].items())
    share = "" if one["unexpected_share"] is None else f": {one['unexpected_share']:.2%} of rows are unexpected"
    return f"{place}: {one['type']}{f' ({wanted})' if wanted else ''} failed ({one['severity']}){share}"


def _plain(error: object) -> str:
    return " ".join(str(error).split())
