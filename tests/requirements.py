"""What a test needs that is no Python package: a binary of the system, a driver, a folder of data."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

PLACES = ("/usr/lib/postgresql/*/bin",)
"""Where binaries live that are not on the PATH."""


def require(binary: str, package: str) -> Path:
    """The path of a binary; without it the test is skipped, saying which Debian package to install.

    Where ECOMINE_REQUIRE is `all`, the test fails instead.
    """
    found = shutil.which(binary) or next(
        (str(path) for place in PLACES for path in sorted(Path("/").glob(place[1:] + f"/{binary}"))), None
    )
    if found is None:
        missing(f"{binary} is not installed: apt-get install {package}")
    return Path(found)


def require_module(module: str, extra: str) -> None:
    """Skips, or fails where ECOMINE_REQUIRE is `all`, where an optional Python module is absent."""
    if importlib.util.find_spec(module) is None:
        missing(f"{module} is not installed: pip install '{extra}'")


def missing(why: str) -> NoReturn:
    """Skip the test for a reason of one line; where ECOMINE_REQUIRE is `all`, fail it."""
    if os.environ.get("ECOMINE_REQUIRE") == "all":
        pytest.fail(f"{why} (ECOMINE_REQUIRE=all)", pytrace=False)
    pytest.skip(why)
