"""Whether an installation and a workspace are in good health: a line a check, and for what is not, how to mend it.

Nothing is changed, and no check waits long: a server that does not answer within two seconds is told as such.
"""

from collections.abc import Iterator
from pathlib import Path

from ecomine.doctor.finding import FAULT, OK, WARNING, Finding
from ecomine.doctor.installation import installation
from ecomine.doctor.machine import machine
from ecomine.doctor.services import services
from ecomine.doctor.workspace import settings, workspace
from ecomine.params import Params

__all__ = ["FAULT", "OK", "WARNING", "Finding", "examine"]


def examine(folder: Path) -> Iterator[Finding]:
    """Everything that is looked at, in the order in which one would mend it."""
    params: Params | None
    params, found = settings(folder)
    yield found
    project = folder / (params.project if params else ".")
    yield from installation(project)
    yield from machine(folder, params)
    yield from workspace(folder)
    yield from services(folder, params)
