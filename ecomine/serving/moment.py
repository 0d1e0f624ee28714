"""Moments as the API tells them."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_utc)]
"""A moment with its offset, as RFC 3339 wants it; one without a time zone is UTC, as everywhere in the package."""
