"""The pages as people see them: in a real browser, from the file system and from the server."""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.conftest import change_params
from tests.serving.server import serving

MOST_BYTES = 3_000_000
CHECKED_TWICE = ("index.zh.html", "recommendation.zh.html")
"""Pages that axe looks at in Chinese too."""
LATER_ROWS = "tbody tr:nth-child(n + 9)"


@contextmanager
def tab(browser: Browser, **context: object) -> Iterator[Page]:
    """One tab for pages one after another, in a context of its own."""
    inside = browser.new_context(**context)  # type: ignore[arg-type]
    yield inside.new_page()
    inside.close()


@contextmanager
def shown(page: Page, address: str) -> Iterator[Page]:
    """A page whose charts are all drawn; fails for a word of complaint and for a request to elsewhere."""
    heard: list[str] = []
    asked: list[str] = []
    listeners = {
        "console": lambda message: heard.append(message.text) if message.type in ("error", "warning") else None,
        "pageerror": lambda error: heard.append(str(error)),
        "request": lambda request: asked.append(request.url),
    }
    for event, listener in listeners.items():
        page.on(event, listener)  # type: ignore[call-overload]
    page.goto(address)
    page.wait_for_function("document.documentElement.dataset.drawn !== undefined")
    yield page
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    own = address.rsplit("/", 1)[0] if address.startswith("file:") else "/".join(address.split("/")[:3])
    assert not heard, f"{address}: {heard}"
    assert all(url.startswith((own, "data:", "blob:")) for url in asked), asked


@contextmanager
def opened(browser: Browser, address: str, **context: object) -> Iterator[Page]:
    """`shown` in a tab of its own."""
    with tab(browser, **context) as page, shown(page, address):
        yield page


