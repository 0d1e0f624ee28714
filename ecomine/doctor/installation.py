"""Python and the packages that ecomine was installed with."""

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ecomine.doctor.finding import Finding

LOCK = "requirements.lock"
PINNED = re.compile(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ \\;]+)")
INSTALL = "Install anew: `make install` (or `pip install --require-hashes -r requirements.lock`)."


def installation(project: Path) -> Iterator[Finding]:
    """Python, the ranges that ecomine asks for, and the versions that it was tried with."""
    about = metadata.metadata("ecomine")
    asked = about["Requires-Python"] or ""
    version = ".".join(map(str, sys.version_info[:3]))
    if asked and version not in SpecifierSet(asked):
        yield Finding.fault("Python", f"{version}, ecomine needs {asked}", "Make the environment with that Python.")
    else:
        yield Finding.ok("Python", f"{version} ({sys.prefix})")
    yield _ranges(metadata.requires("ecomine") or [])
    yield _locked(project / LOCK)


def _ranges(requirements: list[str]) -> Finding:
    wrong = []
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        there = _version(requirement.name)
        if there is None:
            wrong.append(f"{requirement.name} is not installed")
        elif not requirement.specifier.contains(there, prereleases=True):
            wrong.append(f"{requirement.name} {there} is not {requirement.specifier}")
    if wrong:
        return Finding.fault("packages", "; ".join(wrong), INSTALL)
    return Finding.ok(
        "packages", f"ecomine {_version('ecomine')}, all that it needs is there in versions that it takes"
    )


def _locked(file: Path) -> Finding:
    if not file.is_file():
        return Finding.ok("versions", f"not compared: no {LOCK} in {file.parent.resolve()}")
    other = []
    pinned = dict(PINNED.findall(file.read_text()))
    for name, version in sorted(pinned.items()):
        there = _version(name)
        if there is not None and there != version:
            other.append(f"{name} {there}, not {version}")
    if other:
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        return Finding.warning(
            "versions", f"other ones than ecomine was tried with: {'; '.join(other[:5])}{more}",
            f"The same bytes are promised for the versions of {LOCK} alone. {INSTALL}",
        )  # fmt: skip
    return Finding.ok("versions", f"the {len(pinned)} of {LOCK}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
