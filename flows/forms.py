"""What the forms of the Prefect UI ask for: parameters of flows whose types and descriptions become fields."""

from collections.abc import Iterable
from datetime import date
from enum import Enum
from typing import Annotated

from pydantic import Field, WithJsonSchema

from ecomine.domains import DOMAINS

DomainName = Enum("DomainName", {name: name for name in DOMAINS}, type=str)  # type: ignore[misc]

Change = Annotated[str, Field(pattern=r"^[^=]+=.*$", examples=["recommendation.max_depth=3"])]
"""A setting of params.yaml and its new value."""


# The form of a plain date; one that may be null has to be unfolded first.
OptionalDay = Annotated[date | None, WithJsonSchema({"type": "string", "format": "date"})]
"""A day, or nothing."""


def names(chosen: Iterable[str], otherwise: Iterable[str]) -> list[str]:
    """Names of the chosen domains; those of params.yaml where none was chosen."""
    return [DomainName(one).value for one in list(chosen) or otherwise]
