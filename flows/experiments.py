"""Experiments, which DVC keeps: queued, listed, and compared two by two, for people who do not know DVC."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecomine import layout
from ecomine.domains import DOMAINS
from ecomine.errors import SettingsError
from ecomine.params import FILE
from flows.laboratory import begun, dvc

if TYPE_CHECKING:
    from dvc.repo import Repo

WORKSPACE = "workspace"
"""In place of a revision: the files as they lie there now."""


@dataclass(frozen=True)
class Experiment:
    """One of the experiments of a workspace.

    state: done, queued, running or failed. changes: setting → value, where it differs from the commit `begun_from`.
    gates: domain → whether its candidate passed; empty until it is done.
    """

    name: str
    revision: str
    state: str
    made: datetime
    begun_from: str
    changes: Mapping[str, Any]
    gates: Mapping[str, bool]


@dataclass(frozen=True)
class Result:
    """What a revision came to: setting → value; domain → measure of the model → value; domain → checks of its gate."""

    name: str
    revision: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, float]]
    checks: Mapping[str, list[Mapping[str, Any]]]

    def failed(self, domain: str) -> list[str] | None:
        """Why the candidate of a domain is refused, check by check; None where no gate was held."""
        if domain not in self.checks:
            return None
        return [f"{check['name']}: {check['why']}" for check in self.checks[domain] if not check["passed"]]


def queue(workspace: Path, changes: Iterable[str], name: str | None = None) -> str | None:
    """Queue an experiment with `changes` (`section.key=value`); its name, or None where the workspace is not in git.

    Raises SettingsError where DVC refuses it, for instance since an experiment has that name.
    """
    if not begun(workspace):
        return None
    # `++` also adds a key that params.yaml leaves at its default.
    options = [option for change in changes for option in ("-S", "++" + change.replace("'", ""))]
    named = ["--name", name] if name else []
    done = dvc(workspace, "exp", "run", "--queue", *named, *options)
    quoted = [part for line in done.stdout.splitlines() if "Queued experiment" in line for part in line.split("'")]
    if done.returncode or len(quoted) < 2:
        raise SettingsError(f"DVC does not queue the experiment: {(done.stderr or done.stdout).strip()}")
    return quoted[1]


def run(workspace: Path, name: str) -> None:
    """Run the queued experiments, the one of that name among them; raises SettingsError where it failed."""
    dvc(workspace, "exp", "run", "--run-all", shown=True)
    state = {one.name: one.state for one in listed(workspace)}.get(name)
    if state != "done":
        raise SettingsError(f"The experiment {name} is {state or 'away'}; `dvc queue logs {name}` tells why.")


def listed(workspace: Path) -> list[Experiment]:
    """Every experiment of a workspace, oldest first; raises SettingsError where it is not in git."""
    with _repository(workspace) as repo:
        found = []
        for baseline in repo.experiments.show(all_commits=True):
            before = _settings(baseline.data.params) if baseline.data else {}
            for ranged in baseline.experiments or []:
                state = ranged.executor.state if ranged.executor else "done"
                found += [_told(one, "done" if state == "success" else state, baseline, before) for one in ranged.revs]
    return sorted(found, key=lambda one: (one.made, one.name))


def result(workspace: Path, name: str) -> Result:
    """What an experiment, a git revision or the workspace came to.

    Raises SettingsError where the workspace is not in git, or there is no such revision.
    """
    with _repository(workspace) as repo:
        from dvc.scm import RevError, resolve_rev

        revision = ""
        if name != WORKSPACE:
            try:
                revision = resolve_rev(repo.scm, name)
            except RevError as error:
                raise SettingsError(
                    f"There is no experiment and no revision {name!r} that has run; `ecomine experiment list` tells "
                    "the experiments. A queued one must run first: `dvc exp run --run-all`."
                ) from error
        revisions = [revision or WORKSPACE]
        metrics = _documents(repo.metrics.show(revs=revisions)[revisions[0]])
        settings = _settings(repo.params.show(revs=revisions)[revisions[0]].get("data", {}))
    gates = {name: metrics.get(layout.GATE.format(domain=name), {}).get("checks") for name in DOMAINS}
    measured = {name: metrics.get(layout.METRICS.format(domain=name), {}).get("model") for name in DOMAINS}
    return Result(
        name,
        revision[:7],
        settings,
        {name: values for name, values in measured.items() if values},
        {name: checks for name, checks in gates.items() if checks},
    )


@contextmanager
def _repository(workspace: Path) -> Iterator["Repo"]:
    if not begun(workspace):
        raise SettingsError(
            f"{workspace} keeps no experiments yet: they need git, and DVC with it. `ecomine experiment begin` makes "
            "both, here."
        )
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    with Repo(str(workspace)) as repo:
        yield repo


def _told(one: Any, state: str, baseline: Any, before: Mapping[str, Any]) -> Experiment:
    data = one.data
    settings, metrics = (_settings(data.params), _documents({"data": data.metrics})) if data else ({}, {})
    gates = {name: metrics.get(layout.GATE.format(domain=name), {}).get("passed") for name in DOMAINS}
    return Experiment(
        one.name or one.rev[:7],
        one.rev[:7],
        state.lower(),
        data.timestamp if data else datetime.min,
        baseline.rev[:7],
        {name: value for name, value in settings.items() if value != before.get(name)},
        {name: passed for name, passed in gates.items() if passed is not None} if state == "done" else {},
    )


def _documents(shown: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What DVC shows of files, as file → its content; files that are not there are left out."""
    return {
        path: entry["data"] if isinstance(entry, Mapping) else entry.data
        for path, entry in (shown.get("data") or {}).items()
        if (entry["data"] if isinstance(entry, Mapping) and "data" in entry else getattr(entry, "data", None))
    }


def _settings(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of params.yaml by their dotted names."""
    return dict(_flat(_documents({"data": shown}).get(FILE, {})))


def _flat(values: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value
