"""What a shop, its mapping or its settings can have wrong, listed: each is told clearly, and nothing is touched."""

import json
import re
from pathlib import Path

import pytest

from ecomine import layout
from tests.bad_inputs.spoil import (
    as_text,
    content,
    cut,
    expecting,
    gone,
    line,
    mapped,
    only,
    replaced,
    rows,
    setting,
    shop,
)
from tests.bad_inputs.telling import ROAD, Fault, files, refuse, run

BROKEN_EXPECTATION = expecting(
    "items", type="expect_table_row_count_to_be_between", kwargs={"min_value": 1000}, severity="critical"
)

FAULTS: dict[str, Fault] = {
    "a required column is missing": Fault(
        rows("order_lines", lambda frame: frame.drop(columns="item_id")),
        "ingest",
        r"sql\.tables\.order_lines: SELECT .*\n.*required column item_id is missing.*Columns there: order_id, user_id",
    ),
    "a column is misspelled": Fault(
        rows("order_lines", lambda frame: frame.rename(columns={"quantity": "quantty"})),
        "ingest",
        r'column quantity is missing\. Did you mean `"quantty" AS quantity`',
    ),
    "an unknown column": Fault(
        rows("items", lambda frame: frame.assign(colour="red")),
        "ingest",
        r"items knows no column colour.*Known: item_id, category",
    ),
    "text in most of a column of numbers": Fault(
        rows("order_lines", as_text("unit_price", 1, "12,50 EUR")),
        "ingest",
        r"values of unit_price \(VARCHAR\) are no number, such as '12,50 EUR'",
    ),
    "numbers where times belong": Fault(
        rows("order_lines", lambda frame: frame.assign(event_timestamp=frame.index)),
        "ingest",
        r"values of event_timestamp \(BIGINT\) are no time",
    ),
    "an empty file": Fault(content("data/raw/items.parquet", b""), "ingest", r"items\.parquet is empty \(0 bytes\)"),
    "a table without rows": Fault(
        rows("users", lambda frame: frame.head(0)),
        "ingest",
        r"sql\.tables\.users: .*\n.*no rows came.*leave users out of the mapping",
    ),
    "a truncated Parquet file": Fault(
        cut("data/raw/order_lines.parquet"), "ingest", r"order_lines\.parquet'\. .*lost its end"
    ),
    "a CSV file that calls itself Parquet": Fault(
        content("data/raw/items.parquet", b"item_id,title\ni0001,thing\n"),
        "ingest",
        r"items\.parquet.*It is no Parquet file",
    ),
    "bytes that are no text in a CSV file": Fault(
        lambda workspace: (
            mapped("items", "SELECT * FROM 'items.csv'")(workspace),
            content("data/raw/items.csv", b"item_id,title\n" + bytes(range(128, 256)) * 9)(workspace),
        ),
        "ingest",
        r"sql\.tables\.items: .*\n.*Files in data/raw: items\.csv",
    ),
    "a folder where a file belongs": Fault(
        lambda workspace: (gone("data/raw/items.parquet")(workspace), (workspace / "data/raw/items.parquet").mkdir()),
        "ingest",
        r"sql\.tables\.items: .*\n.*items\.parquet",
    ),
    "a missing file": Fault(
        gone("data/raw/items.parquet"),
        "ingest",
        r"items\.parquet.*Files in data/raw: order_lines\.parquet, promotions\.parquet, users\.parquet",
    ),
    "a missing folder": Fault(gone("data/raw"), "ingest", r"the folder data/raw is not there\. Set `raw`"),
    "a syntax error in a mapping": Fault(
        mapped("items", "SELECT item_id, FROM WHERE 'items.parquet'"),
        "ingest",
        r"sql\.tables\.items: .*\n.*syntax error",
    ),
    "a mapping that is no SELECT": Fault(mapped("items", "DROP TABLE items"), "ingest", r"expected one SELECT"),
    "a column that the file lacks": Fault(
        mapped("items", "SELECT sku AS item_id FROM 'items.parquet'"),
        "ingest",
        r'"sku" not found.*Columns of items\.parquet: item_id, category',
    ),
    "an unknown canonical table": Fault(
        mapped("orderlines", "SELECT * FROM 'order_lines.parquet'"),
        "ingest",
        r"sql\.tables\.orderlines: there is no such table\. Did you mean `order_lines`",
    ),
    "no table at all": Fault(setting("sql.tables", {}), "ingest", r"`sql\.tables` maps nothing"),
    "a database that is not there": Fault(
        setting("sql.database", "sqlite:///data/raw/nowhere.db"),
        "ingest",
        r"nowhere\.db",
    ),
    "an address that is no database": Fault(setting("sql.database", "shop"), "ingest", r"sql\.database"),
    "a database of an unknown kind": Fault(
        setting("sql.database", "oracel://shop"), "ingest", r"sql\.database.*oracel"
    ),
    "an unknown parameter": Fault(
        setting("cleaning.max_quantty", 10),
        "ingest",
        r"unknown setting `max_quantty` in `cleaning`\. Did you mean `max_quantity`",
    ),
    "an unknown section": Fault(
        line("recomendation: {}"), "ingest", r"`recomendation`\. Did you mean `recommendation`"
    ),
    "text for a number": Fault(
        setting("cleaning.max_quantity", "many"),
        "ingest",
        r"`cleaning\.max_quantity` is 'many'; expected a number",
    ),
    "a parameter out of range": Fault(
        setting("gate.confidence", 95),
        "ingest",
        r"`gate\.confidence` is 95\.0; expected at least 0\.5 and at most 0\.999",
    ),
    "a parameter that is no finite number": Fault(
        setting("cleaning.max_quantity", float("nan")),
        "ingest",
        r"`cleaning\.max_quantity` is nan; expected a number",
    ),
    "a number too great for its use": Fault(
        setting("seed", 10**20), "ingest", r"`seed` is 10{20}; expected at least 0"
    ),
    "windows below a day": Fault(setting("features.windows", [0, 7]), "ingest", r"`features\.windows` is \[0, 7\]"),
    "no windows": Fault(setting("features.windows", []), "ingest", r"`features\.windows` is \[\]"),
    "a date without quotes": Fault(line("as_of: 2024-03-01"), "ingest", r"write it as text: '2024-03-01'"),
    "a day that does not exist": Fault(setting("as_of", "2024-02-31"), "clean", r"`as_of` is '2024-02-31'; expected"),
    "an as_of before the shop began": Fault(
        setting("as_of", "2001-01-01"),
        "clean",
        r"order_lines: all [\d,]+ rows were refused: after as_of",
    ),
    "an amount of memory that is none": Fault(
        setting("engine.memory_limit", "plenty"),
        "ingest",
        r"`engine\.memory_limit` is 'plenty'; expected .*3GB",
    ),
    "an unknown source": Fault(setting("source", "complete_jurney"), "ingest", r"Did you mean `complete_journey`"),
    "an unknown domain": Fault(setting("domains", ["recommendations"]), "ingest", r"Did you mean `recommendation`"),
    "domains that are no list": Fault(setting("domains", "recommendation"), "ingest", r"`domains` is 'recommendation'"),
    "an unknown model": Fault(
        setting("recommendation.model", "oracle"),
        "train recommendation",
        r"`recommendation\.model` is 'oracle'; expected one of xgboost, linear",
    ),
    "settings that are no YAML": Fault(line("seed: [1"), "ingest", r"params\.yaml is not readable YAML"),
    "settings that are no text": Fault(content("params.yaml", bytes(range(256))), "ingest", r"not readable YAML"),
    "settings that are a list": Fault(content("params.yaml", b"- seed\n"), "ingest", r"holds list; expected keys"),
    "no settings": Fault(gone("params.yaml"), "ingest", r"There is no params\.yaml"),
    "no row of a table that can be true": Fault(
        rows("order_lines", lambda frame: frame.assign(quantity=-1.0)),
        "clean",
        r"order_lines: all [\d,]+ rows were refused: cancellation or return \([\d,]+\)",
    ),
    "no table with a time": Fault(
        only(items=shop()["items"]),
        "clean",
        r"`as_of: latest` needs a table with times; this source has items",
    ),
    "a broken suite of expectations": Fault(
        content("expectations/items.json", b'{"name": "items", "expectations": ['),
        "validate",
        r"expectations/items\.json is not valid JSON",
    ),
    "a suite that is none": Fault(content("expectations/items.json", b"[]"), "validate", r"items\.json is no suite"),
    "a missing suite": Fault(gone("expectations/items.json"), "validate", r"There is no expectations/items\.json"),
    "an unknown expectation": Fault(
        expecting("items", type="expect_the_unexpected", kwargs={}),
        "validate",
        r"expectations/items\.json: entry 1 is not an expectation",
    ),
    "an expectation of a column that is not there": Fault(
        expecting("items", type="expect_column_values_to_not_be_null", kwargs={"column": "colour"}),
        "validate",
        r"expectations/items\.json: .* on colour cannot be run.*The columns of items are item_id",
    ),
    "no order lines": Fault(
        only(items=shop()["items"], promotions=shop()["promotions"]),
        "features",
        r"Features need the table order_lines; this source has items, promotions",
    ),
    "a shop of three days": Fault(
        replaced(order_lines=shop(days=3)["order_lines"]),
        "frames recommendation",
        r"The data begins on 2024-01-01.*need at least 42 days of history",
    ),
    "a shop with one customer": Fault(
        replaced(order_lines=shop()["order_lines"].assign(user_id="u1")),
        "train recommendation",
        r"training rows with the labels \[1\]; expected purchases and non-purchases",
    ),
    "a shop with one order line": Fault(
        replaced(order_lines=shop()["order_lines"].tail(1)),
        "frames recommendation",
        r"days of history",
    ),
    "no purchase in the test period": Fault(
        setting("as_of", "2024-06-30"),
        "frames recommendation",
        r"purchases and the test window from 2024-06-16 holds 0",
    ),
}

