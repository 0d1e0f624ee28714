"""Rules that an analyst writes, such as `amount > 500 and device_age_days < 1`, beside the model.

A rule is read by Python's parser into a tree of which only comparisons, `and`, `or`, `not`, brackets, names of
features, numbers and texts are let through; nothing of it is ever run as code.
"""

import ast
import difflib
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ecomine.errors import SettingsError

LONGEST = 2_000
"""Characters of a rule."""

DEEPEST = 50
"""Levels of a rule, below what the parser and the evaluation can follow."""

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@dataclass(frozen=True)
class Rule:
    """A rule that has been read: its text, its tree, and the features it asks for."""

    text: str
    tree: ast.expr
    features: tuple[str, ...]


def parse(text: str, features: Mapping[str, str] | Iterable[str]) -> Rule:
    """Reads a rule; `features` are the names it may use, as a mapping with the kind `number` or `text` of each.

    Without kinds, all are numbers. Raises SettingsError that points at what is not allowed and says what is.

    >>> parse("amount > 500 and device_age_days < 1", ["amount", "device_age_days"]).features
    ('amount', 'device_age_days')
    """
    kinds = dict(features) if isinstance(features, Mapping) else dict.fromkeys(features, "number")
    if len(text) > LONGEST:
        raise SettingsError(f"A rule of {len(text):,} characters; {LONGEST:,} is the most. Write several rules.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # the parser's advice on code that is refused below
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = getattr(error, "offset", None)
        at = f" at character {where}" if where else ""
        raise SettingsError(
            f"The rule `{text}` cannot be read{at}; write comparisons such as `amount > 500`, joined by and, or, not."
        ) from None
    _check(tree, text, kinds, 0)
    names = dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return Rule(text, tree, tuple(sorted(names)))


def hits(rule: Rule, frame: pd.DataFrame) -> np.ndarray:
    """Flags of the rows that a rule holds for; a comparison with a missing value does not hold, nor does its opposite.

    Logic is that of SQL: `not` of what is not known is not known, and what is not known is no hit.
    """
    missing = [name for name in rule.features if name not in frame.columns]
    if missing:
        raise SettingsError(f"The rule `{rule.text}` needs {', '.join(missing)}, which the payments do not have.")
    return _truth(rule.tree, frame)[0]


def report(
    rules: Mapping[str, Rule], frame: pd.DataFrame, fraud: pd.Series | np.ndarray, amount: pd.Series | np.ndarray
) -> pd.DataFrame:
    """What each rule does, a row a rule: hits, hit_rate, precision, recall, money of the frauds it hits.

    `fraud` holds nulls where nothing is known yet; precision and recall are over the rows with a label.
    """
    label = pd.Series(np.asarray(fraud, object)).astype("float64").to_numpy()
    known, bad = ~np.isnan(label), label == 1
    money = np.asarray(amount, float)
    rows = []
    for name, rule in rules.items():
        hit = hits(rule, frame)
        judged = int((hit & known).sum())
        rows.append(
            {
                "rule": name,
                "text": rule.text,
                "hits": int(hit.sum()),
                "hit_rate": float(hit.mean()) if len(hit) else 0.0,
                "precision": float((hit & bad).sum() / judged) if judged else np.nan,
                "recall": float((hit & bad).sum() / bad.sum()) if bad.any() else np.nan,
                "fraud_money": float(money[hit & bad].sum()),
            }
        )
    columns = ["rule", "text", "hits", "hit_rate", "precision", "recall", "fraud_money"]
    return pd.DataFrame(rows, columns=columns)


def _check(node: ast.expr, text: str, kinds: Mapping[str, str], depth: int) -> None:
    if depth > DEEPEST:
        raise _refused(node, text, f"more than {DEEPEST} levels")
    if isinstance(node, ast.BoolOp):
        parts = node.values
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        parts = [node.operand]
    elif isinstance(node, ast.Compare):
        _check_comparison(node, text, kinds)
        return
    else:
        raise _refused(node, text, f"`{ast.unparse(node)}`, which is no comparison")
    for part in parts:
        _check(part, text, kinds, depth + 1)


def _check_comparison(node: ast.Compare, text: str, kinds: Mapping[str, str]) -> None:
    sides = [node.left, *node.comparators]
    found = [_kind(side, text, kinds) for side in sides]
    for test in node.ops:
        if type(test) not in _COMPARE:
            raise _refused(node, text, f"`{ast.unparse(node)}`")
    if not any(isinstance(side, ast.Name) for side in sides):
        raise _refused(node, text, f"`{ast.unparse(node)}`, which asks for no feature")
    if len(set(found)) > 1:
        raise SettingsError(
            f"The rule `{text}` compares a number with a text in `{ast.unparse(node)}`; put like to like."
        )
    if found[0] == "text" and any(not isinstance(test, ast.Eq | ast.NotEq) for test in node.ops):
        raise SettingsError(f"The rule `{text}` asks which text is greater in `{ast.unparse(node)}`; use == or !=.")


def _kind(node: ast.expr, text: str, kinds: Mapping[str, str]) -> str:
    if isinstance(node, ast.Name):
        if node.id not in kinds:
            close = difflib.get_close_matches(node.id, kinds, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(kinds))}."
            raise SettingsError(f"The rule `{text}` asks for {node.id}, which is no feature; {hint}")
        return kinds[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return "text"
    _number(node, text)
    return "number"


def _number(node: ast.expr, text: str) -> float:
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1.0
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        try:
            return sign * float(node.value)
        except OverflowError:
            raise _refused(node, text, "a number that is too great") from None
    raise _refused(node, text, f"`{ast.unparse(node)}`")


def _refused(node: ast.expr, text: str, what: str) -> SettingsError:
    return SettingsError(
        f"The rule `{text}` has {what} at character {node.col_offset + 1}; only comparisons (< <= > >= == !=) of "
        "features, numbers and texts are allowed, joined by and, or, not."
    )


def _truth(node: ast.expr, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Where an expression is true, and where it is false; neither where it is not known."""
    if isinstance(node, ast.BoolOp):
        parts = [_truth(part, frame) for part in node.values]
        true, false = np.array([part[0] for part in parts]), np.array([part[1] for part in parts])
        if isinstance(node.op, ast.And):
            return np.logical_and.reduce(true), np.logical_or.reduce(false)
        return np.logical_or.reduce(true), np.logical_and.reduce(false)
    if isinstance(node, ast.UnaryOp):
        true, false = _truth(node.operand, frame)
        return false, true
    assert isinstance(node, ast.Compare)
    sides = [_values(side, frame) for side in (node.left, *node.comparators)]
    true, false = np.ones(len(frame), bool), np.zeros(len(frame), bool)
    for (one, known), test, (other, other_known) in zip(sides, node.ops, sides[1:], strict=False):
        there = known & other_known
        holds = np.zeros(len(frame), bool)
        holds[there] = np.asarray(_COMPARE[type(test)](one[there], other[there]), bool)
        true, false = true & holds, false | (there & ~holds)
    return true, false


def _values(node: ast.expr, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(node, ast.Name):
        column = frame[node.id]
        text = not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column))
        values = column.to_numpy(object) if text else column.to_numpy(float, na_value=np.nan)
        return values, column.notna().to_numpy()
    value = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else _number(node, "")
    return np.full(len(frame), value, object if isinstance(value, str) else float), np.ones(len(frame), bool)
