"""Workspaces of a benchmark's own, and the road walked in them."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from ecomine.stages import Context, run, steps

PROJECT = Path(__file__).parents[1]


def workspace(folder: Path, **changes: Any) -> Path:
    """A workspace of the project in `folder`; `changes` replace or, for a section, update keys of its params.yaml."""
    folder.mkdir(parents=True)
    params = yaml.safe_load((PROJECT / "params.yaml").read_text()) | {"project": str(PROJECT)}
    for name, value in changes.items():
        params[name] = params[name] | value if isinstance(value, dict) else value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    shutil.copy(PROJECT / "dvc.yaml", folder)
    for name in ("expectations", "features"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data/raw").mkdir(parents=True)
    return folder


def walk(folder: Path, until: str, say: Callable[[str], None] = print, domains: Iterable[str] | None = None) -> Context:
    """Run the stages in order up to and with `until`."""
    context = Context.of(folder)
    wanted = steps(domains or context.params.domains)
    last = max(place for place, (stage, _) in enumerate(wanted) if stage.name == until)
    for stage, domain in wanted[: last + 1]:
        say(f"{stage.name} {domain or ''}".rstrip())
        run(stage.name, domain, context)
    return context
