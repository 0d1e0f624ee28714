"""Logistic regression on broken lines: the plain comparison, and half of a good blend."""

import warnings

import numpy as np


class BrokenLineLogistic:
    """Each number becomes a broken line with knots at its quantiles; nulls count as the median, and get a flag.

    Numbers are squashed by a signed logarithm first, so that a few great ones do not rule. Flags stay as they are.
    """

    def __init__(self, knots: int = 6, strength: float = 0.3) -> None:
        self.knots, self.strength = knots, strength

    def fit(self, values: np.ndarray, label: np.ndarray) -> "BrokenLineLogistic":
        """Learns from a matrix (nulls allowed) and a label of 0 and 1."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        squashed = _squash(values)
        known = np.isfinite(squashed)
        counted = known.any(axis=0)
        self.median = np.zeros(values.shape[1])
        self.median[counted] = np.nanmedian(squashed[:, counted], axis=0)
        filled = np.where(known, squashed, self.median)
        self.places = [np.unique(np.quantile(column, np.linspace(0, 1, self.knots + 1)[:-1])) for column in filled.T]
        self.places = [
            place if len(np.unique(column)) > 2 else place[:1]
            for place, column in zip(self.places, filled.T, strict=True)
        ]
        design = self._design(values)
        self.mean, spread = design.mean(axis=0), design.std(axis=0)
        self.scale = np.where(spread > 1e-9, spread, 1.0)
        # Sums over several threads come in changing order; one thread keeps the bytes the same.
        with threadpool_limits(1), warnings.catch_warnings():
            # Pieces of a line overlap, which makes for slow steps at the end that no prediction feels.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=self.strength, max_iter=200, tol=1e-3)
            model.fit((design - self.mean) / self.scale, label)
        self.weight, self.intercept = model.coef_[0], float(model.intercept_[0])
        return self

    def margin(self, values: np.ndarray) -> np.ndarray:
        """Logarithm of the odds, a number a row."""
        # A sum by columns, not a matrix product: its rounding is the same for one row and for many.
        scaled = (self._design(values) - self.mean) / self.scale
        return np.asarray((scaled * self.weight).sum(axis=1) + self.intercept)

    def _design(self, values: np.ndarray) -> np.ndarray:
        squashed = _squash(values)
        known = np.isfinite(squashed)
        filled = np.where(known, squashed, self.median)
        pieces = [
            np.maximum(filled[:, [column]] - place, 0.0) if len(place) > 1 else filled[:, [column]]
            for column, place in enumerate(self.places)
        ]
        return np.hstack([*pieces, (~known).astype(float)])

    def state(self) -> dict[str, object]:
        """What `restore` needs, as plain values."""
        arrays = {name: getattr(self, name).tolist() for name in ("median", "mean", "scale", "weight")}
        return {**arrays, "intercept": self.intercept, "places": [place.tolist() for place in self.places]}

    @classmethod
    def restore(cls, state: dict) -> "BrokenLineLogistic":  # type: ignore[type-arg]
        model = cls()
        for name in ("median", "mean", "scale", "weight"):
            setattr(model, name, np.array(state[name]))
        model.places = [np.array(place) for place in state["places"]]
        model.intercept = float(state["intercept"])
        return model


def _squash(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))
