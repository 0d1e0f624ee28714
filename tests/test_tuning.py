"""The search for settings, through the command line and on its own."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ecomine.cli import main
from ecomine.domain import Range
from ecomine.domains import DOMAINS
from ecomine.errors import SettingsError
from ecomine.recommendation.tunable import TUNABLE
from ecomine.stages import Context
from ecomine.tuning import tune
from tests.conftest import change_params

DOMAIN = DOMAINS["recommendation"]


def test_a_search_tries_the_settings_at_hand_first_and_never_ends_below_them(walked: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(walked, tmp_path / "workspace"))
    change_params(workspace, recommendation={"max_rounds": 5})
    context = Context.of(workspace)
    found = tune(context, DOMAIN, minutes=1, trials=4)
    report = json.loads((workspace / "metrics/recommendation.tuning.json").read_text())
    assert len(report["trials"]) == 4 and report["trials"][0]["value"] == found.start
    assert found.value == max(trial["value"] for trial in report["trials"]) >= found.start > 0
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
    (workspace / ".gitignore").write_text("/data\n/models\n/metrics\n/decisions\n/deployments\n/reports\n")
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["git", "add", "."],
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "shop"],
    ):
        subprocess.run(command, cwd=workspace, check=True, capture_output=True)
    assert main(["--workspace", str(workspace), "tune", "recommendation", "--trials", "5", "--minutes", "1"]) == 0
    said = capsys.readouterr().out
    assert "queued as the DVC experiment" in said
    listed = subprocess.run(
        ["dvc", "queue", "status"], cwd=workspace, capture_output=True, text=True, check=True
    ).stdout
    assert "Queued" in listed


def test_a_budget_of_nothing_is_refused(walked: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SettingsError, match="budget is 0 minutes"):
        tune(Context.of(walked), DOMAIN, minutes=0, trials=1)
    assert main(["--workspace", str(walked), "tune", "guessing"]) != 0
    assert "no domain 'guessing'" in capsys.readouterr().err
