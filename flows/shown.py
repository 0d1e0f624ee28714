"""What a run shows in the Prefect UI, a domain at a time: figures, the gate with its reasons, charts."""

import base64
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from ecomine import deployment, gates, layout
from ecomine.domains import DOMAINS
from ecomine.errors import EcomineError
from ecomine.store import Store

MOST_CHARTS = 4
"""Charts of a domain that are drawn; the others are in its folder of plots."""

MOST_LINES = 6
LONGEST = 400
"""Points of a line beyond which a chart says less, not more."""


@task(task_run_name="show {domain}", cache_policy=NO_CACHE, persist_result=False)
def show(workspace: str, domain: str) -> None:
    """Artifacts of a domain's candidate: `metrics-…`, `gate-…`, `charts-…`."""
    store = Store(Path(workspace))
    create_table_artifact(figures(store, domain), key=f"metrics-{domain}", description=_about_figures(domain))
    create_markdown_artifact(gate(store, domain), key=f"gate-{domain}", description=f"{domain}: may it be deployed?")
    drawn = charts(store, domain)
    if drawn:
        create_markdown_artifact(drawn, key=f"charts-{domain}", description=f"{domain}: how good it is, drawn")


def figures(store: Store, domain: str) -> list[dict[str, Any]]:
    """A row a method: the candidate, the champion that is deployed, as it was tested then, and the baselines."""
    metrics: dict[str, dict[str, float]] = store.read_json(layout.METRICS.format(domain=domain))
    rows = {"candidate": metrics.pop(gates.MODEL, {})}
    try:
        _, champion = deployment.load(store, DOMAINS[domain])
    except EcomineError:  # none is deployed, or it is damaged, which `deploy` tells
        pass
    else:
        name = f"champion {champion.digest[:12]}, data up to {champion.as_of:%Y-%m-%d}"
        rows[name] = champion.metrics.get(gates.MODEL, {})
    rows |= {f"baseline {name}": values for name, values in metrics.items()}
    columns = sorted({column for values in rows.values() for column in values})
    return [
        {"method": name, **{column: _figure(values.get(column)) for column in columns}} for name, values in rows.items()
    ]


def gate(store: Store, domain: str) -> str:
    """The verdict, each check with its reason, failed ones first, and what to do next."""
    report = store.read_json(layout.GATE.format(domain=domain), "passed", "checks")
    failed = [check for check in report["checks"] if not check["passed"]]
    passed = [check for check in report["checks"] if check["passed"]]
    verdict = "passed" if report["passed"] else f"FAILED: {', '.join(check['name'] for check in failed)}"
    lines = [f"## {domain}: gate {verdict}", ""]
    lines += [
        f"- {'passed' if check['passed'] else '**FAILED**'} **{check['name']}**: {check['why']}"
        for check in (*failed, *passed)
    ]
    if failed:
        lines += ["", "The candidate is not deployed; what answered before goes on answering."]
    pages = sorted(store.path(layout.DOCS).parent.glob(f"{domain}*.html"))
    lines += ["", *(f"Report page: `{page}`" for page in pages)]
    return "\n".join(lines).rstrip() + "\n"


def charts(store: Store, domain: str) -> str:
    """The plots that the evaluation declared, as images in Markdown; empty where none can be drawn."""
    folder = store.path(layout.PLOTS.format(domain=domain))
    drawn = {}
    for path in sorted(folder.glob("*.csv")):
        picture = _picture(pd.read_csv(path), path.stem) if len(drawn) < MOST_CHARTS else None
        if picture is not None:
            drawn[path.stem] = base64.b64encode(picture).decode()
    return "\n\n".join(f"![{name}](data:image/png;base64,{image})" for name, image in drawn.items())


def _picture(frame: pd.DataFrame, title: str) -> bytes | None:
    """A PNG of a table whose first column and another one at least are numbers; None for any other table."""
    import altair
    import vl_convert

    numbers = list(frame.select_dtypes("number").columns)
    if len(numbers) < 2 or numbers[0] != frame.columns[0] or not 2 <= len(frame) <= LONGEST:
        return None
    across, by = numbers[0], [name for name in frame.columns if name not in numbers]
    if by:
        tall = frame.rename(columns={numbers[1]: "value", by[0]: "of"})[[across, "value", "of"]]
        value = numbers[1]
    else:
        tall = frame.melt(across, numbers[1 : 1 + MOST_LINES], var_name="of", value_name="value")
        value = numbers[1] if len(numbers) == 2 else "value"
    chart = (
        altair.Chart(tall.dropna(), title=title.replace("_", " "), width=520, height=240)
        .mark_line(point=len(frame) <= 30)
        .encode(
            altair.X(f"{across}:Q", title=across.replace("_", " "), scale=altair.Scale(zero=False)),
            altair.Y("value:Q", title=value.replace("_", " "), scale=altair.Scale(zero=False)),
            altair.Color("of:N", title=None),
        )
    )
    return bytes(vl_convert.vegalite_to_png(chart.to_json(), scale=1))


def _about_figures(domain: str) -> str:
    return f"{domain}: the candidate on the test period beside the champion, as it was tested then, and the baselines"


def _figure(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
