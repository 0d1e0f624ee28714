"""Settings changed from outside: checked first, then written where they stand, with everything else as it was."""

import difflib
import shutil
from pathlib import Path

import pytest
import yaml

from ecomine.changes import change
from ecomine.errors import SettingsError
from ecomine.stages import load_params
from tests.conftest import PROJECT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    return tmp_path


def lines(folder: Path) -> list[str]:
    """What differs from the project's own file."""
    before, after = (path.read_text().splitlines() for path in (PROJECT / "params.yaml", folder / "params.yaml"))
    return [line for line in difflib.ndiff(before, after) if line[0] in "+-"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("recommendation.max_depth=3", ["-   max_depth: 4", "+   max_depth: 3"]),
        (
            "pricing.optimiser.rules.endings=[0.49, 0.99]",
            [
                "-       endings: null # or such as [0.49, 0.99]",
                "+       endings: [0.49, 0.99] # or such as [0.49, 0.99]",
            ],
        ),
        ("as_of='2024-05-01'", None),
        ("domains=[ads, risk]", None),
        ("features.windows=[7]", None),
        ("risk.rules={new device: amount > 500 and device_age_days < 1}", None),
        ("risk.costs.missed=2", ["-     missed: 1.0", "+     missed: 2"]),
    ],
)
def test_one_value_is_another_and_the_rest_stays(asked: str, expected: list[str] | None, folder: Path) -> None:
    assert change(folder, [asked]) == [asked]
    if expected is not None:
        assert lines(folder) == expected
    comments = [line.split("#", 1)[1] for line in (folder / "params.yaml").read_text().splitlines() if "#" in line]
    assert comments == [
        line.split("#", 1)[1] for line in (PROJECT / "params.yaml").read_text().splitlines() if "#" in line
    ]
    load_params(folder)


@pytest.mark.parametrize(
    ("text", "asked", "document"),
    [
        ("seed: 1\n", "gate.min_gain=2", {"seed": 1, "gate": {"min_gain": 2}}),
        ("", "seed=3", {"seed": 3}),
        ("gate: {}\n", "gate.min_gain=2", {"gate": {"min_gain": 2}}),
        ("gate: {confidence: 0.9}\n", "gate.min_gain=2", {"gate": {"min_gain": 2, "confidence": 0.9}}),
        ("gate:\nseed: 1\n", "gate.min_gain=2", {"gate": {"min_gain": 2}, "seed": 1}),
        ("gate:\n    confidence: 0.9\n", "gate.min_gain=2", {"gate": {"min_gain": 2, "confidence": 0.9}}),
        ("pricing:\n  caution: 1\n", "pricing.optimiser.rules.lowest=0.6",
         {"pricing": {"caution": 1, "optimiser": {"rules": {"lowest": 0.6}}}}),
    ],
)  # fmt: skip
def test_a_key_that_was_left_at_its_default_is_added(text: str, asked: str, document: dict, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    change(tmp_path, [asked])
    assert yaml.safe_load((tmp_path / "params.yaml").read_text()) == document


def test_what_is_so_already_changes_nothing(folder: Path) -> None:
    before = (folder / "params.yaml").stat().st_mtime_ns
    assert change(folder, ["seed=42", "recommendation.max_depth=4"]) == []
    assert (folder / "params.yaml").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("recommendation.max_deth=3", "unknown setting `max_deth` in `recommendation`. Did you mean `max_depth`"),
        ("recommendation.max_depth=deep", "`recommendation.max_depth` is 'deep'; expected a whole number"),
        ("gate.confidence=2", "`gate.confidence` is 2.0; expected at least 0.5"),
        ("recommendation.max_depth", "changes no setting; expected such as recommendation.max_depth=3"),
        ("recommendation.=3", "changes no setting"),
        ("seed=[1", "is no value of YAML"),
    ],
)
def test_what_cannot_be_leaves_all_as_it_was(asked: str, message: str, folder: Path) -> None:
    with pytest.raises(SettingsError, match=message.replace("[", r"\[")):
        change(folder, ["seed=7", asked])
    assert lines(folder) == []
