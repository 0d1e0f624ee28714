"""Parts that several pages have: money with intervals, metrics of each method, the gate, what moves the predictions."""

from collections.abc import Sequence

import pandas as pd

from ecomine import gates, layout
from ecomine.reports import charts
from ecomine.reports.material import EXPLAINED, Material, pointer
from ecomine.reports.page import Chart, Column, Figure, Part, Section, Table


def metric(material: Material, domain: str, method: str, name: str, label: str, form: str = "figure") -> Figure:
    """A figure of metrics/<domain>.json; one without a value where this run did not measure it."""
    value = material.metrics(domain).get(method, {}).get(name)
    return Figure(label, value, f"{layout.METRICS.format(domain=domain)}#{pointer(method, name)}", form)


def metrics_table(material: Material, domain: str, title: str, columns: dict[str, Column]) -> Table:
    """Methods against metrics, those of `columns`, each value with its source."""
    said = material.metrics(domain)
    methods = sorted(said, key=lambda name: (name != gates.MODEL, name))
    names = [name for name in columns if any(name in said[method] for method in methods)]
    called = [material.method(domain, method) for method in methods]
    frame = pd.DataFrame(
        [{"method": name, **{n: said[m].get(n) for n in names}} for m, name in zip(methods, called, strict=True)]
    )
    file = layout.METRICS.format(domain=domain)
    sources = pd.DataFrame(
        [
            {"method": "", **{n: f"{file}#{pointer(method, n)}" if n in said[method] else "" for n in names}}
            for method in methods
        ]
    )
    shown = {"method": Column(material.text("site.method")), **{name: columns[name] for name in names}}
    return Table(f"{domain}-metrics", title, frame, shown, sources)


def money_section(material: Material, domain: str) -> Section:
    """What the decisions were worth on the test period, against the baselines, with intervals."""
    text, column, methods = material.text, material.column, material.methods(domain)
    if not methods:
        return Section(text("site.money"))
    found = [(name, material.worth(domain, name)) for name in methods]
    called = {name: material.method(domain, name) for name in methods}
    frame = pd.DataFrame(
        [{"method": called[name], "mean": one.mean, "low": one.low, "high": one.high} for name, one in found]
    )
    columns = {
        "method": column("site.method"),
        "mean": column("site.money_axis", "money"),
        "low": column("site.low", "money"),
        "high": column("site.high", "money"),
    }
    own, best = found[0][1], material.best_baseline(domain)
    parts: list[Part] = [
        Figure(text("site.money_axis"), own.mean, layout.VALUES.format(domain=domain), "money"),
    ]
    described = text("site.money_axis")
    if best is not None:
        gain, rival = material.worth(domain, gates.MODEL, best), material.worth(domain, best)
        parts.append(
            Figure(text("site.gain", baseline=called[best]), gain.mean, layout.VALUES.format(domain=domain), "signed")
        )
        parts += [Figure(text(f"site.{end}"), getattr(gain, end), "", "signed") for end in ("low", "high")]
        described = text(
            "site.money_described", model=own.mean, low=own.low, high=own.high, baseline=called[best], rival=rival.mean
        )
    drawn = charts.intervals(
        frame, "method", text("site.method"), "mean", "low", "high", text("site.money_axis"), "money"
    )
    parts.append(Chart(f"{domain}-money", text("site.money_chart"), described, drawn, frame, columns))
    about = text("site.money_text", confidence=material.context.params.gate.confidence, units=own.units)
    return Section(text("site.money"), about, parts)


def gate_section(material: Material, domain: str) -> Section:
    """Every check of the last gate, with its reason."""
    text, column, file = material.text, material.column, layout.GATE.format(domain=domain)
    checks = material.gate(domain)["checks"]
    names = ["name", "value", "limit", "passed", "why"]
    frame = pd.DataFrame(checks, columns=names)
    sources = pd.DataFrame(
        [
            {n: f"{file}#/checks/{place}/{n}" if n in ("value", "limit") else "" for n in names}
            for place in range(len(checks))
        ],
        columns=names,
    )
    columns = {
        "name": column("site.check"), "passed": column("site.passed"),
        "value": column("site.value", "number"), "limit": column("site.limit", "number"),
        "why": column("site.why", "english"),
    }  # fmt: skip
    table = Table(f"{domain}-gate", text("site.gate"), frame, columns, sources)
    return Section(text("site.gate"), text("site.gate_text"), [table])


def explanation_section(
    material: Material, domain: str, outcomes: dict[str, str], people: bool = False, forms: dict[str, str] | None = None
) -> Sequence[Section]:
    """What moves the predictions, for everybody and for single cases; nothing where the domain explains nothing.

    outcomes: outcome as the domain names it → in the language of the page. people: units are ids of customers.
    """
    explained, text, column = material.explanation(domain), material.text, material.column
    if explained is None or explained.drivers.empty:
        return []
    parts: list[Part] = []
    for outcome, said in outcomes.items():
        frame = explained.drivers[explained.drivers["outcome"] == outcome].drop(columns="outcome")
        if frame.empty:
            continue
        frame = frame.assign(direction=[text(f"site.{name}") for name in frame["direction"]])
        columns = {
            "driver": column("site.driver", "english"), "strength": column("site.strength", "number"),
            "share": column("site.share", "share"), "direction": column("site.direction"),
        }  # fmt: skip
        drawn = charts.bars(frame, "driver", "", charts.x("strength", text("site.strength")), charts.told(columns))
        first = frame.iloc[0]
        described = text(
            "site.drivers_described",
            driver=first["driver"],
            outcome=said,
            share=first["share"],
            direction=first["direction"],
        )
        parts.append(
            Chart(
                f"{domain}-drivers-{outcome}",
                text("site.drivers_chart", outcome=said),
                described,
                drawn,
                frame,
                columns,
            )
        )
    cases = explained.cases
    if len(cases):
        cases = cases.assign(
            unit=[material.pseudonym(unit) if people else unit for unit in cases["unit"]],
            outcome=[outcomes.get(name, name) for name in cases["outcome"]],
        )
        columns = {
            "unit": column("site.unit"), "outcome": column("site.outcome"),
            "told": column("site.told", "number"), "because": column("site.because", "english"),
        }  # fmt: skip
        parts.append(Table(f"{domain}-cases", text("site.cases"), cases, columns))
    return [Section(text("site.why_title"), text("site.why_text", rows=EXPLAINED), parts)]


def notices(material: Material, domain: str) -> list[str]:
    """What a reader must know first: that the figures are not those of the deployed version."""
    digest = material.status(domain)["digest"]
    if digest is None or material.is_candidate_deployed(domain):
        return []
    failed = [check["why"] for check in material.gate(domain)["checks"] if not check["passed"]]
    if failed:
        return [material.text("site.not_deployed", why="; ".join(failed))]
    return [material.text("site.other_version", digest=digest[:12])]
