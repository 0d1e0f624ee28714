"""Pages for the people who decide: a small site of static files in reports/, which needs neither server nor network.

    page.py        what a page is made of, without a word about HTML
    material.py    what the pages are made of: metrics, gates, plots, decisions, history
    start.py, profiling.py …   a page each: `page(material) -> Page`
    cards.py       model card and data sheet of each deployed model
    site.py        PAGES, and the writing of them
    language/      every text, in each language

A page is the same bytes for the same workspace: how old something is, is told by the browser.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecomine.stages import Context

__all__ = ["write"]


def write(context: "Context") -> list[Path]:
    """Make every page of a workspace, in each language, into reports/; returns what was written.

    A page that cannot be made says so in its place.
    """
    from ecomine.reports import site

    return site.write(context)
