"""What the pages say, held against the files that they were made from."""

import json
import re
import shutil
import string
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from ecomine import layout, reports
from ecomine.monitoring.state import Signal
from ecomine.monitoring.watch import SHOP, Alarm, Look, Watched
from ecomine.reports import site as pages
from ecomine.reports import start
from ecomine.reports.language import TEXTS
from ecomine.reports.material import Material
from ecomine.reports.page import shown
from ecomine.stages import Context, run


class Sourced(HTMLParser):
    """Every value of a page that names where it was read: (source, value, what is shown)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[list[str]] = []
        self._open = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self._open = "data-source" in told and "data-value" in told
        if self._open:
            self.found.append([told["data-source"] or "", told["data-value"] or "", ""])

    def handle_data(self, data: str) -> None:
        if self._open:
            self.found[-1][2] += data

    def handle_endtag(self, tag: str) -> None:
        self._open = False


def sourced(page: Path) -> list[list[str]]:
    reader = Sourced()
    reader.feed(page.read_text())
    return reader.found


def pointed(workspace: Path, source: str) -> object:
    file, pointer = source.split("#")
    value = json.loads((workspace / file).read_text())
    for key in pointer.split("/")[1:]:
        plain = key.replace("~1", "/").replace("~0", "~")
        value = value[int(plain)] if isinstance(value, list) else value[plain]
    return value


def test_the_figures_equal_the_files(sites: list[Path]) -> None:
    files: set[str] = set()
    for workspace in sites:
        for page in (workspace / "reports").glob("*.html"):
            for source, value, said in sourced(page):
                if "#" not in source:
                    continue
                files.add(source.split("#")[0])
                wanted = pointed(workspace, source)
                assert json.loads(value) == wanted, f"{page.name}: {source}"
                digits = said.strip().rstrip("%").replace(",", "")
                number = float(digits.removesuffix(" MB")) / (100 if said.strip().endswith("%") else 1)
                assert number == pytest.approx(float(wanted), rel=0.01, abs=0.006), f"{page.name}: {source} {said}"
    for domain in ("profiling", "recommendation", "pricing", "inventory", "risk", "ads"):
        assert f"metrics/{domain}.json" in files, f"no figure of {domain} says where it was read"
        assert f"metrics/{domain}.gate.json" in files
    assert "metrics/clean.json" in files


def test_nobody_is_named(sites: list[Path]) -> None:
    for workspace in sites:
        lines = pd.read_parquet(workspace / "data/clean/order_lines.parquet")
        people = set(lines["user_id"].astype(str))
        for page in (workspace / "reports").glob("*.html"):
            words = set(re.findall(r"[\w@.-]+", page.read_text()))
            assert not words & people, f"{page.name} names {sorted(words & people)[:3]}"
    text = (sites[0] / "reports/recommendation.html").read_text()
    assert re.search(r"p-[0-9a-f]{16}", text), "examples stand under pseudonyms"


def test_the_same_workspace_gives_the_same_bytes(site: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(site, tmp_path / "other"))
    shutil.rmtree(other / "reports/assets")
    for page in (other / "reports").glob("*.html"):
        page.unlink()
    written = reports.write(Context.of(other))
    assert {path.name for path in written} >= {"index.html", "profiling.card.zh.html", "vega.js"}
    for path in written:
        assert path.read_bytes() == (site / path.relative_to(other)).read_bytes(), path.name


def test_what_is_wrong_with_one_page_is_said_on_it_and_touches_no_other(site: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(site, tmp_path / "broken"))
    (broken / "metrics/profiling/segments.csv").write_text("segment\nonly names\n")
    (broken / "reports/gone.html").write_text("of a domain that is no more")
    for name, change in (("recommendation.json", _worse), ("recommendation.gate.json", _stopped)):
        file = broken / "metrics" / name
        file.write_text(json.dumps(change(json.loads(file.read_text()))))
    heard: list[str] = []
    run("report", None, Context.of(broken, heard.append))
    assert any("the page profiling could not be made" in line for line in heard)
    assert heard[-1].endswith("open reports/index.html")
    assert "could not be made" in (broken / "reports/profiling.html").read_text()
    assert "It is not deployed" in (broken / "reports/recommendation.html").read_text()
    assert (broken / "reports/ads.html").read_bytes() == (site / "reports/ads.html").read_bytes()
    assert not (broken / "reports/gone.html").exists()


def test_pages_that_fail_whole_are_no_reason_to_fail(site: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(site, tmp_path / "broken"))
    shutil.rmtree(broken / "reports")
    (broken / "reports").write_text("a file where the folder should be")
    heard: list[str] = []
    run("report", None, Context.of(broken, heard.append))
    assert "ecomine stage report" in heard[-1] and "not touched" in heard[-1]


def test_the_start_page_counts_alarms_by_decision(site: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(site, tmp_path / "watched"))
    signals = [Signal("scores", name, 0.4, 0.2, bad, "PSI 0.40") for name, bad in (("score", True), ("rank", False))]
    alarms = [Alarm("ads", "a" * 64, "scores", "score", "2024-04-22T00:00:00", "PSI 0.40", True)]
    watched = [
        Watched("ads", "a" * 64, "2024-04-22T00:00:00", signals, alarms),
        Watched("profiling", "b" * 64, "", [], [], "no window is complete"),
        Watched(SHOP, "", "2024-04-22T20:00:00", signals[1:], []),
    ]
    context = Context.of(workspace)
    look = Look(context.as_of, 1, watched)
    context.store.write_json(layout.MONITORING_REPORT, look.document())
    section = next(one for one in start.page(Material(context, "en")).sections if one.title == "Monitoring")
    table = section.parts[0].frame.set_index("domain")
    assert table.index.tolist() == ["Campaigns", "Customers", "Shop as a whole"]
    assert table[["alarms", "bad", "signals"]].to_numpy().tolist() == [[1, 1, 2], [0, 0, 0], [0, 0, 1]]
    assert table["why"].tolist() == ["score: PSI 0.40", "no window is complete", ""]
    assert section.text.endswith("One bad reading is no alarm yet.") and ": 1. " in section.text


def test_the_script_is_bundled_once_and_a_cut_copy_is_not_taken(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    whole, kept = (site / "reports/assets/vega.js").read_text(), tmp_path / "ecomine/vega.js"
    kept.parent.mkdir()
    kept.write_text(whole[:1000])
    assert pages._vega.__wrapped__() == whole == kept.read_text()
    written = kept.stat().st_mtime_ns
    assert pages._vega.__wrapped__() == whole
    assert kept.stat().st_mtime_ns == written


def _worse(metrics: dict) -> dict:
    metrics["model"]["recall@10"] -= 0.01
    return metrics


def _stopped(gate: dict) -> dict:
    gate["checks"][0] |= {"passed": False}
    return gate | {"passed": False}


def test_the_languages_have_the_same_texts_with_the_same_gaps() -> None:
    assert set(TEXTS["en"]) == set(TEXTS["zh"])
    for key, text in TEXTS["en"].items():
        assert gaps(text) == gaps(TEXTS["zh"][key]), key
        assert text.strip() and TEXTS["zh"][key].strip(), key


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize(("value", "form", "said"), [(-0.5, "signed", "-0.50"), (7, "count", "7"), ("x", "money", "x")])
def test_a_value_as_people_read_it(value: object, form: str, said: str) -> None:
    assert shown(value, form) == said
