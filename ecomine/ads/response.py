"""ClickModel and ConversionModel: how probable is a click, and a purchase that may come days later."""

import dataclasses
import json
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from scipy import optimize, special

from ecomine.ads.classifiers import HASHED, XGBOOST, Blocks, Classifier, HashedLogistic, TreesClassifier, TreeSettings
from ecomine.ads.encoding import Design
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.store import write_json

FOLDS = 3
ROUNDS = 3
"""Times that delays and probabilities are told from each other in turn."""

DELAY_PENALTY = 1e-3


class ClickModel:
    """Calibrated probability of a click, from a frame of numbers and levels of person, item and context.

    base: `xgboost` or `hashed`, logistic regression on hashed columns. Calibrated by a line through the log odds of
    rows that the predicting model had not seen (Platt 1999).
    """

    name = "click"

    def __init__(
        self, base: str = XGBOOST, seed: int = 42, threads: int = 2, trees: TreeSettings | None = None
    ) -> None:
        if base not in (XGBOOST, HASHED):
            raise SettingsError(f"`base` is {base!r}; expected {XGBOOST} or {HASHED}.")
        self.base, self.seed, self.threads, self.trees = base, seed, threads, trees or TreeSettings()

    def _classifier(self) -> Classifier:
        if self.base == XGBOOST:
            return TreesClassifier(self.seed, self.threads, self.trees)
        return HashedLogistic(self.seed)

    def fit(self, frame: pd.DataFrame, clicked: pd.Series | np.ndarray) -> Self:
        """Learns; raises NotEnoughDataError where there are only clicks, or none."""
        label = _flags(clicked, "clicks")
        apart = self._apart(frame, label)
        known = np.full(len(label), np.inf)
        self.line = _calibration(apart, label > 0, known)
        self.model = self._classifier().fit(frame, label)
        return self

    def fit_blocks(self, blocks: Blocks, calibrate: Blocks) -> Self:
        """As `fit`, from frames with clicks that are never in memory together; calibrated on `calibrate`, later rows.

        Raises NotEnoughDataError where these are only clicks, or none.
        """
        self.model = self._classifier().fit_blocks(blocks)
        parts = [(self.model.margin(frame), np.asarray(label, float)) for frame, label in calibrate()]
        margin, label = (np.concatenate([part[at] for part in parts]) for at in (0, 1))
        self.line = _calibration(margin, _flags(label, "clicks") > 0, np.full(len(label), np.inf))
        return self

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Probability, a number a row; raises FeatureError where a column is missing."""
        return np.asarray(special.expit(self.line[0] + self.line[1] * self.model.margin(frame)))

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each column adds to the log odds of each row; see the classifiers."""
        parts = self.model.contributions(frame)
        return parts * self.line[1]

    def _apart(self, frame: pd.DataFrame, label: np.ndarray) -> np.ndarray:
        """Log odds of each row by a model that did not see it."""
        order, part = np.random.default_rng(self.seed).permutation(len(label)), np.empty(len(label), np.int64)
        part[order[np.argsort(label[order], kind="stable")]] = np.arange(len(label)) % FOLDS
        apart = np.empty(len(label))
        for number in range(FOLDS):
            here = part == number
            apart[here] = self._classifier().fit(frame[~here], label[~here]).margin(frame[here])
        return apart

    def _state(self) -> dict[str, object]:
        return {
            "base": self.base,
            "seed": self.seed,
            "threads": self.threads,
            "trees": dataclasses.asdict(self.trees),
            "line": list(self.line),
        }

    def save(self, folder: Path) -> None:
        """JSON and XGBoost's UBJ."""
        self.model.save(folder, f"{self.name}-model")
        write_json(folder / f"{self.name}.json", self._state())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The inverse of `save`."""
        state = json.loads((folder / f"{cls.name}.json").read_text())
        model = cls(state["base"], state["seed"], state["threads"], TreeSettings(**state["trees"]))
        model.line = tuple(state["line"])
        model.model = model._classifier().load(folder, f"{cls.name}-model")
        model._restore(state)
        return model

    def _restore(self, state: dict) -> None:  # type: ignore[type-arg]
        pass


class ConversionModel(ClickModel):
    """Probability that a contact converts in the end, though many conversions are still to come when it is fitted.

    `fit` takes, beside the frame, who converted so far, after how many days (ignored for others), and how many days
    each contact has been known. A contact converts with probability p(x), after a delay that is exponential at rate
    λ(x); one that has not converted after e days does with p·exp(−λe) / (1 − p + p·exp(−λe)). Probabilities and delays
    are told in turn (EM). Source: Chapelle, Modeling delayed feedback in display advertising (2014).
    """

    name = "conversion"

    def fit(  # type: ignore[override]
        self,
        frame: pd.DataFrame,
        converted: pd.Series | np.ndarray,
        delay_days: pd.Series | np.ndarray,
        elapsed_days: pd.Series | np.ndarray,
    ) -> Self:
        so_far, elapsed = _flags(converted, "conversions"), np.asarray(elapsed_days, float)
        came = so_far > 0
        delay = np.where(came, np.asarray(delay_days, float), 0.0)
        if not (
            np.isfinite(delay).all() and np.isfinite(elapsed).all() and (elapsed >= 0).all() and (delay >= 0).all()
        ):
            raise FeatureError("A delay of a conversion, or the days a contact is known, is missing or below 0.")
        if (delay > elapsed)[came].any():
            raise FeatureError(
                f"{int((delay > elapsed)[came].sum()):,} conversions came after more days than their contact is known."
            )
        self.design = Design().fit(frame)
        lines = self.design.straight(self.design.raw(frame))
        margin, self.slope = _jointly(lines, came, delay, elapsed)
        share = _will_come(margin, came, np.exp(-self._rate(lines) * elapsed))
        for _ in range(ROUNDS):
            self.slope = _delays(lines, came, delay, elapsed, share, self.slope)
            survived = np.exp(-self._rate(lines) * elapsed)
            self.model = self._classifier().fit(frame, share)
            # A pass of EM between fits of the model costs nothing and carries the level of the shares further.
            margin = self.model.margin(frame)
            share = _will_come(margin + _shift(margin, came, survived), came, survived)
        self.line = _calibration(self._apart(frame, share), came, self._rate(lines) * elapsed)
        self.model = self._classifier().fit(frame, share)
        return self

    def predict_within(self, frame: pd.DataFrame, days: float) -> np.ndarray:
        """Probability of a conversion within so many days of the contact."""
        lines = self.design.straight(self.design.raw(frame))
        return self.predict(frame) * (1 - np.exp(-self._rate(lines) * days))

    def mean_delay_days(self, frame: pd.DataFrame) -> np.ndarray:
        """Expected days from contact to conversion, of those that convert."""
        return 1 / self._rate(self.design.straight(self.design.raw(frame)))

    def _rate(self, lines: np.ndarray) -> np.ndarray:
        return np.exp(np.clip((lines * self.slope[1:]).sum(axis=1) + self.slope[0], -20, 20))

    def _state(self) -> dict[str, object]:
        return {**super()._state(), "slope": self.slope.tolist(), "design": self.design.state()}

    def _restore(self, state: dict) -> None:  # type: ignore[type-arg]
        self.slope, self.design = np.array(state["slope"]), Design.restore(state["design"])


def _will_come(margin: np.ndarray, came: np.ndarray, survived: np.ndarray) -> np.ndarray:
    """Probability that each contact converts, given that it did, or has not in all the time it is known."""
    chance = special.expit(margin)
    return np.where(came, 1.0, chance * survived / (1 - chance + chance * survived))


def _jointly(
    lines: np.ndarray, came: np.ndarray, delay: np.ndarray, elapsed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log odds of converting, and intercept and slopes of log λ, both linear: Chapelle (2014), eq. 11, by L-BFGS.

    Where EM begins: from the share that came so far it would need many rounds.
    """
    from threadpoolctl import threadpool_limits

    time, width = np.where(came, delay, elapsed), lines.shape[1] + 1
    seen = np.column_stack([np.ones(len(lines)), lines])

    def loss(both: np.ndarray) -> tuple[float, np.ndarray]:
        margin, log_rate = seen @ both[:width], np.clip(seen @ both[width:], -20, 20)
        chance, waited = special.expit(margin), time * np.exp(log_rate)
        still = np.maximum(1 + chance * np.expm1(-waited), 1e-300)
        value = np.where(came, np.logaddexp(0, -margin) - log_rate + waited, -np.log(still))
        by_margin = np.where(came, chance - 1, -chance * (1 - chance) * np.expm1(-waited) / still)
        by_rate = np.where(came, waited - 1, chance * np.exp(-waited) * waited / still)
        kept = np.concatenate([[0.0], both[1:width], [0.0], both[width + 1 :]])
        pull = np.concatenate([seen.T @ by_margin, seen.T @ by_rate]) / len(lines)
        return float(value.mean() + DELAY_PENALTY * (kept**2).sum()), pull + 2 * DELAY_PENALTY * kept

    start = np.zeros(2 * width)
    start[0] = special.logit(np.clip(came.mean(), 1e-6, 1 - 1e-6))
    start[width] = -np.log(max(float(delay[came].mean()), 1e-6))
    with threadpool_limits(1):
        found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x
    return np.asarray(seen @ found[:width]), np.asarray(found[width:])


