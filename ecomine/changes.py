"""Changes of settings, as `section.key=value`: held against what params.yaml may hold, then written into it.

The file stays its owner's: comments and order are kept, only the value that was named is another one.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ecomine import params as settings
from ecomine.domains import DOMAINS
from ecomine.errors import SettingsError
from ecomine.store import replacing


def change(workspace: Path, changes: Iterable[str]) -> list[str]:
    """Write changes such as `pricing.caution=0.5` into a workspace's params.yaml; returns those that change something.

    All or none: raises SettingsError, with the file as it was, for one that is no setting or a value it cannot have.
    """
    path = workspace / settings.FILE
    sections = {name: domain.params for name, domain in DOMAINS.items()}
    settings.load(path, sections)
    text = path.read_text()
    made = []
    for one in changes:
        place, value = _read(one)
        before = yaml.safe_load(text) or {}
        after = _with(before, place, value)
        if after != before:
            settings.parse(after, sections)
            text = _written(text, place, value)
            if yaml.safe_load(text) != after:
                raise SettingsError(f"{settings.FILE}: `{one}` cannot be written into it; write it by hand.")
            made.append(one)
    if made:
        with replacing(path) as new:
            new.write_text(text)
    return made


def _read(text: str) -> tuple[list[str], Any]:
    place, equals, value = text.partition("=")
    keys = [key.strip() for key in place.split(".")]
    if not equals or not all(keys):
        raise SettingsError(f"{text!r} changes no setting; expected such as recommendation.max_depth=3.")
    try:
        return keys, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"{text!r}: {value!r} is no value of YAML: {' '.join(str(error).split())}") from error


def _with(document: Any, place: list[str], value: Any) -> Any:
    """A nested dict with another value at a place."""
    if not place:
        return value
    inner = document if isinstance(document, dict) else {}
    return {**inner, place[0]: _with(inner.get(place[0]), place[1:], value)}


def _written(text: str, place: list[str], value: Any) -> str:
    """The text of a YAML file with another value at a place."""
    node = yaml.compose(text)
    for depth, name in enumerate(place):
        last = depth == len(place) - 1
        if not isinstance(node, yaml.MappingNode):
            break
        found = next(((key, inner) for key, inner in node.value if key.value == name), None)
        if found is None:
            return _added(text, node, f"{name}: {_flow(_with({}, place[depth + 1 :], value))}", top=depth == 0)
        key, inner = found
        if last or not isinstance(inner, yaml.MappingNode):
            end = max(_end(inner), key.end_mark.index + 1)
            return f"{text[: key.end_mark.index]}: {_flow(_with({}, place[depth + 1 :], value))}{text[end:]}"
        node = inner
    return f"{text}{_flow(_with({}, place, value))}\n"


def _added(text: str, node: yaml.MappingNode, line: str, top: bool) -> str:
    """The text with one more entry of a mapping: first in a section, last in the file."""
    if top and not node.flow_style:
        return f"{text.rstrip()}\n\n{line}\n"
    if node.flow_style:
        at = node.start_mark.index + 1
        return f"{text[:at]}{line}{', ' if node.value else ''}{text[at:]}"
    at = node.start_mark.index
    return f"{text[:at]}{line}\n{' ' * node.start_mark.column}{text[at:]}"


def _end(node: yaml.Node) -> int:
    """Where a node ends; PyYAML lets one in block style go on to the next, over the comments between."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True).removesuffix("...\n").strip()
