"""Workspaces for other sources, beside the one at hand: each has a params.yaml of its own, so none disturbs another.

`ecomine run --source NAME` works in `shops/NAME`: its settings are those of the workspace at hand when it was made, but
for the source. The recorded state of the workspace at hand (DVC, deployed models) stays as it was.
"""

import dataclasses
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ecomine.errors import SettingsError
from ecomine.initialise import PROJECT, copy_beside
from ecomine.params import FILE, SimulationParams
from ecomine.params import build as build_params
from ecomine.simulation import MANIFEST
from ecomine.simulation import simulate as simulate_shop
from ecomine.stages import load_params
from ecomine.store import replacing

SHOPS = "shops"
TRUTH = "truth"
"""Folder of a simulated shop's truth, in its workspace; no source reads it."""


def place(workspace: Path, shop: str) -> Path:
    """The folder of a shop beside a workspace; raises SettingsError for a name that is none."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", shop):
        raise SettingsError(f"{shop!r} is no name of a shop; expected letters, digits, - and _.")
    return workspace / SHOPS / shop


def make(workspace: Path, folder: Path, source: str) -> None:
    """Make `folder` a workspace for `source` with the settings of `workspace` (or the project); what is there stays."""
    target = folder / FILE
    if target.exists():
        return
    model = workspace if (workspace / FILE).is_file() else PROJECT
    project = (model / load_params(model).project).resolve()
    text = (model / FILE).read_text()
    for key, value in {
        "source": source,
        "raw": "data/raw",
        "project": os.path.relpath(project, folder.resolve()),
    }.items():
        text = _with(text, key, value)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data/raw").mkdir(parents=True, exist_ok=True)
    copy_beside(folder)
    with replacing(target) as path:
        path.write_text(text)


def simulate(
    folder: Path, asked: Mapping[str, int | float], force: bool = False, say: Callable[[str], None] = lambda text: None
) -> SimulationParams:
    """Simulate the shop of a workspace, or the missing days of it; `asked` settings go into its params.yaml.

    Raises SettingsError for settings that cannot be, and where another shop is there and `force` is not given.
    """
    params = load_params(folder)
    named = {field.name: getattr(params.simulation, field.name) for field in dataclasses.fields(SimulationParams)}
    wanted = build_params(SimulationParams, {**named, **asked}, "simulation")
    raw, truth = folder / params.raw, folder / TRUTH
    if force and (raw / MANIFEST).is_file():
        for path in (raw, truth):
            shutil.rmtree(path, ignore_errors=True)
    raw.mkdir(parents=True, exist_ok=True)
    if not simulate_shop(wanted, raw, truth, say):
        say("all of its days are there already")
    if wanted != params.simulation:
        file = folder / FILE
        text = file.read_text()
        for name, value in asked.items():
            text = _with_simulation(text, name, value)
        with replacing(file) as path:
            path.write_text(text)
    return wanted


def _with(text: str, key: str, value: object) -> str:
    """The text of a params.yaml with another value of a key of its top level."""
    line = f"{key}: {value}"
    changed, count = re.subn(rf"(?m)^{key}:[^\n#]*?(?=\s*(#|$))", line, text, count=1)
    return changed if count else f"{line}\n{text}"


def _with_simulation(text: str, key: str, value: object) -> str:
    """The text of a params.yaml with another value in its section `simulation`, which is added where it lacks."""
    match = re.search(r"(?m)^simulation:[^\n]*\n(?:[ \t]+[^\n]*\n|\n)*", text)
    if not match:
        return f"{text.rstrip()}\n\nsimulation:\n  {key}: {value}\n"
    section, count = re.subn(rf"(?m)^(\s+){key}:[^\n#]*?(?=\s*(#|$))", rf"\g<1>{key}: {value}", match.group(), count=1)
    if not count:
        head, rest = match.group().split("\n", 1)
        section = f"{head}\n  {key}: {value}\n{rest}"
    return text[: match.start()] + section + text[match.end() :]
