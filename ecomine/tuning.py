"""The search for a domain's settings: Optuna's tree-structured Parzen estimator, within a budget of time.

Everything is judged by validation inside the training period; the test period is never looked at, so that its figures
stay honest for whatever was found (Bergstra et al. 2011 for the estimator).
"""

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

from ecomine import layout
from ecomine.domain import Domain, Range
from ecomine.errors import SettingsError
from ecomine.stages import Context


@dataclass(frozen=True)
class Found:
    """Settings that differ from those at hand and validate better (none where nothing does), with both values."""

    settings: dict[str, Any]
    value: float
    start: float


def tune(context: Context, domain: Domain, minutes: float, trials: int) -> Found:
    """Search the settings of a domain; every trial stands in `layout.TUNING`.

    The settings at hand are the first trial. Raises SettingsError where the domain has nothing to search, or the budget
    is none.
    """
    import optuna

    from ecomine import feature_store

    if domain.tunable is None:
        raise SettingsError(f"{domain.name} has no settings to search.")
    if minutes <= 0 or trials < 1:
        raise SettingsError(f"The budget is {minutes:g} minutes and {trials} trials; expected more than none of each.")
    context.store.require(layout.FEATURES, "features")
    tunable, at_hand, seed = domain.tunable, context.params.sections[domain.name], context.params.seed
    with context.connection() as connection:
        inputs = dataclasses.replace(context.inputs(connection, domain), params=tunable.widest(at_hand))
        rows = domain.label(inputs).train
    frame = feature_store.point_in_time(context.store.workspace, rows, domain.service)
    context.say(f"{domain.name}: {len(frame):,} rows to choose by")

    def judge(trial: optuna.Trial) -> float:
        chosen = {name: _suggest(trial, name, choice) for name, choice in tunable.space.items()}
        value = tunable.validate(frame, dataclasses.replace(at_hand, **chosen), seed, context.params.engine.threads)
        if value > best["value"]:
            best["value"] = value
            context.say(f"trial {trial.number}: {value:.4f}")
        return value

    best = {"value": float("-inf")}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: _now(at_hand, name) for name in tunable.space})
    started = time.monotonic()
    study.optimize(judge, n_trials=trials, timeout=60 * minutes, catch=())
    told = [{"value": trial.value, "settings": _settings(trial.params)} for trial in study.trials if trial.value]
    start, value = study.trials[0].value or 0.0, study.best_value
    different = {
        name: given
        for name, given in _settings(study.best_params).items()
        if given != getattr(at_hand, name) and value > start
    }
    report = {"seconds": round(time.monotonic() - started, 1), "start": start, "best": value, "trials": told}
    context.store.write_json(layout.TUNING.format(domain=domain.name), report)
    return Found(different, value, start)


def _suggest(trial: Any, name: str, choice: Range | tuple[Any, ...]) -> Any:
    if isinstance(choice, Range):
        if choice.whole:
            return trial.suggest_int(name, int(choice.low), int(choice.high), log=choice.log)
        return trial.suggest_float(name, choice.low, choice.high, log=choice.log)
    # Optuna wants categories that can be written down; a list of names is told as one text.
    texts = {_text(value): value for value in choice}
    return texts[trial.suggest_categorical(name, list(texts))]


def _now(params: Any, name: str) -> Any:
    return _text(getattr(params, name))


def _text(value: Any) -> Any:
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list) else value


def _settings(chosen: dict[str, Any]) -> dict[str, Any]:
    """Values as params.yaml holds them, rounded to three figures."""
    return {
        name: float(f"{value:.3g}")
        if isinstance(value, float)
        else value[1:-1].split(",")
        if isinstance(value, str) and value.startswith("[")
        else value
        for name, value in chosen.items()
    }
