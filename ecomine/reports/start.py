"""The start page: the road that the data took, the state of every domain, how it went over the last deployments."""

from typing import Any

import pandas as pd

from ecomine import gates, layout
from ecomine.deployment import bundle
from ecomine.reports import charts, road
from ecomine.reports.material import Material, pointer
from ecomine.reports.page import Chart, Column, Links, Page, Part, Picture, Section, Table

LAST = 20
"""Changes of a domain that the trend looks back on."""

COUNTED = ("rows", "clean", "refused")
STATES = ("domain", "version", "gate", "worth", "baseline", "baseline_worth", "deployed_at", "way_back")


def page(material: Material) -> Page:
    """The overview of a workspace."""
    sections = [_road(material), _state(material), _trends(material), _monitoring(material), _links(material)]
    return Page(
        "index",
        material.text("site.start"),
        material.text("start.question"),
        _answer(material),
        sections,
        _damage(material),
    )


def _totals(material: Material) -> dict[str, Any]:
    cleaned = (material.read(layout.CLEAN_REPORT) or {"tables": {}})["tables"]
    features = (material.read(layout.FEATURE_REPORT) or {"rows": {}})["rows"]
    checks = [
        one["success"]
        for table in (material.read(layout.VALIDATION) or {"tables": {}})["tables"].values()
        for one in table["expectations"]
    ]
    files = [layout.DECISIONS.format(domain=name) for name in material.domains]
    published = [name for name in files if material.context.store.exists(name)]
    counted = [int(material.query("SELECT count(*) AS n FROM rows", rows=name)["n"][0]) for name in published]
    return {
        "rows": sum(one["rows"] for one in cleaned.values()),
        "refused": sum(one["refused"] for one in cleaned.values()),
        "checks": len(checks), "met": sum(checks),
        "features": sum(features.values()), "tables": sum(1 for rows in features.values() if rows),
        "models": len(material.domains),
        "passed": sum(bool(material.gate(name)["passed"]) for name in material.domains),
        "deployed": sum(bool(material.status(name)["digest"]) for name in material.domains),
        "decisions": sum(counted),
    }  # fmt: skip


def _answer(material: Material) -> str:
    told = _totals(material)
    if not told["deployed"]:
        return material.text("start.answer_nothing")
    as_of = material.read(layout.CLEAN_REPORT)["as_of"][:10]
    return material.text(
        "start.answer", deployed=told["deployed"], all=len(material.domains), rows=told["rows"], date=as_of,
        passed=sum(bool(material.status(name).get("gate_passed")) for name in material.domains),
        refused=told["refused"] / max(told["rows"], 1),
    )  # fmt: skip


def _damage(material: Material) -> list[str]:
    return [str(why) for name in material.domains if (why := material.status(name).get("damaged"))]


def _road(material: Material) -> Section:
    text, told = material.text, _totals(material)
    whole = {name: f"{count:,}" for name, count in told.items()}
    models, passed = told["models"], told["passed"]
    stations: list[road.Station] = [
        (text("start.read"), whole["rows"], "", "plain"),
        (text("start.refused"), whole["refused"], f"{told['refused'] / max(told['rows'], 1):.1%}", "plain"),
        (text("start.checked"), text("start.of", n=whole["met"], all=whole["checks"]), "", "good"),
        (text("start.features"), whole["features"], text("start.in_tables", n=told["tables"]), "plain"),
        (text("start.models"), whole["models"], "", "plain"),
        (text("start.gates"), text("start.of", n=passed, all=models), "", "good" if passed == models else "bad"),
        (text("start.decisions"), whole["decisions"], text("start.deployed_models", n=told["deployed"]), "good"),
    ]
    described = text("start.road_described", **whole)
    picture = Picture("road", text("start.road"), described, road.drawn(stations, 7), road.drawn(stations, 2))
    return Section(text("start.road"), text("start.road_text"), [picture, _tables(material)])


def _tables(material: Material) -> Table:
    text, column, cleaned = (
        material.text,
        material.column,
        (material.read(layout.CLEAN_REPORT) or {"tables": {}})["tables"],
    )
    rows, sources = [], []
    for name, counts in sorted(cleaned.items()):
        reasons = sorted(counts["reasons"], key=lambda reason: (-counts["reasons"][reason], reason))
        rows.append(
            {"table": name, **{k: counts[k] for k in ("rows", "clean", "refused")}, "why": (reasons or [""])[0]}
        )
        read = {k: f"{layout.CLEAN_REPORT}#{pointer('tables', name, k)}" for k in ("rows", "clean", "refused")}
        sources.append({"table": "", **read, "why": ""})
    columns = {
        "table": column("start.table"), "rows": column("start.rows", "count"),
        "clean": column("start.clean", "count"), "refused": column("start.refused", "count"),
        "why": column("start.reason", "english"),
    }  # fmt: skip
    names = list(columns)
    return Table(
        "tables", text("start.tables"), pd.DataFrame(rows, columns=names), columns, pd.DataFrame(sources, columns=names)
    )


def _state(material: Material) -> Section:
    text, column, rows = material.text, material.column, []
    for name in material.domains:
        status = material.status(name)
        digest = status["digest"]
        rows.append(
            {
                "domain": text(f"site.{name}"),
                "version": digest[:12] if digest else text("site.nothing_deployed"),
                "gate": status.get("gate_passed"),
                "worth": status.get("value"),
                "baseline": material.method(name, status["baseline"]) if status.get("baseline") else None,
                "baseline_worth": status.get("baseline_value"),
                "deployed_at": status["deployed_at"].isoformat() if digest else None,
                "way_back": status.get("earlier_versions"),
            }
        )
    columns = {
        "domain": column("start.domain"), "version": column("start.version"),
        "gate": column("start.gate"), "worth": column("start.worth", "money"),
        "baseline": column("start.baseline"), "baseline_worth": column("start.baseline_worth", "money"),
        "deployed_at": column("start.deployed_at", "age"), "way_back": column("start.way_back", "count"),
    }  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(STATES), dtype=object)
    table = Table("state", text("start.state"), frame, columns)
    return Section(text("start.state"), text("start.state_text"), [table])