AFTER_A_GOOD_RUN = (
    "a required column is missing",
    "a truncated Parquet file",
    "an unknown parameter",
    "no row of a table that can be true",
    "an unknown expectation",
    "no order lines",
    "a shop of three days",
    "an unknown model",
)
"""Faults that are also tried where earlier results are there to be lost."""


@pytest.mark.parametrize(
    ("name", "start"), [(name, "fresh") for name in FAULTS] + [(name, "earlier") for name in AFTER_A_GOOD_RUN]
)
def test_a_fault_is_told_and_nothing_is_touched(
    name: str, start: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    fault, workspace = FAULTS[name], request.getfixturevalue(start)
    fault.change(workspace)
    for stage in ROAD[: ROAD.index(fault.stage)]:
        assert run(workspace, stage, capsys) == (0, "")
    refuse(workspace, fault.stage, fault.says, capsys)


def test_a_verdict_on_earlier_tables_is_none_on_these(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows("order_lines", lambda frame: frame.iloc[5:])(earlier)
    for stage in ("ingest", "clean"):
        assert run(earlier, stage, capsys) == (0, "")
    refuse(earlier, "features", r"metrics/validate\.json is about other tables.*run `ecomine stage validate`", capsys)


def test_a_broken_critical_expectation_stops_the_road_before_features(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BROKEN_EXPECTATION(earlier)
    before = files(earlier)
    code, told = run(earlier, "validate", capsys)
    assert code == 3
    assert re.search(r"items: expect_table_row_count_to_be_between .* failed \(critical\)", told)
    verdict = json.loads((earlier / layout.VALIDATION).read_text())["tables"]["items"]["expectations"]
    assert [one["success"] for one in verdict] == [False]
    reports = (layout.VALIDATION, layout.DOCS)
    assert {name for name in files(earlier).items() ^ before.items() if not name[0].startswith(reports)} == set()
    refuse(earlier, "features", "nothing is trained on them", capsys, code=3)
