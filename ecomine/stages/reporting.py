"""The stage that makes the pages for people."""

from ecomine import layout
from ecomine.stages.context import Context


def report(context: Context) -> None:
    """Whatever is wrong with a page is said, and no reason for a run to fail: what is deployed stays deployed."""
    from ecomine import reports

    try:
        written = reports.write(context)
    except Exception as error:  # the pages come last, and each library behind them fails in its own way
        context.say(
            f"reports: the pages in {layout.REPORTS}/ could not be made ({type(error).__name__}: {error}). What is "
            "deployed is not touched by this. Make them again: `ecomine stage report`"
        )
        return
    pages = sum(path.suffix == ".html" for path in written)
    context.say(f"reports: {pages} pages; open {layout.START_PAGE}")