def _trends(material: Material) -> Section:
    """What each version brought, as it says itself, in the order of the changes."""
    text, column = material.text, material.column
    found, changes = [], []
    for name in material.domains:
        for record in material.history(name)[-LAST:]:
            changes.append(
                {
                    "when": record["when"], "domain": text(f"site.{name}"), "action": record["action"],
                    "version": record["digest"][:12], "as_of": str(record.get("as_of", ""))[:10],
                }
            )  # fmt: skip
            gain = _gain(material, name, record["digest"]) if record["action"] in ("deploy", "rollback") else None
            if gain is not None:
                found.append({"domain": text(f"site.{name}"), "number": record["number"], "gain": gain})
    if not found:
        return Section(text("start.trends"))
    frame = pd.DataFrame(found)
    newest = frame.groupby("domain", sort=False).tail(1)
    told = [text("start.trend_told", domain=row.domain, gain=row.gain) for row in newest.itertuples()]
    columns = {
        "domain": column("start.domain"), "number": column("start.deployment", "count"),
        "gain": column("start.gain", "share"),
    }  # fmt: skip
    if len(newest) == len(frame):  # a line needs two points
        drawn = charts.bars(frame, "domain", text("start.domain"), charts.x("gain", text("start.gain"), "share"))
    else:
        across = charts.alt.X("number:O", title=text("start.deployment"), axis=charts.alt.Axis(labelAngle=0))
        up = charts.y("gain", text("start.gain"), "share")
        drawn = charts.lines(frame, across, up, "domain", text("start.domain"))
    described = text("start.trend_described", told="; ".join(told))
    parts: list[Part] = [Chart("trends", text("start.trend_chart"), described, drawn, frame, columns)]
    said = {
        "when": column("start.when", "age"), "domain": column("start.domain"),
        "action": column("start.action", "english"), "version": column("start.version"),
        "as_of": Column(text("site.as_of", date="")),
    }  # fmt: skip
    order = pd.DataFrame(changes).sort_values(["when", "domain", "action"], ascending=False, kind="stable")
    parts.append(Table("history", text("start.history"), order.head(100), said))
    return Section(text("start.trends"), text("start.trends_text"), parts)


def _gain(material: Material, domain: str, digest: str) -> float | None:
    """Gain of a version over the best of its baselines, as a share of its worth; None where that is nothing."""
    file = f"{bundle.versions(domain)}/{digest}/{bundle.VALUES}"
    if not material.context.store.exists(file):
        return None
    kinds = material.query("DESCRIBE SELECT * FROM units", units=file)
    names = [str(name) for name in kinds.loc[kinds["column_type"] == "DOUBLE", "column_name"]]
    means = material.query(
        "SELECT " + ", ".join(f'avg("{name}") AS "{name}"' for name in names) + " FROM units", units=file
    )
    worth = {name: float(means[name][0]) for name in names}
    own = worth.pop(gates.MODEL)
    best = max(worth.values(), default=0.0)
    return (own - best) / best if best > 0 else None


def _monitoring(material: Material) -> Section:
    """Alarms and readings by domain, as the last look of monitoring found them; nothing without one."""
    text, column, said = material.text, material.column, material.read(layout.MONITORING_REPORT)
    if not said or not said["domains"]:
        return Section(text("start.monitoring"))
    rows = []
    for domain, one in sorted(said["domains"].items()):
        alarms = [alarm for alarm in said["alarms"] if alarm["domain"] == domain]
        rows.append(
            {
                "domain": material.or_text(f"site.{domain}", text("start.shop")),
                "alarms": len(alarms),
                "bad": sum(signal["bad"] for signal in one["signals"]),
                "signals": len(one["signals"]),
                "window": (one["window"] or "")[:10],
                "why": "; ".join(f"{alarm['name']}: {alarm['why']}" for alarm in alarms) or one["note"],
            }
        )
    columns = {
        "domain": column("start.domain"), "alarms": column("start.alarms", "count"),
        "bad": column("start.bad", "count"), "signals": column("start.signals", "count"),
        "window": column("start.window"), "why": column("start.alarm_why", "english"),
    }  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(columns))
    counts = frame.columns.isin(["alarms", "bad", "signals"])
    sources = pd.DataFrame(
        [[layout.MONITORING_REPORT if one else "" for one in counts]] * len(frame), columns=frame.columns
    )
    about = text("start.monitoring_text", alarms=len(said["alarms"]), date=str(said["as_of"])[:10])
    return Section(
        text("start.monitoring"), about, [Table("monitoring", text("start.monitored"), frame, columns, sources)]
    )


def _links(material: Material) -> Section:
    text, serving = material.text, material.context.params.serving
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    links = [(text("start.prefect"), "http://127.0.0.1:4200", text("start.prefect_what"))]
    if material.context.store.exists(f"{layout.DOCS}/index.html"):
        links.append((text("start.docs"), "validation/index.html", text("start.docs_what")))
    links.append((text("start.api"), f"http://{host}:{serving.port}/docs", text("start.api_what")))
    return Section(text("start.links"), "", [Links(links)])
