"""Model card and data sheet of each deployed model: what it is for, how good it is, its data, the way back."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pandas as pd

from ecomine import gates, layout
from ecomine.deployment import bundle, records
from ecomine.domains import DOMAINS
from ecomine.explanation import words
from ecomine.reports.material import Material, pointer
from ecomine.reports.page import Figure, Page, Section, Sentences, Table

MOMENT = "event_timestamp"


def name(domain: str) -> str:
    """The name of a domain's card."""
    return f"{domain}.card"


def of(domain: str) -> Callable[[Material], Page]:
    """How a domain's card is made."""
    return partial(page, domain)


def page(domain: str, material: Material) -> Page:
    """The card of what is deployed of a domain."""
    text, status = material.text, material.status(domain)
    sections = [
        _version(material, domain), _quality(material, domain), _gate(material, domain), _limits(material, domain),
        _data(material, domain), _made_of(material, domain), _back(material, domain),
    ]  # fmt: skip
    notices = [status["damaged"]] if status.get("damaged") else []
    title = text("cards.title", domain=text(f"site.{domain}"))
    return Page(
        name(domain), title, text(f"cards.question.{domain}"), text(f"cards.purpose.{domain}"), sections, notices
    )


def _document(material: Material, domain: str, document: str) -> Any:
    return material.version(domain, material.status(domain)["digest"], document)


def _version(material: Material, domain: str) -> Section:
    text, column, status = material.text, material.column, material.status(domain)
    record = records.current_record(material.context.store, domain) or {}
    lineage = _document(material, domain, "lineage") or {}
    folder = material.context.store.path(f"{bundle.versions(domain)}/{status['digest']}")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    rows = [
        (text("cards.digest"), status["digest"]),
        (text("cards.as_of"), f"{status['as_of']:%Y-%m-%d %H:%M} UTC"),
        (text("cards.deployed"), f"{status['deployed_at']:%Y-%m-%d %H:%M} UTC, {status['who']}"),
        (text("cards.commit"), (record.get("git") or {}).get("commit") or text("cards.no_git")),
        (text("cards.code"), ", ".join(f"{k} {v[:12]}" for k, v in sorted(lineage.get("code", {}).items()))),
        (text("cards.libraries"), ", ".join(f"{k} {v}" for k, v in sorted(lineage.get("libraries", {}).items()))),
        (text("cards.size"), f"{size:.1f} MB"),
    ]
    table = Table(
        f"{domain}-version", text("cards.version"), pd.DataFrame(rows, columns=["what", "value"]),
        {"what": column("cards.what"), "value": column("site.value", "english")},
    )  # fmt: skip
    return Section(text("cards.version"), text("cards.version_text"), [table])


def _quality(material: Material, domain: str) -> Section:
    """Every metric of the version against its baselines, a row a metric."""
    text, column, said = material.text, material.column, _document(material, domain, "metrics") or {}
    file = f"{bundle.versions(domain)}/{material.status(domain)['digest']}/metrics.json"
    methods = sorted(said, key=lambda method: (method != gates.MODEL, method))
    names = sorted({metric for values in said.values() for metric in values})
    frame = pd.DataFrame([{"metric": one, **{m: said[m].get(one) for m in methods}} for one in names])
    sources = pd.DataFrame(
        [{"metric": "", **{m: f"{file}#{pointer(m, one)}" if one in said[m] else "" for m in methods}} for one in names]
    )
    columns = {"metric": column("cards.metric", "english")}
    columns |= {method: type(columns["metric"])(material.method(domain, method), "figure") for method in methods}
    table = Table(f"{domain}-quality", text("cards.quality"), frame, columns, sources)
    return Section(text("cards.quality"), text("cards.quality_text"), [table] if names else [])


def _gate(material: Material, domain: str) -> Section:
    text, column, said = material.text, material.column, _document(material, domain, "gate") or {"checks": []}
    columns = {
        "name": column("site.check", "english"),
        "passed": column("site.passed"), "value": column("site.value", "number"),
        "limit": column("site.limit", "number"), "why": column("site.why", "english"),
    }  # fmt: skip
    frame = pd.DataFrame(said["checks"], columns=list(columns))
    return Section(
        text("site.gate"), text("site.gate_text"), [Table(f"{domain}-checks", text("site.gate"), frame, columns)]
    )


