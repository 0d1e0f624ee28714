"""The control room as an operator has it: a browser, Prefect's UI, a form, and what a run shows when it is done."""

import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from ecomine.domains import DOMAINS
from ecomine.stages import load_params
from tests.conftest import LENIENT, make_workspace
from tests.requirements import require
from tests.shell import free_port, shell, start
from tests.shop import tiny_shop

pytestmark = pytest.mark.slow

QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
PATIENCE = 240_000
"""Milliseconds that a run may take on a busy machine."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("room") / "workspace"
    return make_workspace(
        folder,
        tiny_shop(users=60, days=120),
        gate=LENIENT | {"bootstrap_samples": 200},
        domains=["recommendation"],
        recommendation={"train_periods": 2, "max_rounds": 10, "patience": 5, "pairs": 1},
        schedules={"score": "5 4 * * *", "retrain": None},
    )


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    """Of Prefect's UI, once every deployment is served."""
    port = free_port()
    process = start(workspace, "env", "PREFECT_RUNNER_POLL_FREQUENCY=1", "ecomine", "up", "--port", str(port))
    try:
        shell(workspace, "dvc", "init", "--quiet", "--no-scm")
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and not _serving(url):
            time.sleep(0.3)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # asked to end, Prefect's server waits for a browser's connections
        process.communicate()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    chromium = require("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        page = browser.new_page(viewport={"width": 1300, "height": 1400})
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("ECOMINE_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _serving(url: str) -> bool:
    try:
        return _ask(url, "deployments/name/rollback/on-demand")["status"] == "READY"
    except OSError:
        return False


def _ask(url: str, path: str) -> dict:
    with urllib.request.urlopen(f"{url}/api/{path}", timeout=30) as answer:
        return json.load(answer)


def test_a_retraining_with_a_changed_setting_from_form_to_gate(
    page: Page, address: str, workspace: Path, screenshots: Path
) -> None:
    page.goto(f"{address}/deployments")
    row = page.get_by_role("row").filter(has_text="retrain").filter(has_text="on-demand")
    row.get_by_role("link", name="on-demand").click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()

    page.get_by_role("button", name="Add item").click()
    # The first textarea of the page is another field's until the new item is drawn.
    setting = page.locator(".schema-form-property-array-item textarea")
    setting.fill("recommendation.max_depth=3")
    page.locator(".p-select-button__icon").first.click()
    options = page.locator(".p-select-option")
    assert options.all_inner_texts() == list(DOMAINS)
    options.filter(has_text="recommendation").click()
    page.keyboard.press("Escape")
    page.screenshot(path=screenshots / "1-form.png", full_page=True)
    expect(setting).to_have_value("recommendation.max_depth=3")
    with page.expect_response("**/create_flow_run") as created:
        page.get_by_role("button", name="Submit").click()

    page.goto(f"{address}/runs/flow-run/{created.value.json()['id']}")
    state = page.locator(".state-badge").first
    expect(state).to_have_text(re.compile("Completed|Failed|Crashed"), timeout=PATIENCE)
    expect(state).to_have_text("Completed", timeout=1)
    page.screenshot(path=screenshots / "2-run.png", full_page=True)
    page.get_by_text("Artifacts", exact=True).click()
    expect(page.get_by_text("11 of 11 steps")).to_be_visible()
    page.get_by_text("gate-recommendation").click()
    expect(page.get_by_role("heading", name="recommendation: gate passed")).to_be_visible()
    expect(page.get_by_text("better_than_baseline")).to_be_visible()
    expect(page.get_by_text("a unit over personal_top, 95% interval")).to_be_visible()
    page.screenshot(path=screenshots / "3-gate.png", full_page=True)

    assert load_params(workspace).sections["recommendation"].max_depth == 3
    assert (workspace / "decisions/recommendation.parquet").is_file()
    assert "up to date" in shell(workspace, "dvc", "status").stdout


def test_the_run_shows_figures_and_charts(page: Page, address: str, screenshots: Path) -> None:
    figures = json.loads(_ask(address, "artifacts/metrics-recommendation/latest")["data"])
    methods = [row["method"] for row in figures]
    assert methods[0] == "candidate" and "baseline popularity" in methods
    assert all(0 <= row["recall@20"] <= 1 for row in figures)
    page.goto(f"{address}/artifacts/key/charts-recommendation")
    page.locator('a[href*="/artifacts/artifact/"]').first.click()
    picture = page.locator('img[src^="data:image/png"]').first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 300
    page.screenshot(path=screenshots / "4-charts.png", full_page=True)


def test_schedules_are_those_of_params_yaml(address: str) -> None:
    weekly = _ask(address, "deployments/name/retrain/weekly")
    assert weekly["schedules"] == [], "switched off"
    daily = _ask(address, "deployments/name/score/daily")
    assert [one["schedule"]["cron"] for one in daily["schedules"]] == ["5 4 * * *"]


def test_every_field_of_every_form_says_what_it_means(address: str) -> None:
    request = urllib.request.Request(
        f"{address}/api/deployments/filter", b"{}", {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        deployments = json.load(answer)
    assert {"retrain", "score"} <= {one["entrypoint"].rsplit(":", 1)[-1] for one in deployments}
    for one in deployments:
        assert one["description"], one["name"]
        for name, field in one["parameter_openapi_schema"]["properties"].items():
            assert field.get("description"), f"{one['entrypoint']}: {name}"
