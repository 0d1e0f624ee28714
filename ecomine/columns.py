"""What a table must hold before anything is learned from it."""

from collections.abc import Iterable

from ecomine.errors import FeatureError

READ = "Read them through the feature service that the model was trained with."
"""What to do about missing features."""


def require(columns: Iterable[object], wanted: Iterable[str], what: str, hint: str = "") -> None:
    """Raises FeatureError, which says what lacks, what is there and, by `hint`, what to do, where a column is missing.

    >>> require(["user_id"], ["user_id", "item_id"], "interactions", "Bring both.")
    Traceback (most recent call last):
        ...
    ecomine.errors.FeatureError: The interactions lack item_id; they have user_id. Bring both.
    """
    there = [str(name) for name in columns]
    missing = [name for name in wanted if name not in there]
    if missing:
        raise FeatureError(
            f"The {what} lack {', '.join(missing)}; they have {', '.join(there) or 'no columns'}. {hint}".rstrip()
        )
