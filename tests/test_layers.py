"""The rules of the structure, held by import-linter."""

from tests.conftest import PROJECT
from tests.shell import shell


def test_imports_point_downward() -> None:
    done = shell(PROJECT, "lint-imports", "--no-cache", check=False)
    assert done.returncode == 0, done.stdout
