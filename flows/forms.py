"""What the forms of the Prefect UI ask for: parameters of flows whose types and descriptions become fields."""

from collections.abc import Iterable
from enum import Enum
from typing import Annotated

from pydantic import Field

from ecomine.domains import DOMAINS

DomainName = Enum("DomainName", {name: name for name in DOMAINS}, type=str)  # type: ignore[misc]

Change = Annotated[str, Field(pattern=r"^[^=]+=.*$", examples=["recommendation.max_depth=3"])]
"""A setting of params.yaml and its new value."""


def names(chosen: Iterable[str], otherwise: Iterable[str]) -> list[str]:
    """Names of the chosen domains; those of params.yaml where none was chosen."""
    return [DomainName(one).value for one in list(chosen) or otherwise]
