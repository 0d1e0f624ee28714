"""Simulated shops through the command line: made, continued, run; and the workspace at hand stays as it is."""

from pathlib import Path

import pytest
import yaml

from ecomine.cli import main
from ecomine.errors import SourceError
from ecomine.shops import make, simulate
from ecomine.stages import Context, load_params, run
from tests.conftest import LENIENT, PROJECT, change_params, walk
from tests.shell import shell


def simulated(folder: Path, *options: str) -> int:
    return main(["--workspace", str(folder.parent), "simulate", "--out", str(folder), *options])


@pytest.mark.slow
def test_the_whole_road_on_a_simulated_shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every table passes cleaning and its expectations; the model trains and passes a lenient gate."""
    shop = tmp_path / "shop"
    assert simulated(shop, "--users", "60", "--items", "60", "--days", "75", "--seed", "3") == 0
    assert "75 days of a shop are in" in capsys.readouterr().out
    params = load_params(shop)
    assert (params.source, params.simulation.users, params.simulation.seed) == ("simulated", 60, 3)
    domains = ["profiling", "recommendation"]
    change_params(
        shop, gate=LENIENT, domains=domains, profiling={"horizon_days": 14, "purchase_days": 7, "train_periods": 2}
    )
    walk(shop)
    for domain in domains:
        checks = Context.of(shop).store.read_json(f"metrics/{domain}.gate.json")["checks"]
        assert checks and all(check["passed"] for check in checks), domain


def test_more_days_continue_the_shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = tmp_path / "shop"
    options = ("--users", "12", "--items", "20", "--dirt", "0")
    assert simulated(shop, *options, "--days", "2") == 0
    assert simulated(shop, "--days", "5") == 0
    assert load_params(shop).simulation.days == 5
    assert simulated(shop) == 0
    assert "all of its days are there already" in capsys.readouterr().out
    assert simulated(shop, "--seed", "1") == 2
    assert "another simulated shop (seed 42 there, 1 asked)" in capsys.readouterr().err
    assert simulated(shop, "--seed", "1", "--force") == 0


def test_settings_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulated(tmp_path / "shop", "--users", "0") == 2
    assert "`simulation.users` is 0; expected at least 1" in capsys.readouterr().err


def test_the_source_says_where_shops_come_from(workspace: Path) -> None:
    change_params(workspace, source="simulated")
    with pytest.raises(SourceError, match=r"no simulated shop .no shop\.json.*ecomine simulate"):
        run("ingest", None, Context.of(workspace))


def test_a_workspace_for_another_source_leaves_the_one_at_hand(workspace: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(workspace.rglob("*")) if path.is_file()}
    folder = workspace / "shops/simulated"
    make(workspace, folder, "simulated")
    simulate(folder, {"users": 12, "items": 20, "days": 2})
    assert {path: path.read_bytes() for path in before} == before
    settings = load_params(folder)
    assert (folder / settings.project).resolve() == PROJECT.resolve()
    given = yaml.safe_load((workspace / "params.yaml").read_text())
    made = yaml.safe_load((folder / "params.yaml").read_text())
    assert {key for key in made if made[key] != given.get(key)} == {"source", "raw", "project", "simulation"} - (
        {"raw"} if given["raw"] == "data/raw" else set()
    )


@pytest.mark.slow
def test_run_with_another_source_is_recorded_apart(workspace: Path) -> None:
    shell(workspace, "dvc", "init", "--quiet", "--no-scm")
    change_params(
        workspace,
        gate=LENIENT,
        domains=["recommendation"],
        simulation={"users": 60, "items": 60, "days": 75},
    )
    before = shell(workspace, "dvc", "status", "--json").stdout
    done = shell(workspace, "ecomine", "run", "--source", "simulated", "--no-server")
    assert "Deployed: " in done.stdout
    assert "up to date" in shell(workspace / "shops/simulated", "dvc", "status").stdout
    assert shell(workspace, "dvc", "status", "--json").stdout == before
    assert not (workspace / "metrics").exists()
