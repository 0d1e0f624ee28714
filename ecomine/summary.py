"""What a run did, in words: what was read and refused, how good the models are, what is deployed, what to try next."""

from collections.abc import Iterable
from typing import Any

from ecomine import layout
from ecomine.stages import Context


def summary(context: Context, domains: Iterable[str]) -> str:
    """A short text in Markdown that also reads well in a terminal."""
    store = context.store
    cleaned = store.read_json(layout.CLEAN_REPORT)
    lines = ["", f"Data up to {cleaned['as_of'][:10]}, from {context.params.source}", ""]
    lines += _table(
        ["table", "rows read", "clean", "refused", "most often because"],
        [
            [
                name,
                f"{counts['rows']:,}",
                f"{counts['clean']:,}",
                f"{counts['refused']:,}",
                _main_reason(counts["reasons"]),
            ]
            for name, counts in sorted(cleaned["tables"].items())
        ],
    )
    features = store.read_json(layout.FEATURE_REPORT)["rows"]
    lines += ["", "Features: " + ", ".join(f"{name} {rows:,} rows" for name, rows in sorted(features.items()))]
    for domain in domains:
        lines += ["", *_domain(context, domain)]
    return "\n".join(lines)


def next_steps(domains: Iterable[str]) -> str:
    """Three commands to try next."""
    return "\n".join(
        [
            "Try next (after `. .venv/bin/activate`):",
            "  ecomine serve        ask for decisions at http://127.0.0.1:8000/docs",
            "  ecomine status       what is deployed, and how it does",
            "  make up              the control room: run and schedule in Prefect's UI",
        ]
    )


def _domain(context: Context, domain: str) -> list[str]:
    from ecomine import deployment

    metrics = context.store.read_json(layout.METRICS.format(domain=domain))
    gate = context.store.read_json(layout.GATE.format(domain=domain))
    columns = sorted({metric for values in metrics.values() for metric in values})
    lines = _table(
        [domain, *columns],
        [[method, *(_figure(values.get(column)) for column in columns)] for method, values in metrics.items()],
    )
    failed = [check["why"] for check in gate["checks"] if not check["passed"]]
    verdict = f"{len(gate['checks'])} checks passed" if not failed else "FAILED: " + "; ".join(failed)
    deployed = deployment.current(context.store, domain)
    return [
        *lines,
        "",
        f"Gate: {verdict}",
        f"Deployed: {deployed[:12] if deployed else 'nothing'} (deployments/{domain}/)",
    ]


def _main_reason(reasons: dict[str, int]) -> str:
    if not reasons:
        return ""
    reason = max(sorted(reasons), key=lambda name: reasons[name])
    return f"{reason} ({reasons[reason]:,})"


def _figure(value: Any) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)]
