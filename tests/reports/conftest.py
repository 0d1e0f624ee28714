"""Sites made of the shared workspaces, and one browser for all tests of a module."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from ecomine import reports
from ecomine.stages import Context
from tests.requirements import require

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run")  # fmt: skip


def made(workspace: Path, folder: Path) -> Path:
    """A copy of a workspace with its pages made."""
    copy = Path(shutil.copytree(workspace, folder))
    reports.write(Context.of(copy))
    return copy


@pytest.fixture(scope="session")
def site(placed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with pages of profiling, recommendation and ads."""
    return made(placed, tmp_path_factory.mktemp("site") / "workspace")


@pytest.fixture(scope="session")
def sites(site: Path, priced: Path, watched: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Workspaces whose pages are of five kinds of decision together."""
    folder = tmp_path_factory.mktemp("sites")
    return [site, made(priced, folder / "priced"), made(watched, folder / "watched")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser without a screen."""
    path = require("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=list(QUIET))
        yield browser
        browser.close()
