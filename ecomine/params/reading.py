"""How a setting is declared, and how a section of params.yaml becomes an instance of its dataclass."""

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, date, datetime
from typing import Any

from ecomine.errors import SettingsError

FILE = "params.yaml"

T = typing.TypeVar("T")


def setting(
    default: Any,
    meaning: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    like: tuple[str, str] | None = None,
) -> Any:
    """A dataclass field holding one setting: its default, what it means (with unit) and the values it may take.

    Limits hold for each number of a list, which then has at least one; `like` is a pattern for text, and its name.
    """
    metadata = {"meaning": meaning, "at_least": at_least, "at_most": at_most, "like": like}
    if isinstance(default, dict | list):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def build(kind: type[T], values: Any, where: str) -> T:
    """An instance of the dataclass `kind` from a dict, checked key by key; `where` is its place in the file."""
    if not isinstance(values, dict):
        raise SettingsError(f"{FILE}: `{where}` holds {values!r}; expected a section of keys with values.")
    fields = {f.name: f for f in dataclasses.fields(kind) if not f.metadata.get("hidden")}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    arguments = {}
    for key, value in values.items():
        if key not in fields:
            raise SettingsError(unknown(str(key), where, set(fields)))
        place = f"{where}.{key}" if where else str(key)
        arguments[key] = _value(value, hints[key], fields[key].metadata, place)
    return kind(**arguments)


def refuse_bare_dates(value: Any, place: str) -> None:
    """DVC reads the same file and stops at a YAML date, so dates are text."""
    if isinstance(value, date):
        raise SettingsError(f"{FILE}: `{place}` is a date without quotes; write it as text: '{value.isoformat()}'.")
    if isinstance(value, dict):
        for key, inner in value.items():
            refuse_bare_dates(inner, f"{place}.{key}" if place else str(key))


def _value(value: Any, hint: Any, metadata: Mapping[str, Any], place: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value if value is not None else {}, place)
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        accepted, converted = _accept(value, option)
        if accepted:
            _check(converted, metadata, place)
            return converted
    expected = " or ".join(_name(option) for option in options)
    raise SettingsError(f"{FILE}: `{place}` is {value!r}; expected {expected}. It means: {metadata['meaning']}.")


def _accept(value: Any, option: Any) -> tuple[bool, Any]:
    origin = typing.get_origin(option) or option
    if origin is types.NoneType:
        return value is None, None
    if origin is bool or isinstance(value, bool):
        return origin is bool and isinstance(value, bool), value
    if origin is float:
        finite = isinstance(value, int | float) and -1e300 < value < 1e300
        return finite, float(value) if finite else value
    if origin is datetime:
        return _accept_time(value)
    if origin in (list, tuple):
        if not isinstance(value, list):
            return False, value
        items = [_accept(item, typing.get_args(option)[0]) for item in value]
        return all(ok for ok, _ in items), [item for _, item in items]
    if origin is dict:
        if not isinstance(value, dict):
            return False, value
        kind = typing.get_args(option)[1]
        entries = {str(key): _accept(item, kind) for key, item in value.items()}
        return all(ok for ok, _ in entries.values()), {key: item for key, (_, item) in entries.items()}
    return isinstance(value, origin), value


def _accept_time(value: Any) -> tuple[bool, Any]:
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return False, value
    if isinstance(value, datetime):
        return True, value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, date):
        return True, datetime(value.year, value.month, value.day)
    return False, value


def _check(value: Any, metadata: Mapping[str, Any], place: str) -> None:
    low, high, like = (metadata.get(name) for name in ("at_least", "at_most", "like"))
    numbers = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, int | float)]
    expected = None
    if any((low is not None and item < low) or (high is not None and item > high) for item in numbers):
        bounds = ((f"at least {low}", low), (f"at most {high}", high))
        expected = " and ".join(text for text, bound in bounds if bound is not None)
    elif value == [] and (low, high) != (None, None):
        expected = "at least one number"
    elif like and isinstance(value, str) and not re.fullmatch(like[0], value):
        expected = like[1]
    if expected:
        raise SettingsError(f"{FILE}: `{place}` is {value!r}; expected {expected}. It means: {metadata['meaning']}.")


def _name(option: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", datetime: "a date or time"}
    return "null" if option is types.NoneType else names.get(option, str(option))


def unknown(key: str, where: str, known: set[str]) -> str:
    close = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.5)
    place = f" in `{where}`" if where else ""
    hint = f" Did you mean `{close[0]}`?" if close else ""
    return f"{FILE}: unknown setting `{key}`{place}.{hint} Known here: {', '.join(sorted(known))}."