def kept(page: Page, name: str) -> None:
    """A screenshot, where a folder for them is named."""
    if folder := os.environ.get("ECOMINE_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def pages(workspace: Path) -> list[Path]:
    return sorted((workspace / "reports").glob("*.html"))


def faults(page: Page, **options: object) -> list[dict]:
    """What axe finds wrong; it must not fetch style sheets itself, which files may not.

    Later rows of a table are made like the first ones, and would take most of the time. What is fine stays in the page.
    """
    asked = {"preload": False, "resultTypes": ["violations"], **options}
    return Axe().run(page, {"exclude": [[LATER_ROWS]]}, asked).response["violations"]


def check_drawn(page: Page, name: str) -> None:
    """Every chart has marks, as many as were drawn; the page says nothing of a failure."""
    counts = page.evaluate(
        """[...document.querySelectorAll("figure.chart")].map((figure) =>
            [figure.id, figure.querySelectorAll("svg [class*='mark-']:not(.background) :is(path, text, line)").length,
             figure.querySelector(".drawing").getAttribute("aria-label").length])"""
    )
    assert page.evaluate("+document.documentElement.dataset.drawn") == len(counts), name
    for chart, marks, words in counts:
        assert marks > 0, f"{name}: {chart} has no marks"
        assert words > 10, f"{name}: {chart} is not told in words"


@pytest.mark.slow
def test_every_page_opens_is_drawn_and_is_open_to_all(browser: Browser, sites: list[Path]) -> None:
    seen: set[str] = set()
    charts = 0
    with tab(browser, viewport={"width": 1280, "height": 900}) as one:
        for workspace in sites:
            loaded = sum(file.stat().st_size for file in (workspace / "reports/assets").iterdir())
            for file in pages(workspace):
                new = file.name not in seen
                if not new and not file.name.startswith("index"):
                    continue
                seen.add(file.name)
                assert file.stat().st_size + loaded < MOST_BYTES
                with shown(one, file.as_uri()) as page:
                    check_drawn(page, file.name)
                    charts += page.locator("figure.chart").count()
                    # What is a fault in one language is one in the other; two pages stand for the template.
                    if new and (".zh." not in file.name or file.name in CHECKED_TWICE):
                        found = faults(page)
                        grave = [
                            (fault["id"], fault["nodes"][0]["html"][:200])
                            for fault in found
                            if fault["impact"] in ("serious", "critical")
                        ]
                        assert not grave, f"{file.name}: {grave}"
                    kept(page, file.stem)
    domains = {"profiling", "recommendation", "ads", "pricing", "risk", "inventory"}
    wanted = {f"{one}{more}.html" for one in domains for more in ("", ".zh", ".card", ".card.zh")}
    assert wanted | {"index.html", "index.zh.html"} <= seen
    assert charts > 30


def test_a_phone_and_a_dark_room(browser: Browser, site: Path) -> None:
    with tab(browser, viewport={"width": 390, "height": 844}, color_scheme="dark") as one:
        for name in ("index", "profiling", "recommendation"):
            with shown(one, (site / f"reports/{name}.html").as_uri()) as page:
                check_drawn(page, name)
                assert page.evaluate("document.documentElement.scrollWidth") <= 390, f"{name} is wider than a phone"
                paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert max(int(part) for part in paper[4:-1].split(",")) < 60
                pale = faults(page, runOnly=["color-contrast"])
                assert not pale, pale[0]["nodes"][0]["html"]
                kept(page, f"{name}-phone-dark")


def test_tables_are_sorted_filtered_and_taken_away(browser: Browser, site: Path, tmp_path: Path) -> None:
    with opened(browser, (site / "reports/recommendation.html").as_uri()) as page:
        table = page.locator("#lists")
        places = [int(text) for text in table.locator("tbody tr td:nth-child(2)").all_inner_texts()]
        head = table.locator("th", has_text="place")
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        falling = [int(text) for text in table.locator("tbody tr td:nth-child(2)").all_inner_texts()]
        assert falling == sorted(places, reverse=True)
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        rising = [int(text) for text in table.locator("tbody tr td:nth-child(2)").all_inner_texts()]
        assert rising == sorted(places)

        word = table.locator("tbody tr td:nth-child(1)").first.inner_text()
        table.get_by_role("searchbox").fill(word.upper())
        visible = table.locator("tbody tr:visible")
        wanted = table.locator("tbody tr", has_text=word).count()
        assert visible.count() == wanted < len(places)
        assert table.get_by_role("status").inner_text().startswith(f"{wanted} of {len(places)}")

        with page.expect_download() as download:
            table.get_by_role("button", name="Download CSV").click()
        download.value.save_as(tmp_path / "lists.csv")
        rows = list(csv.DictReader((tmp_path / "lists.csv").read_text(encoding="utf-8-sig").splitlines()))
        assert len(rows) == wanted
        assert {row["customer"] for row in rows} == {word}


def test_the_other_language_is_a_click_away(browser: Browser, site: Path) -> None:
    with opened(browser, (site / "reports/profiling.html").as_uri()) as page:
        charts = page.locator("figure.chart").count()
        page.get_by_role("link", name="中文").click()
        page.wait_for_function("document.documentElement.dataset.drawn !== undefined")
        assert page.locator("html").get_attribute("lang") == "zh"
        assert page.locator("h1").inner_text() == "客户"
        assert page.locator("figure.chart").count() == charts
        page.get_by_role("link", name="推荐", exact=True).click()
        assert page.locator("html").get_attribute("lang") == "zh", "the language stays from page to page"
        page.get_by_role("link", name="English").click()
        assert page.locator("h1").inner_text() == "Recommendations"


def test_ages_are_told_by_the_browser(browser: Browser, site: Path) -> None:
    text = (site / "reports/index.html").read_text()
    with opened(browser, (site / "reports/index.html").as_uri()) as page:
        ages = page.locator("#state time").all_inner_texts()
        assert ages and all("ago" in age or "now" in age or "yesterday" in age for age in ages)
        assert page.locator("#road svg:visible").count() == 1
    assert not any(age in text for age in ages)


def test_the_server_shows_the_pages_under_headers_that_forbid_all_else(browser: Browser, site: Path) -> None:
    with serving(site) as client:
        answer = client.get("/")
        assert answer.status_code == 200 and "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.text == (site / "reports/index.html").read_text()
        assert client.get("/profiling.zh.html").status_code == 200
        for other in ("/validation/index.html", "/volumes.json", "/assets/../volumes.json", "/none.html",
                      "/assets/%2e%2e%2fvolumes.json", "/assets/none.js"):  # fmt: skip
            assert client.get(other).status_code == 404, other
        assert client.get("/v1/models").status_code == 200
        assert client.post("/v1/models").status_code == 405
        assert not {"/", "/{page}.html"} & set(client.get("/openapi.json").json()["paths"])
        with opened(browser, f"{client.base_url}/recommendation.html") as page:
            check_drawn(page, "served")
        with opened(browser, str(client.base_url)) as page:
            assert page.get_by_role("link", name="Data Docs").count() == 0, "a server does not offer values of rows"


def test_where_keys_are_needed_no_page_is_shown(site: Path, tmp_path: Path) -> None:
    import shutil

    workspace = Path(shutil.copytree(site, tmp_path / "keyed"))
    change_params(workspace, serving={"keys": True})
    with serving(workspace) as client:
        assert client.get("/").status_code == 404
        assert client.get("/healthz").status_code == 200
