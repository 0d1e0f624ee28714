"""Both shells against the one table of stages."""

import ast
from pathlib import Path

import pytest
import yaml

from ecomine.domains import DOMAINS
from ecomine.errors import MissingInputError, SettingsError
from ecomine.stages import PIPELINE, STAGES, Context, Stage, run, steps
from tests.conftest import PROJECT

DVC = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
TRACKED = [stage for stage in PIPELINE if stage.tracked]


def entry(stage: Stage) -> dict:
    return DVC[stage.name]["do"] if stage.per_domain else DVC[stage.name]


def names(stage: Stage, kind: str) -> set[str]:
    return {str(name).replace("${item}", "{domain}").replace("${raw}", "{raw}") for name in entry(stage).get(kind, [])}


def test_dvc_has_exactly_the_tracked_stages_in_their_order() -> None:
    assert list(DVC) == [stage.name for stage in TRACKED]


@pytest.mark.parametrize("stage", TRACKED, ids=lambda stage: stage.name)
def test_a_dvc_stage_says_what_the_table_says(stage: Stage) -> None:
    code = {"${project}/" + name for name in stage.code}
    assert entry(stage)["cmd"] == f"ecomine stage {stage.name}" + (" ${item}" if stage.per_domain else "")
    assert names(stage, "deps") == set(stage.reads) | code
    assert names(stage, "outs") | names(stage, "metrics") == set(stage.writes)
    assert names(stage, "params") == set(stage.params)
    if stage.per_domain:
        assert DVC[stage.name]["foreach"] == "${domains}"


def test_the_code_a_stage_depends_on_is_there() -> None:
    for stage in PIPELINE:
        for domain in DOMAINS:
            for name in stage.resolve(stage.code, domain):
                assert (PROJECT / name).exists(), f"{stage.name}: {name}"


def test_every_input_is_written_by_an_earlier_stage() -> None:
    given = {"{raw}", "expectations", "features"}
    for stage in PIPELINE:
        assert set(stage.reads) <= given, stage.name
        given |= set(stage.writes)


def test_no_two_stages_write_the_same() -> None:
    written = [name for stage in PIPELINE for name in stage.writes]
    assert len(written) == len(set(written))


def test_steps_run_shared_stages_once_and_each_domain_in_full() -> None:
    order = [(stage.name, domain) for stage, domain in steps(["a", "b"])]
    shared = [(stage.name, None) for stage in PIPELINE if not stage.per_domain]
    own = [stage.name for stage in PIPELINE if stage.per_domain]
    assert shared[-1] == ("report", None), "the pages are about what is deployed, so they come last"
    assert order == shared[:-1] + [(name, "a") for name in own] + [(name, "b") for name in own] + shared[-1:]


def test_the_flows_name_no_stage_of_their_own() -> None:
    """The flows walk `steps`; a stage's name written out in one would be a second list."""
    allowed = {"deploy", "ingest"}  # flows of those names: one runs that one stage, one those that all domains share
    for path in (PROJECT / "flows").glob("*.py"):
        words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        assert words & set(STAGES) <= allowed, path.name


def test_a_stage_without_its_input_says_which_stage_makes_it(workspace: Path) -> None:
    with pytest.raises(MissingInputError, match="ecomine stage ingest"):
        run("clean", None, Context.of(workspace))


@pytest.mark.parametrize(
    ("name", "domain", "message"),
    [
        ("bake", None, "no stage 'bake'; the stages are ingest"),
        ("ingest", "recommendation", "for all domains at once"),
        ("train", None, "needs a domain"),
        ("train", "astrology", "'astrology' is none of profiling, recommendation"),
    ],
)
def test_a_stage_that_does_not_exist(workspace: Path, name: str, domain: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        run(name, domain, Context.of(workspace))
