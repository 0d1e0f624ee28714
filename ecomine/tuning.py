"""The search for a domain's settings: Optuna's tree-structured Parzen estimator, within a budget of time.

Everything is judged by validation inside the training period; the test period is never looked at, so that its figures
stay honest for whatever was found. Settings that do worse than the median on the first stretches of time are given up
before the others are tried (Bergstra et al. 2011 for the estimator, Golovin et al. 2017 for the median rule).

A search goes on where an earlier one was ended, even by force: its trials lie in the workspace, under a name made of
the rows, the space, the settings at hand and the seed. What is tried next follows from what was tried and the seed
alone, so the same number of trials ends in the same settings, however often it was begun again.
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ecomine import layout
from ecomine.domain import Domain, Range, Tunable
from ecomine.errors import SettingsError
from ecomine.stages import Context

if TYPE_CHECKING:
    import optuna

BEFORE_PRUNING = 5
"""Trials that are judged in full before others are given up."""


@dataclass(frozen=True)
class Found:
    """Settings that differ from those at hand and validate better (none where nothing does), with both values.

    name: for an experiment with them, the same for the same settings.
    """

    settings: dict[str, Any]
    value: float
    start: float
    name: str


def tune(context: Context, domain: Domain, minutes: float, trials: int) -> Found:
    """Search the settings of a domain until there are so many `trials`; each stands in `layout.TUNING`.

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
    threads = context.params.engine.threads
    context.say(f"{domain.name}: {len(frame):,} rows to choose by")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = _study(context, domain.name, _key(frame, tunable, at_hand, seed, threads))
    if not study.get_trials(deepcopy=False, states=(_state("COMPLETE"), _state("WAITING"))):
        study.enqueue_trial({name: _text(_get(at_hand, name)) for name in tunable.space})
    started = time.monotonic()
    while (done := len(_finished(study))) < trials and time.monotonic() - started < 60 * minutes:
        study.sampler = _sampler(seed, done)
        trial = study.ask()
        settings = {name: _suggest(trial, name, choice) for name, choice in tunable.space.items()}
        try:
            params = _with(at_hand, settings)
            value = tunable.validate(frame, params, seed, threads, partial(_report, trial))
        except optuna.TrialPruned:
            study.tell(trial, state=_state("PRUNED"))
            continue
        except BaseException:
            study.tell(trial, state=_state("FAIL"))
            raise
        best = max((one.value for one in _finished(study) if one.value is not None), default=float("-inf"))
        study.tell(trial, value)
        if value > best:
            context.say(f"trial {done + 1}: {value:.4f}")
    return _found(context, domain.name, study, at_hand, list(tunable.space))


def _found(context: Context, name: str, study: "optuna.Study", at_hand: Any, names: list[str]) -> Found:
    """What was found, with every trial written down; values of given-up trials are of the stretches that they saw."""
    finished = _finished(study)
    whole = [trial for trial in finished if trial.state == _state("COMPLETE")]
    start, best = float(whole[0].value or 0.0), max(whole, key=lambda trial: (trial.value, -trial.number))
    told = [
        {
            "value": trial.value if trial.state == _state("COMPLETE") else max(trial.intermediate_values.items())[1],
            "given_up": trial.state != _state("COMPLETE"),
            "settings": _settings(trial.params),
        }
        for trial in finished
    ]
    value = float(best.value or 0.0)
    different = {
        one: given for one, given in _settings(best.params).items() if given != _get(at_hand, one) and value > start
    }
    context.store.write_json(layout.TUNING.format(domain=name), {"start": start, "best": value, "trials": told})
    digest = hashlib.sha256(json.dumps(different, sort_keys=True).encode()).hexdigest()
    return Found(different, value, start, f"tuned-{name}-{digest[:6]}")


def _study(context: Context, domain: str, key: str) -> "optuna.Study":
    """The search of that key, begun or gone on with; a trial during which one was ended counts for nothing."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    file = context.store.path(f"{layout.TUNING_STUDIES}/{domain}-{key}.log")
    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=domain,
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(file))),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING),
        direction="maximize",
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(_state("RUNNING"),)):
        study.tell(trial.number, state=_state("FAIL"))
    if finished := _finished(study):
        context.say(f"{domain}: {len(finished):,} trials of an earlier search are there")
    return study


def _key(frame: pd.DataFrame, tunable: Tunable, at_hand: Any, seed: int, threads: int) -> str:
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()
    about = repr((sorted(tunable.space.items(), key=lambda one: one[0]), dataclasses.asdict(at_hand), seed, threads))
    return hashlib.sha256(rows + ",".join(map(str, frame.columns)).encode() + about.encode()).hexdigest()[:12]


def _sampler(seed: int, done: int) -> "optuna.samplers.BaseSampler":
    """Draws that depend on the seed and how many trials there are, and not on when the search was begun again."""
    import optuna

    drawn = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=drawn)


def _report(trial: "optuna.Trial", step: int, value: float) -> None:
    import optuna

    trial.report(value, step)
    if trial.should_prune():
        raise optuna.TrialPruned


def _finished(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    return study.get_trials(deepcopy=False, states=(_state("COMPLETE"), _state("PRUNED")))


def _state(name: str) -> "optuna.trial.TrialState":
    import optuna

    return optuna.trial.TrialState[name]


def _suggest(trial: "optuna.Trial", name: str, choice: Range | tuple[Any, ...]) -> Any:
    if isinstance(choice, Range):
        if choice.whole:
            return trial.suggest_int(name, int(choice.low), int(choice.high), log=choice.log)
        return _rounded(trial.suggest_float(name, choice.low, choice.high, log=choice.log))
    # Optuna wants categories that can be written down; a list of names is told as one text.
    texts = {_text(value): value for value in choice}
    return texts[trial.suggest_categorical(name, list(texts))]


def _with(params: Any, settings: Mapping[str, Any]) -> Any:
    """`params` with other values of settings, those of inner sections by `section.setting`."""
    for name, value in settings.items():
        section, _, inner = name.partition(".")
        params = dataclasses.replace(
            params, **{section: _with(getattr(params, section), {inner: value}) if inner else value}
        )
    return params


def _get(params: Any, name: str) -> Any:
    for part in name.split("."):
        params = getattr(params, part)
    return params


def _text(value: Any) -> Any:
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list) else value


def _settings(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Values as params.yaml holds them, rounded to three figures."""
    return {
        name: _rounded(value)
        if isinstance(value, float)
        else value[1:-1].split(",")
        if isinstance(value, str) and value.startswith("[")
        else value
        for name, value in chosen.items()
    }


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
