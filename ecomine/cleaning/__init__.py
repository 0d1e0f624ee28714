"""Cleaning: rows that cannot be true are refused, each with a reason; the others are mended where it is safe.

No row is lost: rows in = rows clean + rows refused, checked whenever a table is written or counted.
"""

from ecomine.cleaning.as_of import resolve_as_of
from ecomine.cleaning.tables import Cleaned, clean

__all__ = ["Cleaned", "clean", "resolve_as_of"]