def _limits(material: Material, domain: str) -> Section:
    text, tables = material.text, material.context.store.tables(layout.CLEAN)
    lacking = [table for table in DOMAINS[domain].improves if table not in tables]
    items = [text(f"cards.limits.{domain}"), text(f"cards.groups.{domain}"), text("cards.limits")]
    items += [text("cards.lacking", tables=", ".join(lacking))] if lacking else []
    return Section(text("cards.limits_title"), "", [Sentences(items)])


def _data(material: Material, domain: str) -> Section:
    """The tables that it was made of, with digests, and those of now."""
    text, column = material.text, material.column
    lineage = _document(material, domain, "lineage") or {}
    cleaned = (material.read(layout.CLEAN_REPORT) or {"tables": {}})["tables"]
    rows = []
    for table, digest in sorted(lineage.get("tables", {}).items()):
        counts = cleaned.get(table, {})
        first, last = _period(material, f"{layout.CLEAN}/{table}.parquet")
        asked = table in DOMAINS[domain].requires or table in DOMAINS[domain].improves
        rows.append(
            {
                "table": table, "used": asked, "rows": counts.get("clean"), "refused": counts.get("refused"),
                "first": first, "last": last, "digest": digest,
            }
        )  # fmt: skip
    columns = {
        "table": column("start.table"), "used": column("cards.used"), "rows": column("start.clean", "count"),
        "refused": column("start.refused", "count"), "first": column("cards.first"), "last": column("cards.last"),
        "digest": column("cards.sha"),
    }  # fmt: skip
    table = Table(
        f"{domain}-data", text("cards.data"), pd.DataFrame(rows, columns=list(columns), dtype=object), columns
    )
    return Section(text("cards.data"), text("cards.data_text"), [table])


def _period(material: Material, file: str) -> tuple[str | None, str | None]:
    """The first and the last day of a table, where its rows have a moment."""
    if not material.context.store.exists(file):
        return None, None
    kinds = material.query("DESCRIBE SELECT * FROM rows", rows=file)
    if MOMENT not in set(kinds["column_name"]):
        return None, None
    ends = material.query(f"SELECT min({MOMENT}) AS first, max({MOMENT}) AS last FROM rows", rows=file)
    first, last = ends["first"][0], ends["last"][0]
    return (None, None) if pd.isna(first) else (f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}")


def _made_of(material: Material, domain: str) -> Section:
    text, column = material.text, material.column
    features = (_document(material, domain, "features") or {"features": []})["features"]
    params = (_document(material, domain, "parameters") or {}).get(domain, {})
    settings = pd.DataFrame(sorted(_flat(params)), columns=["setting", "value"])
    told = pd.DataFrame([{"feature": one, "meaning": words(one)} for one in features], columns=["feature", "meaning"])
    return Section(
        text("cards.made_of"),
        text("cards.made_of_text"),
        [
            Figure(text("cards.features"), len(features), "", "count"),
            Figure(text("cards.settings"), len(settings), "", "count"),
            Table(
                f"{domain}-features", text("cards.features"), told,
                {"feature": column("cards.feature", "english"), "meaning": column("cards.meaning", "english")},
            ),
            Table(
                f"{domain}-settings", text("cards.settings"), settings,
                {"setting": column("cards.setting", "english"), "value": column("site.value", "english")},
            ),
        ],
    )  # fmt: skip


def _flat(settings: Any, before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", str(value)


def _back(material: Material, domain: str) -> Section:
    text, column = material.text, material.column
    history = material.history(domain)
    rows = [
        {"when": one["when"], "action": one["action"], "digest": one["digest"], "who": one.get("who", "")}
        for one in reversed(history[-20:])
    ]
    columns = {
        "when": column("start.when", "age"), "action": column("start.action", "english"),
        "digest": column("cards.digest"), "who": column("cards.who", "english"),
    }  # fmt: skip
    reach = material.status(domain).get("earlier_versions", 0)
    items = [
        text("cards.back_status", domain=domain),
        text("cards.back_now", domain=domain, n=reach) if reach else text("cards.back_none", domain=domain),
        text("cards.back_proof"),
    ]
    table = Table(f"{domain}-history", text("cards.history"), pd.DataFrame(rows, columns=list(columns)), columns)
    return Section(text("cards.back"), "", [Sentences(items), table])
