"""The search for settings, through the command line and on its own."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecomine.cli import main
from ecomine.domain import Range, Report, Tunable, over_time
from ecomine.domains import DOMAINS
from ecomine.errors import NotEnoughDataError, SettingsError
from ecomine.pricing.params import PricingParams
from ecomine.recommendation.tunable import TUNABLE
from ecomine.stages import Context
from ecomine.tuning import Found, tune
from flows.experiments import listed
from tests.conftest import change_params

DOMAIN = DOMAINS["recommendation"]


def test_a_search_tries_the_settings_at_hand_first_and_never_ends_below_them(walked: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(walked, tmp_path / "workspace"))
    change_params(workspace, recommendation={"max_rounds": 5})
    context = Context.of(workspace)
    found = tune(context, DOMAIN, minutes=1, trials=4)
    report = json.loads((workspace / "metrics/recommendation.tuning.json").read_text())
    assert len(report["trials"]) == 4 and report["trials"][0]["value"] == found.start
    whole = [trial["value"] for trial in report["trials"] if not trial["given_up"]]
    assert found.value == max(whole) >= found.start > 0
    params = context.params.sections["recommendation"]
    first = report["trials"][0]["settings"]
    assert first["max_depth"] == params.max_depth and first["retrievers"] == params.retrievers
    for name, choice in TUNABLE.space.items():
        for trial in report["trials"]:
            value = trial["settings"][name]
            assert choice.low <= value <= choice.high if isinstance(choice, Range) else value in choice
    assert tune(context, DOMAIN, minutes=1, trials=4) == found


def test_what_was_found_waits_as_an_experiment(walked: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    workspace = Path(shutil.copytree(walked, tmp_path / "workspace"))
    change_params(workspace, recommendation={"max_depth": 2, "learning_rate": 0.03, "max_rounds": 3})
    assert main(["--workspace", str(workspace), "experiment", "begin"]) == 0
    search = ["--workspace", str(workspace), "tune", "recommendation", "--minutes", "1", "--trials", "5"]
    assert main([*search, "--name", "quicker"]) == 0
    assert "queued as the experiment quicker" in capsys.readouterr().out
    assert [(one.name, one.state) for one in listed(workspace)] == [("quicker", "queued")]


SPACE = {"max_depth": Range(1, 6, whole=True), "learning_rate": Range(0.01, 0.5, log=True)}


def searched(workspace: Path, trials: int, validate: Callable = lambda *_: 0.0) -> Found:
    space = {f"demand.{name}": choice for name, choice in SPACE.items()}
    domain = dataclasses.replace(DOMAINS["pricing"], tunable=Tunable(space, validate))
    return tune(Context.of(workspace), domain, minutes=1, trials=trials)


def bowl(frame: pd.DataFrame, params: PricingParams, seed: int, threads: int, report: Report) -> float:
    """Best at depth 4 and a step of 0.1; known after the first of two stretches already."""
    value = -((params.demand.max_depth - 4) ** 2) - np.log10(params.demand.learning_rate / 0.1) ** 2
    return over_time(2, lambda number: value, report)


def trials_of(workspace: Path) -> list[dict]:
    return json.loads((workspace / "metrics/pricing.tuning.json").read_text())["trials"]


def test_a_search_that_was_ended_by_force_goes_on_to_the_same_end(priced: Path, tmp_path: Path) -> None:
    whole, parts = (Path(shutil.copytree(priced, tmp_path / name)) for name in ("whole", "parts"))
    found = searched(whole, 24, bowl)
    calls = []

    def ended(*arguments: Any) -> float:
        calls.append(arguments)
        if len(calls) in (3, 11):
            raise KeyboardInterrupt
        return bowl(*arguments)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            searched(parts, 24, ended)
    assert searched(parts, 24, ended) == found
    assert len(calls) == 24 + 2, "no trial is made twice but those that were ended"
    assert trials_of(parts) == trials_of(whole)
    assert found.value > -0.5 and found.settings["demand.max_depth"] == 4


def test_what_does_worse_than_the_median_is_given_up(priced: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(priced, tmp_path / "workspace"))
    searched(workspace, 24, bowl)
    trials = trials_of(workspace)
    kept, given_up = ([one["value"] for one in trials if one["given_up"] is flag] for flag in (False, True))
    assert len(given_up) >= 5 and max(given_up) < max(kept)
    assert not any(one["given_up"] for one in trials[:5])


@pytest.mark.parametrize("name", DOMAINS)
def test_every_domain_searches_settings_that_it_has(name: str) -> None:
    tunable, params = DOMAINS[name].tunable, DOMAINS[name].params()
    assert tunable is not None
    for setting, choice in tunable.space.items():
        value = params
        for part in setting.split("."):
            value = getattr(value, part)
        if isinstance(choice, Range):
            assert choice.low <= value <= choice.high, setting
        else:
            assert value in choice, setting


def test_fraud_settings_are_chosen_by_later_payments(watched: Path) -> None:
    frame = pd.read_parquet(watched / "data/frames/risk/train.parquet")
    params, told = Context.of(watched).params.sections["risk"], []
    validate = DOMAINS["risk"].tunable.validate
    value = validate(frame, params, 1, 1, lambda step, so_far: told.append((step, so_far)))
    assert [step for step, _ in told] == [0, 1] and told[-1][1] == value
    share = frame["label"].mean()
    assert share < value <= 1
    assert value == validate(frame.sample(frac=1, random_state=1), params, 1, 1, lambda step, so_far: None)


def test_answers_to_ads_are_chosen_by_later_campaigns(placed: Path) -> None:
    frame = pd.read_parquet(placed / "data/frames/ads/train.parquet")
    params, validate = Context.of(placed).params.sections["ads"], DOMAINS["ads"].tunable.validate
    told: list[int] = []
    value = validate(frame, params, 1, 1, lambda step, so_far: told.append(step))
    assert told and -1 < value < 1
    first = frame[frame["event_timestamp"] == frame["event_timestamp"].min()]
    with pytest.raises(NotEnoughDataError, match="two are needed"):
        validate(first, params, 1, 1, lambda step, so_far: None)


def test_a_budget_of_nothing_is_refused(walked: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SettingsError, match="budget is 0 minutes"):
        tune(Context.of(walked), DOMAIN, minutes=0, trials=1)
    assert main(["--workspace", str(walked), "tune", "guessing"]) != 0
    assert "no domain 'guessing'" in capsys.readouterr().err
