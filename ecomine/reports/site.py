"""The site: which pages there are, and how they are written."""

import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from ecomine import layout
from ecomine.reports import ads, cards, charts, inventory, pricing, profiling, recommendation, risk, start
from ecomine.reports.language import NAMES
from ecomine.reports.material import Material
from ecomine.reports.page import WORDS, Chart, Column, Page, absent, shown
from ecomine.store import replacing

if TYPE_CHECKING:
    from ecomine.stages import Context

PAGES: Mapping[str, Callable[[Material], Page]] = {
    "profiling": profiling.page,
    "recommendation": recommendation.page,
    "pricing": pricing.page,
    "inventory": inventory.page,
    "risk": risk.page,
    "ads": ads.page,
}
"""Domain → how its page is made; a domain without one has its model card alone."""

FOLDER = Path(__file__).parent
START = "index"
END = "\n})();\n"
"""Last line of the bundled script."""


def write(context: "Context") -> list[Path]:
    """As `ecomine.reports.write`."""
    first = context.params.report.language
    material = Material(context, first)
    written = list(_assets(context))
    wanted: list[tuple[str, str, Callable[[Material], Page]]] = [(START, "", start.page)]
    wanted += [(name, name, PAGES[name]) for name in material.domains if name in PAGES]
    wanted += [(cards.name(name), name, cards.of(name)) for name in material.domains if material.status(name)["digest"]]
    for name, domain, make in wanted:
        for language in NAMES:
            text = _made(material.spoken(language), name, domain, make)
            written.append(_write(context, address(name, language, first), text))
    _clear(context, {path.name for path in written})
    return written


def address(name: str, language: str, first: str) -> str:
    """The file of a page: the language that opens first has the plain name.

    >>> address("pricing", "zh", "en"), address("pricing", "en", "en")
    ('pricing.zh.html', 'pricing.html')
    """
    return f"{name}.html" if language == first else f"{name}.{language}.html"


def _made(material: Material, name: str, domain: str, make: Callable[[Material], Page]) -> str:
    """A page as HTML; where it cannot be made, one that says why."""
    template = _environment().get_template("page.html.j2")
    try:
        return template.render(**_around(material, make(material), name, domain))
    except Exception as error:  # each page reads other files, and none may take the others with it
        why = f"{type(error).__name__}: {error}"
        if material.language == material.context.params.report.language:
            material.context.say(f"reports: the page {name} could not be made: {why}")
        title = material.or_text(f"site.{name.split('.')[0]}", name)
        page = Page(name, title, "", material.text("site.failed", why=why), [])
        return template.render(**_around(material, page, name, domain))


def _around(material: Material, page: Page, name: str, domain: str) -> dict[str, Any]:
    """What the template wants to know besides the page."""
    text, language, first = material.text, material.language, material.context.params.report.language

    def link(to: str) -> str:
        return address(to, language, first)

    menu = [(text("site.start"), link(START), name == START)]
    menu += [(text(f"site.{one}"), link(one), name == one) for one in material.domains if one in PAGES]
    facts, card = [], ""
    if domain:
        status = material.status(domain)
        digest = status["digest"]
        facts = [text("site.version", digest=digest[:12]) if digest else text("site.nothing_deployed")]
        if digest:
            facts.append(text("site.as_of", date=f"{status['as_of']:%Y-%m-%d}"))
            card = "" if name == cards.name(domain) else link(cards.name(domain))
    return {
        "page": page, "language": language, "text": text, "menu": menu, "start": link(START), "facts": facts,
        "card": card, "languages": [(code, label, address(name, code, first)) for code, label in NAMES.items()],
    }  # fmt: skip


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(FOLDER / "templates")
    made = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    made.globals |= {
        "shown": shown, "raw": _raw, "rows": _rows, "spec": _spec, "together": _together, "numeric": _numeric,
        "code": _code,
    }  # fmt: skip
    return made


def _together(parts: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Neighbours of one kind, since figures and charts stand side by side."""
    for kind, group in itertools.groupby(parts, key=lambda part: type(part).__name__):
        yield kind, list(group)


def _rows(
    frame: pd.DataFrame, columns: Mapping[str, Column], sources: pd.DataFrame | None
) -> list[list[dict[str, Any]]]:
    """The cells of a table, a list a row."""
    made = []
    for name, column in columns.items():
        read = sources[name] if sources is not None else [""] * len(frame)
        number = _numeric(column.form)
        made.append(
            [
                {
                    "shown": shown(value, column.form), "number": number, "source": source,
                    "value": _raw(value) if number or column.form == "age" else None,
                    "age": column.form == "age" and not absent(value), "english": column.form == "english",
                }
                for value, source in zip(frame[name].tolist(), read, strict=True)
            ]
        )  # fmt: skip
    return [list(row) for row in zip(*made, strict=True)]


def _code(text: str) -> Markup:
    """A text whose words in back quotes are code.

    >>> _code("run `ecomine up` & look")
    Markup('run <code>ecomine up</code> &amp; look')
    """
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _numeric(form: str) -> bool:
    return form not in WORDS


def _raw(value: Any) -> str:
    """A value so that it can be read back exactly."""
    if absent(value):
        return ""
    return (
        value if isinstance(value, str) else json.dumps(value.item() if hasattr(value, "item") else value, default=str)
    )


def _spec(chart: Chart) -> Markup:
    """The specification of a chart as JSON that may stand in a script element."""
    text = json.dumps(
        charts.specification(chart.spec, chart.description), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def _assets(context: "Context") -> Iterator[Path]:
    for file in sorted((FOLDER / "assets").iterdir()):
        yield _write(context, f"assets/{file.name}", file.read_text())
    vega = context.store.path(f"{layout.REPORTS}/assets/vega.js")
    # To bundle it takes longer than to make all pages.
    if vega.exists() and vega.read_text().startswith(_mark()):
        yield vega
    else:
        yield _write(context, "assets/vega.js", _vega())


@lru_cache(maxsize=1)
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, from a Python package: no page asks a network for it.

    Bundled once for all workspaces of a user, into the folder of caches (XDG Base Directory Specification).
    """
    try:
        kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ecomine/vega.js"
        if kept.exists() and (text := kept.read_text()).startswith(_mark()) and text.endswith(END):
            return text
    except (OSError, RuntimeError, ValueError):  # no home, or nothing that can be read there
        return _bundled()
    text = _bundled()
    with suppress(OSError), replacing(kept) as new:
        new.write_text(text)
    return text


def _bundled() -> str:
    from vl_convert import javascript_bundle

    return f"{_mark()}\n(function () {{\n{javascript_bundle('window.vegaEmbed = vegaEmbed;')}{END}"


def _mark() -> str:
    """First line of the bundled script, which tells what it was made from."""
    return f"/* Vega, bundled by vl-convert {version('vl-convert-python')} */"


def _write(context: "Context", name: str, text: str) -> Path:
    file = f"{layout.REPORTS}/{name}"
    path = context.store.path(file)
    if not path.exists() or path.read_text() != text:
        with context.store.replacing(file) as new:
            new.write_text(text)
    return path


def _clear(context: "Context", kept: set[str]) -> None:
    """Take away pages of domains that are no more, so that nobody reads them."""
    for path in context.store.path(layout.REPORTS).glob("*.html"):
        if path.name not in kept:
            path.unlink()