def _delays(
    lines: np.ndarray, came: np.ndarray, delay: np.ndarray, elapsed: np.ndarray, share: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Intercept and slopes of log λ: exponential delays, of which those still to come are only known to be longer."""
    time = np.where(came, delay, elapsed)

    def loss(slope: np.ndarray) -> tuple[float, np.ndarray]:
        log_rate = np.clip(lines @ slope[1:] + slope[0], -20, 20)
        expected = share * time * np.exp(log_rate)
        value = (expected - came * log_rate).mean() + DELAY_PENALTY * (slope[1:] ** 2).sum()
        pull = (expected - came) / len(came)
        return float(value), np.append(pull.sum(), lines.T @ pull + 2 * DELAY_PENALTY * slope[1:])

    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return np.asarray(optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x)


def _shift(margin: np.ndarray, came: np.ndarray, survived: np.ndarray) -> float:
    """What to add to all log odds so that the conversions seen so far are as many as expected (maximum likelihood)."""

    def loss(shift: float) -> float:
        chance = special.expit(margin + shift)
        return -float(np.where(came, np.log(chance), np.log1p(-chance * (1 - survived))).mean())

    return float(optimize.minimize_scalar(loss, bounds=(-5, 5), method="bounded").x)


def _calibration(margin: np.ndarray, came: np.ndarray, waited: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of the log odds, by the likelihood of what has come so far.

    `waited` is λ · days known; infinite where nothing more can come.
    """
    gone = -np.expm1(-waited)

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        chance = special.expit(line[0] + line[1] * margin)
        still = 1 - chance * gone
        value = -np.where(came, np.log(np.maximum(chance, 1e-300)), np.log(np.maximum(still, 1e-300)))
        pull = np.where(came, chance - 1, gone * chance * (1 - chance) / np.maximum(still, 1e-300))
        return float(value.mean()), np.array([pull.mean(), (pull * margin).mean()])

    found = optimize.minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[(None, None), (0.05, 5)])
    return float(found.x[0]), float(found.x[1])


def _flags(values: pd.Series | np.ndarray, what: str) -> np.ndarray:
    label = np.asarray(values, float)
    if set(np.unique(label)) != {0.0, 1.0}:
        raise NotEnoughDataError(
            f"{len(label):,} {what} with the values {sorted(set(label.tolist()))[:5]}; expected both 0 and 1."
        )
    return label
