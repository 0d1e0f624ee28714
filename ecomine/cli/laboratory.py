"""Commands of the laboratory: experiments made, listed and compared, and the search for settings."""

import argparse
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ecomine.cli.options import named_domain, say

if TYPE_CHECKING:
    from flows.experiments import Result


def experiment(options: argparse.Namespace) -> None:
    """Experiments of a workspace."""
    {"begin": _begin, "list": _list, "compare": _compare}[options.action](options)


def tune(options: argparse.Namespace) -> None:
    """Search a domain's settings; what was found becomes an experiment."""
    from ecomine.stages import Context
    from ecomine.tuning import tune
    from flows.experiments import queue, run

    context = Context.of(options.workspace, say)
    found = tune(context, named_domain(options.domain), options.minutes, options.trials)
    print(f"{options.domain}: {found.start:.4f} with the settings at hand, {found.value:.4f} with the best found")
    if not found.settings:
        print("nothing better was found; params.yaml stays as it is")
        return
    changes = [f"{options.domain}.{name}={_text(value)}" for name, value in found.settings.items()]
    print("\n".join(f"  {change}" for change in changes))
    experiment = queue(options.workspace, changes, options.name or found.name)
    if experiment is None:
        print("`ecomine experiment begin` makes this workspace fit for experiments; or write them into params.yaml.")
    elif options.run:
        run(options.workspace, experiment)
        print(f"look at it: ecomine experiment compare HEAD {experiment}")
    else:
        print(f"queued as the experiment {experiment}. Run it: dvc exp run --run-all, then ecomine experiment list")


def _begin(options: argparse.Namespace) -> None:
    from flows.laboratory import begin

    begin(options.workspace, say)
    print("ready: change settings with `dvc exp run -S SECTION.KEY=VALUE`, then `ecomine experiment list`")


def _list(options: argparse.Namespace) -> None:
    from flows.experiments import listed

    found = listed(options.workspace)
    if not found:
        print("no experiment yet; `dvc exp run -S pricing.caution=0.5 --name careful` makes one")
        return
    rows = [
        [one.name, one.state, f"{one.made:%Y-%m-%d %H:%M}", one.begun_from, _gates(one.gates), _changes(one.changes)]
        for one in found
    ]
    print("\n".join(aligned(["experiment", "state", "made", "from", "gates", "settings"], rows)))


def _compare(options: argparse.Namespace) -> None:
    from flows.experiments import WORKSPACE, result

    names = [*options.revisions, WORKSPACE][:2] if options.revisions else ["HEAD", WORKSPACE]
    print("\n".join(comparison(*(result(options.workspace, name) for name in names))))


def comparison(one: "Result", other: "Result") -> list[str]:
    """Two results side by side: settings that differ, then of each domain its gates and measures."""
    titles = [f"{result.name} ({result.revision})" if result.revision else result.name for result in (one, other)]
    names = sorted(
        name for name in {*one.settings, *other.settings} if one.settings.get(name) != other.settings.get(name)
    )
    rows = [[name, *(_value(result.settings.get(name)) for result in (one, other))] for name in names]
    lines = aligned(["setting", *titles], rows) if rows else ["no setting differs"]
    same = []
    for domain in dict.fromkeys([*one.metrics, *other.metrics]):
        before, after = (result.metrics.get(domain, {}) for result in (one, other))
        verdicts = [one.failed(domain), other.failed(domain)]
        if before == after and verdicts[0] == verdicts[1]:
            same.append(domain)
            continue
        measures = [
            [name, _figure(before.get(name)), _figure(after.get(name)), _difference(before.get(name), after.get(name))]
            for name in sorted({*before, *after})
        ]
        lines += ["", *aligned([domain, *titles, "difference"], measures)]
        lines += [f"  gate of {title}: {_verdict(failed)}" for title, failed in zip(titles, verdicts, strict=True)]
    if same:
        lines += ["", f"the same in both: {', '.join(same)}"]
    return lines


def aligned(header: list[str], rows: list[list[str]]) -> list[str]:
    """A plain table, its columns under one another."""
    widths = [max(len(row[place]) for row in [header, *rows]) for place in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]


def _verdict(failed: list[str] | None) -> str:
    return "not held" if failed is None else "; ".join(f"FAILED {why}" for why in failed) or "passed"


def _gates(gates: Mapping[str, bool]) -> str:
    refused = [name for name, passed in gates.items() if not passed]
    return f"FAILED: {', '.join(refused)}" if refused else f"{len(gates)} passed" if gates else ""


def _changes(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in changes.items()) or "code or data alone"


def _value(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _text(value: Any) -> str:
    """A value as DVC's `-S` wants it."""
    return (
        f"[{','.join(map(str, value))}]" if isinstance(value, Iterable) and not isinstance(value, str) else str(value)
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.4f}"


def _difference(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return ""
    return "=" if before == after else f"{after - before:+,.4f}" + (f" ({after / before - 1:+.1%})" if before else "")
