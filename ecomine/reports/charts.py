"""Charts in one style: Altair specifications whose colours are those of the page, so that dark mode and print follow.

Colours are CSS variables, which Vega's SVG renderer writes as they are. Shares of a colour, not ramps between two,
tell more from less. A chart is as wide as the page lets it be.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from ecomine.reports.page import WORDS, Column

INK, MUTED, RULE, PAPER = "var(--ink)", "var(--muted)", "var(--rule)", "var(--paper)"
HUES = tuple(f"var(--hue-{place})" for place in range(1, 9))
ACCENT = HUES[0]
HEIGHT = 260
FONT = "system-ui, sans-serif"
"""Told to Vega, which measures words on a canvas that knows nothing of the page."""

CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED, "titleColor": MUTED, "gridColor": RULE, "domainColor": RULE, "tickColor": RULE,
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 220, "titlePadding": 8,
    },
    "legend": {
        "labelColor": INK, "titleColor": MUTED, "labelFontSize": 12, "titleFontSize": 12, "orient": "top",
        "titleFontWeight": "normal", "labelLimit": 260, "columns": 3, "symbolStrokeWidth": 2,
    },
    "header": {"labelColor": INK, "titleColor": MUTED},
    "text": {"color": INK, "fontSize": 12},
    "range": {"category": list(HUES)},
    "bar": {"color": ACCENT}, "line": {"color": ACCENT, "strokeWidth": 2}, "point": {"color": ACCENT, "filled": True},
    "area": {"color": ACCENT}, "rule": {"color": MUTED}, "circle": {"color": ACCENT}, "rect": {"color": ACCENT},
    "tick": {"color": ACCENT},
}  # fmt: skip

AXES = {"share": "~%", "count": ",d"}
"""Form of a value → its format on an axis, where it is not what suits the distance of the ticks."""

FORMATS = {"share": ".1%", "count": ",.0f", "money": ",.2f", "number": ",.3~g", "ratio": ",.2f", "signed": "+,.2f"}
"""Form of a value → its D3 format where it is told."""


def specification(chart: Any, description: str) -> dict[str, Any]:
    """A Vega-Lite specification as plain JSON, in the style of the pages; the same for the same chart.

    Altair's own check against the schema takes as long as all else; a browser draws every chart in the tests.
    """
    made = chart if isinstance(chart, dict) else chart.to_dict(validate=False)
    made = json.loads(json.dumps(made, default=str))
    made["config"] = dict(CONFIG)
    made["description"] = description
    made.pop("$schema", None)
    if not {"hconcat", "vconcat", "concat", "facet"} & set(made):
        made.setdefault("width", "container")
        made.setdefault("height", HEIGHT)
        made["autosize"] = {"type": "fit-x", "contains": "padding"}
    return made


def x(field: str, title: str, form: str = "number", ticks: int = 6, **more: Any) -> alt.X:
    """A horizontal axis of numbers (`field`), with its title and unit."""
    return alt.X(f"{field}:Q", title=title, axis=_axis(form, ticks), **more)


def y(field: str, title: str, form: str = "number", **more: Any) -> alt.Y:
    """A vertical axis of numbers (`field`), with its title and unit."""
    return alt.Y(f"{field}:Q", title=title, axis=_axis(form, 5), **more)


def tips(**fields: tuple[str, str]) -> list[alt.Tooltip]:
    """What a mark says when pointed at: field → (title, form); the form `text` is for names."""
    return [
        alt.Tooltip(name, title=title, type="nominal")
        if form in WORDS
        else alt.Tooltip(name, title=title, type="quantitative", format=FORMATS.get(form, ""))
        for name, (title, form) in fields.items()
    ]


def told(columns: Mapping[str, Column], *names: str) -> list[alt.Tooltip]:
    """What a mark says of the columns of a table, or of those named."""
    return tips(**{name: (columns[name].label, columns[name].form) for name in names or columns})


def lines(
    frame: pd.DataFrame, across: alt.X, up: alt.Y, by: str, title: str, order: Sequence[str] | None = None
) -> Any:
    """A line, with its points, for each value of the column `by`."""
    colour = alt.Color(f"{by}:N", title=title, sort=list(order) if order else None)
    shown = [alt.Tooltip(f"{by}:N", title=title), _tip(across), _tip(up)]
    base = alt.Chart(frame).encode(x=across, y=up, color=colour, tooltip=shown)
    return alt.layer(base.mark_line(), base.mark_point(size=28))


def bars(frame: pd.DataFrame, name: str, label: str, across: alt.X, tooltip: list[alt.Tooltip] | None = None) -> Any:
    """A horizontal bar a row, in the order of the rows, with names from the column `name`."""
    names = alt.Y(f"{name}:N", title=None, sort=None, axis=alt.Axis(labelLimit=240))
    shown = tooltip or [alt.Tooltip(f"{name}:N", title=label), _tip(across)]
    return alt.Chart(frame, height=_tall(frame[name].nunique())).mark_bar().encode(y=names, x=across, tooltip=shown)


def intervals(
    frame: pd.DataFrame, name: str, label: str, middle: str, low: str, high: str, title: str, form: str = "number",
    zero: bool = False,
) -> Any:  # fmt: skip
    """A point with its interval a row, in the order of the rows; `zero` draws the line of no difference."""
    names = alt.Y(f"{name}:N", title=None, sort=None, axis=alt.Axis(labelLimit=240))
    told = tips(**{name: (label, "text"), middle: (title, form), low: ("↓", form), high: ("↑", form)})
    base = alt.Chart(frame).encode(y=names, tooltip=told)
    scale = alt.Scale(zero=zero)
    ends = base.mark_rule(strokeWidth=3, opacity=0.45, color=ACCENT).encode(
        x=x(low, title, form, scale=scale), x2=alt.X2(high)
    )
    points = base.mark_point(size=70, opacity=1).encode(x=x(middle, title, form, scale=scale))
    layers = [ends, points]
    if zero:
        layers.insert(0, alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(strokeDash=[4, 4]).encode(x="x:Q"))
    return alt.layer(*layers).properties(height=_tall(frame[name].nunique()))


def calibration(frame: pd.DataFrame, told: str, came: str, form: str = "share", rows: str = "rows") -> Any:
    """Predicted against what came (columns score, label, rows), with the line on which both are the same."""
    ends = pd.DataFrame({"score": [0.0, float(frame[["score", "label"]].max().max())]})
    line = alt.Chart(ends).mark_line(strokeDash=[4, 4], color=MUTED, strokeWidth=1).encode(x="score:Q", y="score:Q")
    base = alt.Chart(frame).encode(
        x=x("score", told, form), y=y("label", came, form),
        tooltip=tips(score=(told, form), label=(came, form), rows=(rows, "count")),
    )  # fmt: skip
    return alt.layer(line, base.mark_line(), base.mark_point(size=60))


def heat(
    frame: pd.DataFrame, across: str, across_title: str, down: str, down_title: str, value: str, title: str,
    form: str = "share", kind: str = "N",
) -> Any:  # fmt: skip
    """A field of cells, the stronger the more; columns and rows in the order in which they come."""
    base = alt.Chart(frame, height=_tall(frame[down].nunique(), 30)).encode(
        x=alt.X(f"{across}:{kind}", title=across_title, sort=None, axis=alt.Axis(labelAngle=0, labelLimit=110)),
        y=alt.Y(f"{down}:{kind}", title=down_title, sort=None, axis=alt.Axis(labelLimit=200)),
    )
    told = tips(**{down: (down_title, "text"), across: (across_title, "text"), value: (title, form)})
    strength = alt.Opacity(f"{value}:Q", title=title, scale=alt.Scale(range=[0.06, 1]), legend=None)
    cells = base.mark_rect(color=ACCENT, stroke=PAPER).encode(opacity=strength, tooltip=told)
    rounded = ".0%" if form == "share" else FORMATS.get(form, "")
    words = base.mark_text(fontSize=11).encode(text=alt.Text(f"{value}:Q", format=rounded))
    # Words on the strongest cells are in the colour of the paper, so that they can be read.
    most = float(frame[value].max()) if len(frame) else 1.0
    ink = alt.condition(f"datum['{value}'] > {most * 0.55}", alt.value("var(--on-hue)"), alt.value(INK))
    return alt.layer(cells, words.encode(color=ink))


def _axis(form: str, ticks: int) -> alt.Axis:
    return alt.Axis(tickCount=ticks, format=AXES[form]) if form in AXES else alt.Axis(tickCount=ticks)


def _tip(axis: Any) -> alt.Tooltip:
    made = axis.to_dict()
    return alt.Tooltip(f"{made['field']}:Q", title=made["title"], format=(made.get("axis") or {}).get("format", ""))


def _tall(rows: int, each: int = 26) -> int:
    return max(int(rows) * each, 90)
