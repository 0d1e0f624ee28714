"""Noting which features an answer was made of."""

from collections.abc import Callable

from ecomine.errors import EcomineError
from ecomine.feature_store import OnlineAnswer
from ecomine.serving.packing import Read
from ecomine.serving.seat import Answers, Rows


class FeaturesAwayError(EcomineError):
    """Features cannot be read from the online store."""


def noting(answers: Answers, reads: list[Read] | None) -> Callable[[Rows], OnlineAnswer]:
    """The features of `answers`, noted as they are read; raises FeaturesAwayError where they cannot be."""
    shared = answers.shared

    def look_up(rows: Rows) -> OnlineAnswer:
        try:
            found = answers.look_up(rows)
        except Exception as error:  # each online store fails in its own way
            raise FeaturesAwayError(f"{type(error).__name__}: {error}") from error
        if reads is not None:
            keys = {key: list(map(str, rows[key])) for key in answers.keys}
            reads.append(Read(keys, list(found.features), list(found.tables), found.values, found.ages, shared))
        return found

    return look_up
