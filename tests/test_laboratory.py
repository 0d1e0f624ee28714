"""DVC as the laboratory of a data scientist, on a shop with all six domains; its commands for who does not know DVC.

A workspace is made fit for experiments, then one domain's setting is changed: by hand, in a queued experiment, by flow.
"""

import csv
import json
import shutil
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from ecomine.cli import main
from ecomine.domains import DOMAINS
from ecomine.stages import STAGES, Context, run, steps
from flows.experiments import listed
from flows.laboratory import begun
from flows.record import record
from tests.conftest import change_params, walk
from tests.shell import shell

pytestmark = pytest.mark.slow

ONE_SETTING = {
    "profiling": ("contact_share", 0.3),
    "recommendation": ("list_length", 10),
    "pricing": ("caution", 0.25),
    "inventory": ("review_days", 2),
    "risk": ("capacity", 10),
    "ads": ("exploration_share", 0.1),
}
CAREFUL = ("pricing", "caution", 0.25)


@pytest.fixture(scope="module")
def laboratory(priced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with every domain's road walked up to the gate, recorded, and made fit for experiments."""
    workspace = Path(shutil.copytree(priced, tmp_path_factory.mktemp("laboratory") / "workspace"))
    change_params(workspace, domains=list(DOMAINS))
    walk(workspace, "features", "materialize")
    context = Context.of(workspace)
    for stage, domain in steps(["inventory", "risk", "ads"]):
        if domain and stage.tracked:
            run(stage.name, domain, context)
    assert main(["--workspace", str(workspace), "experiment", "begin"]) == 0
    assert record(workspace, steps(list(DOMAINS)))
    git(workspace, "add", "--all")
    git(workspace, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "walked")
    return workspace


def git(workspace: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=workspace, capture_output=True, text=True, check=True).stdout


def stale(workspace: Path) -> set[str]:
    with chdir(workspace), Repo() as repo:
        return set(repo.status())


def test_a_workspace_that_is_ready_is_clean_in_git_and_in_dvc(laboratory: Path) -> None:
    assert begun(laboratory)
    assert git(laboratory, "status", "--porcelain") == ""
    assert (laboratory / "data/raw.dvc").is_file()
    assert stale(laboratory) == set()


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_changed_setting_makes_only_its_domains_stages_stale(laboratory: Path, domain: str) -> None:
    before = (laboratory / "params.yaml").read_bytes()
    key, value = ONE_SETTING[domain]
    section = yaml.safe_load(before)[domain]
    assert section[key] != value
    try:
        change_params(laboratory, **{domain: section | {key: value}})
        found = stale(laboratory)
    finally:
        (laboratory / "params.yaml").write_bytes(before)
    own = {f"{name}@{domain}" for name, stage in STAGES.items() if "{domain}" in stage.params and stage.tracked}
    assert found == own


def test_what_is_plotted_is_there_for_every_domain(laboratory: Path) -> None:
    declared = [next(iter(entry.items())) for entry in yaml.safe_load((laboratory / "dvc.yaml").read_text())["plots"]]
    assert {file.split("/")[1] for file, _ in declared} == set(DOMAINS)
    for file, about in declared:
        with (laboratory / file).open() as table:
            columns = next(csv.reader(table))
        wanted = [about["x"], *(about["y"] if isinstance(about["y"], list) else [about["y"]])]
        assert set(wanted) <= set(columns), file
    shown = json.loads(shell(laboratory, "dvc", "plots", "show", "--json").stdout)["data"]
    drawn = {file for file, (plot,) in shown.items() if plot["content"]["data"]["values"]}
    assert {file for file, _ in declared} == drawn


def test_data_and_models_come_back_from_a_remote_in_a_fresh_clone(laboratory: Path, tmp_path: Path) -> None:
    config = (laboratory / ".dvc/config").read_text()
    try:
        shell(laboratory, "dvc", "remote", "add", "--default", "store", str(tmp_path / "remote"))
        with chdir(laboratory), Repo() as repo:
            assert repo.push() > 0
        git(laboratory, "clone", "--quiet", ".", str(tmp_path / "clone"))
        shutil.copy(laboratory / ".dvc/config", tmp_path / "clone/.dvc/config")
    finally:
        (laboratory / ".dvc/config").write_text(config)
    with chdir(tmp_path / "clone"), Repo() as repo:
        repo.pull()
    assert stale(tmp_path / "clone") == set()
    for name in ("models/pricing/pricer.json", "metrics/pricing.json", "data/raw/items.parquet"):
        assert (tmp_path / "clone" / name).read_bytes() == (laboratory / name).read_bytes()


def test_a_queued_experiment_runs_one_domain_and_equals_the_flow(
    laboratory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    domain, key, value = CAREFUL
    before = {path: path.stat().st_ino for path in (laboratory / ".dvc/cache").rglob("*") if path.is_file()}
    shell(laboratory, "dvc", "exp", "run", "--queue", "-S", f"{domain}.{key}={value}", "--name", "careful")
    assert [(one.name, one.state) for one in listed(laboratory)] == [("careful", "queued")]
    done = shell(laboratory, "dvc", "exp", "run", "--run-all")
    ran = {line.split("'")[1] for line in (done.stdout + done.stderr).splitlines() if line.startswith("Running stage")}
    assert {name.split("@")[1] for name in ran} == {domain}
    assert f"train@{domain}" in ran and f"gate@{domain}" in ran
    cached = {path for path in (laboratory / ".dvc/cache").rglob("*") if path.is_file()}
    assert all(path in cached and path.stat().st_ino == number for path, number in before.items())

    flow = Path(shutil.copytree(laboratory, tmp_path / "flow"))
    section = yaml.safe_load((flow / "params.yaml").read_text())[domain]
    change_params(flow, **{domain: section | {key: value}})
    context = Context.of(flow)
    walked = [(stage, name) for stage, name in steps([domain]) if name and stage.tracked]
    for stage, name in walked:
        run(stage.name, name, context)
    assert record(flow, walked)
    of_flow = yaml.safe_load((flow / "dvc.lock").read_text())["stages"]
    of_experiment = yaml.safe_load(git(laboratory, "show", f"{revision(laboratory)}:dvc.lock"))["stages"]
    names = [f"{stage.name}@{name}" for stage, name in walked]
    assert [of_experiment[name].get("outs") for name in names] == [of_flow[name].get("outs") for name in names]
    assert {name: one.get("outs") for name, one in of_experiment.items() if name not in names} == {
        name: one.get("outs") for name, one in of_flow.items() if name not in names
    }

    assert main(["--workspace", str(laboratory), "experiment", "list"]) == 0
    table = capsys.readouterr().out
    assert "careful" in table and "6 passed" in table and "pricing.caution=0.25" in table
    assert main(["--workspace", str(laboratory), "experiment", "compare", "HEAD", "careful"]) == 0
    told = capsys.readouterr().out
    assert "pricing.caution" in told and "1.0" in told and "0.25" in told
    assert "the same in both: profiling, recommendation" in told
    assert main(["--workspace", str(laboratory), "experiment", "compare", "HEAD", "hasty"]) == 2
    assert "no experiment and no revision 'hasty'" in capsys.readouterr().err


def revision(workspace: Path) -> str:
    (one,) = (one for one in listed(workspace) if one.name == "careful")
    assert one.state == "done"
    return one.revision


def test_a_workspace_outside_git_says_so(priced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(priced), "experiment", "list"]) == 2
    assert "they need git, and DVC with it. `ecomine experiment begin`" in capsys.readouterr().err
