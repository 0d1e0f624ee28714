"""A params.yaml for a folder of files: all settings with their meanings, a first try at the mapping."""

import dataclasses
import shutil
import textwrap
import typing
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ecomine.domains import DOMAINS
from ecomine.errors import SettingsError, SourceError
from ecomine.params import FILE, Params, parse
from ecomine.sources.guess import Folder, Guess, guess, look
from ecomine.store import replacing
from ecomine.tables import TABLES

PROJECT = Path(__file__).parents[1]

BESIDE = ("dvc.yaml", "expectations", "features")
"""What a workspace needs besides its params.yaml, copied from the project."""


def write_params(folder: Path, workspace: Path, force: bool = False) -> Path:
    """Write params.yaml into `workspace` for the files under `folder`; returns its path.

    Raises SettingsError where a params.yaml is there and `force` is not given, SourceError for a folder
    without files that can be read.
    """
    target = workspace.resolve() / FILE
    if target.exists() and not force:
        raise SettingsError(
            f"{target} is there already and stays. Replace it with --force, or choose another workspace."
        )
    folder = folder.resolve()
    if not folder.is_dir():
        raise SourceError(
            f"There is no folder {folder}. Name the folder that holds the shop's CSV, Parquet or JSON files."
        )
    found = look(folder)
    if not found.files:
        unread = "; ".join(f"{name}: {why}" for name, why in found.unreadable.items())
        raise SourceError(
            f"{folder} holds no CSV, Parquet or JSON file with rows." + (f" Not read: {unread}." if unread else "")
        )
    inside = folder.is_relative_to(workspace.resolve())
    raw = folder.relative_to(workspace.resolve()).as_posix() if inside else folder.as_posix()
    project = "." if target.parent == PROJECT else PROJECT.as_posix()
    text = render({"source": "sql", "raw": raw, "project": project}, guess(found), found)
    parse(yaml.safe_load(text), {name: domain.params for name, domain in DOMAINS.items()})
    with replacing(target) as path:
        path.write_text(text)
    if target.parent != PROJECT:
        copy_beside(target.parent)
    return target


def render(chosen: Mapping[str, Any], guesses: list[Guess], found: Folder) -> str:
    """The text of params.yaml, with the `chosen` values and else the defaults."""
    lines = [
        "# The settings of this workspace. Every key stands with its default; an unknown key is an error.",
        "",
    ]
    for field in dataclasses.fields(Params):
        if field.metadata.get("hidden"):
            continue
        if dataclasses.is_dataclass(typing.get_type_hints(Params)[field.name]):
            lines += ["", *_section(field.name, _default(field), guesses, found)]
        else:
            lines += _setting(field, chosen.get(field.name, _default(field)), "")
    for name, domain in DOMAINS.items():
        lines += ["", *_section(name, domain.params(), guesses, found)]
    return "\n".join(lines) + "\n"


def _section(name: str, section: Any, guesses: list[Guess], found: Folder) -> list[str]:
    meaning = (type(section).__doc__ or "").strip().splitlines()[0]
    fields = [field for field in dataclasses.fields(section) if not field.metadata.get("hidden")]
    lines = [f"# {meaning}", f"{name}:" if fields else f"{name}: {{}}"]
    for field in fields:
        if (name, field.name) == ("sql", "tables"):
            lines += _tables(guesses, found)
        elif dataclasses.is_dataclass(value := getattr(section, field.name)):
            lines += [f"  {line}" for line in _section(field.name, value, guesses, found)]
        else:
            lines += _setting(field, value, "  ")
    return lines


def _setting(field: dataclasses.Field[Any], value: Any, indent: str) -> list[str]:
    meaning = textwrap.wrap(field.metadata.get("meaning", ""), 100)
    return [*(f"{indent}# {line}" for line in meaning), f"{indent}{field.name}: {_yaml(value)}"]


def _tables(guesses: list[Guess], found: Folder) -> list[str]:
    lines = ["  # one SELECT a canonical table, in DuckDB's SQL; file names are relative to the folder `raw`"]
    lines += [f"  # not read: {name}: {why}" for name, why in found.unreadable.items()]
    if not any(one.select for one in guesses):
        lines.append("  tables: {}")
    else:
        lines.append("  tables:")
    for one in guesses:
        lines.append("")
        lines += [f"    # {line}" for note in one.notes for line in textwrap.wrap(f"{one.table}: {note}", 100)]
        if one.select:
            lines += [f"    {one.table}: |", *textwrap.indent(one.select, "      ").splitlines()]
    absent = [name for name in TABLES if name not in {one.table for one in guesses}]
    if absent:
        lines += ["", "    # found in no file; map them here where the shop has them:"]
    for name in absent:
        table = TABLES[name]
        lines += [f"    # {line}" for line in textwrap.wrap(f"{name}: {table.row} ({', '.join(table.names)})", 100)]
    return lines


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _yaml(value: Any) -> str:
    if isinstance(value, datetime):
        midnight = value == datetime(value.year, value.month, value.day)
        value = (value.date() if midnight else value).isoformat()
    if isinstance(value, Mapping):
        value = dict(value)
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def copy_beside(workspace: Path) -> None:
    """Put what a workspace needs besides its params.yaml into it, where it is not there yet."""
    for name in BESIDE:
        source, target = PROJECT / name, workspace / name
        if not source.exists() or target.exists():
            continue
        with replacing(target) as path:
            if source.is_dir():
                shutil.copytree(source, path, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, path)
