"""What a page is made of: sections of figures, charts, tables, sentences and pictures, without a word about HTML.

Every text is in the language of the page. What a reader sees of a number is told by a form (`shown`), and where it was
read by a source, so that a test can hold the pages against the files.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

MISSING = "–"
"""What stands where there is no value."""

FORMS = {
    "text": "{}",
    "english": "{}",
    "age": "{}",
    "count": "{:,.0f}",
    "money": "{:,.2f}",
    "signed": "{:+,.2f}",
    "figure": "{:.4f}",
    "number": "{:,.4g}",
    "ratio": "{:,.2f}",
    "share": "{:.1%}",
    "megabytes": "{:.1f} MB",
}
"""Form → how a value is written."""


WORDS = ("text", "english", "age")
"""Forms that are no numbers: text, text in English whatever the page, a moment whose age the browser tells."""


@dataclass(frozen=True)
class Figure:
    """One number that a reader should not have to look for.

    source: where it was read, such as `metrics/pricing.json#/model/wape` (a JSON pointer), or a file alone.
    """

    label: str
    value: Any
    source: str = ""
    form: str = "number"


@dataclass(frozen=True)
class Column:
    """How a column of a table is headed and written; `note` explains the heading."""

    label: str
    form: str = "text"
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows to sort, filter and take away; columns that `columns` does not name are not shown.

    sources: of the same shape as `frame`, where each value was read; `""` where that has no meaning.
    """

    id: str
    title: str
    frame: pd.DataFrame
    columns: Mapping[str, Column]
    sources: pd.DataFrame | None = None
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite chart, as Altair makes it or as a dict, with what it shows in words.

    frame, columns: the few figures behind it, which stand beside it for who does not see it.
    """

    id: str
    title: str
    description: str
    spec: Any
    frame: pd.DataFrame | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A drawing as SVG markup of our own making, with what it shows in words; `narrow` is for a phone."""

    id: str
    title: str
    description: str
    svg: str
    narrow: str = ""


@dataclass(frozen=True)
class Sentences:
    """A list of sentences; `language` where they are not in that of the page."""

    items: Sequence[str]
    language: str = ""


@dataclass(frozen=True)
class Links:
    """A list of (text, address, what is there)."""

    items: Sequence[tuple[str, str, str]]


Part = Figure | Table | Chart | Picture | Sentences | Links


@dataclass(frozen=True)
class Section:
    """A heading, what it is about in a sentence or two, and what belongs to it."""

    title: str
    text: str = ""
    parts: Sequence[Part] = ()


@dataclass(frozen=True)
class Page:
    """A page begins with the business question and its answer in one sentence.

    name: of its file; notices: what a reader must know before anything else.
    """

    name: str
    title: str
    question: str
    answer: str
    sections: Sequence[Section]
    notices: Sequence[str] = ()


def shown(value: Any, form: str = "text") -> str:
    """A value as people read it.

    >>> shown(0.1234, "share"), shown(1234.5, "money"), shown(None), shown(True), shown(float("nan"), "count")
    ('12.3%', '1,234.50', '–', '✓', '–')
    """
    if absent(value):
        return MISSING
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return "✓" if value else "✗"
    if form in WORDS and isinstance(value, float):
        form = "number"
    return FORMS[form].format(value) if not isinstance(value, str) else value


def absent(value: Any) -> bool:
    """Whether there is no value: None, NaN, NaT."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None or (bool(pd.api.types.is_scalar(value)) and bool(pd.isna(value)))
