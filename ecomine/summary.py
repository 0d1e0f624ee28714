"""What a run did, in words: what was read and refused, how good the models are, what is deployed, what to try next."""

from collections.abc import Iterable
from typing import Any

from ecomine import layout
from ecomine.errors import MissingInputError
from ecomine.stages import Context
from ecomine.store import Store


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


def profile(store: Store, user_id: str) -> list[str]:
    """The deployed profile of a customer, a line a fact; raises MissingInputError where none is there."""
    import duckdb

    name = layout.DECISIONS.format(domain="profiling")
    file = store.require(name, "deploy profiling")
    row = duckdb.execute("SELECT * FROM read_parquet(?) WHERE user_id = ?", [file.as_posix(), user_id]).df()
    if row.empty:
        raise MissingInputError(f"{name} has no customer {user_id!r}; it holds everybody who has bought something.")
    values = row.iloc[0].to_dict()
    shown = {key: f"{value:,.4g}" if isinstance(value, float) else str(value) for key, value in values.items()}
    return [f"{key:18} {text}" for key, text in shown.items()]


def next_steps() -> str:
    """Where to look, and commands to try next."""
    return "\n".join(
        [
            "Read in a browser: reports/index.html (what was decided, how well it works, why)\n",
            "Try next (after `. .venv/bin/activate`):",
            "  ecomine serve        ask for decisions at http://127.0.0.1:8000/docs",
            "  ecomine status       what is deployed, and how it does",
            "  make up              the control room: run and schedule in Prefect's UI",
        ]
    )


def status(row: dict[str, Any]) -> str:
    """A domain's row of `deployment.status` as a few lines."""
    if row["digest"] is None:
        return f"{row['domain']}\n  deployed   nothing yet; `ecomine run` trains and deploys"
    lines = [
        row["domain"],
        f"  deployed   {row['digest'][:12]} at {row['deployed_at']:%Y-%m-%d %H:%M} UTC by {row['who']}, "
        f"{row['age_days']:.1f} days ago; data up to {row['as_of']:%Y-%m-%d}",
    ]
    if row["damaged"]:
        lines.append(f"  DAMAGED    {row['damaged']}; `ecomine rollback {row['domain']}` or deploy again")
    else:
        lines.append(f"  gate       {'passed' if row['gate_passed'] else 'FAILED'}")
        rival = f", against {row['baseline_value']:.2f} of {row['baseline']}" if row["baseline"] else ""
        lines.append(f"  worth      {row['value']:.2f} a unit on the test period{rival}")
    if row["changes"]:
        lines.append(f"  moved      {moved(row['changes'])}")
    if row["trial"]:
        share = f" for {row['trial']['share']:.1%}" if "share" in row["trial"] else ""
        lines.append(f"  tried      {row['trial']['digest'][:12]} as {row['trial']['action']}{share} beside it")
    lines.append(f"  way back   {row['earlier_versions']} earlier versions")
    lines.append(f"  features   {'online' if row['online_features'] else 'NOT online: `ecomine stage materialize`'}")
    return "\n".join(lines)


def moved(changes: list[dict[str, Any]]) -> str:
    """A table of what changed for how many, in a sentence: how many moved, and the three greatest moves."""
    everybody = sum(row["customers"] for row in changes)
    moves = sorted((row for row in changes if row["before"] != row["after"]), key=lambda row: -row["customers"])
    told = "; ".join(f"{row['before']} → {row['after']} {row['customers']:,}" for row in moves[:3])
    return f"{sum(row['customers'] for row in moves):,} of {everybody:,} by this deployment" + (told and f": {told}")


def history(entry: dict[str, Any]) -> str:
    """One entry of `deployment.history` as a line."""
    commit = (entry["git"] or {}).get("commit") or "no git"
    before = f" after {entry['previous'][:12]}" if entry["previous"] else ""
    return f"{entry['number']:>4}  {entry['when'][:19]}  {entry['action']:8}  {entry['digest'][:12]}{before}  " + (
        f"data up to {entry['as_of'][:10]}, by {entry['who']}, {commit[:10]}"
    )


def _domain(context: Context, domain: str) -> list[str]:
    from ecomine import deployment

    metrics = context.store.read_json(layout.METRICS.format(domain=domain))
    gate = context.store.read_json(layout.GATE.format(domain=domain))
    columns = _longest_cutoff(sorted({metric for values in metrics.values() for metric in values}))
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


def _longest_cutoff(names: list[str]) -> list[str]:
    """Of metrics at several cut-offs (`recall@10`, `recall@20`) those at the longest; the others as they are."""
    longest = max((int(name.split("@")[1]) for name in names if "@" in name), default=0)
    return [name for name in names if "@" not in name or name.endswith(f"@{longest}")]


def _figure(value: Any) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)]
