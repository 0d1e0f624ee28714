"""params.yaml: typed, frozen, and clear about what it does not know."""

import dataclasses
from datetime import datetime
from pathlib import Path

import pytest

from ecomine.domains import DOMAINS
from ecomine.errors import SettingsError
from ecomine.params import Params, load, parse, setting
from ecomine.stages import load_params
from tests.conftest import PROJECT


@dataclasses.dataclass(frozen=True)
class Section:
    depth: int = setting(6, "depth of a tree", at_least=1, at_most=10)


def test_the_projects_own_file_holds_the_defaults() -> None:
    params = load_params(PROJECT)
    plain = Params()
    assert dataclasses.replace(params, sections={}, domains=plain.domains) == plain
    assert params.domains == list(DOMAINS), "the sample has what each of them needs"
    assert all(section == type(section)() for section in params.sections.values())


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"sede": 3}, "unknown setting `sede`. Did you mean `seed`"),
        ({"cleaning": {"max_quantty": 3}}, "unknown setting `max_quantty` in `cleaning`. Did you mean `max_quantity`"),
        ({"trees": {"deph": 3}}, "unknown setting `deph` in `trees`. Did you mean `depth`"),
        ({"seed": "seven"}, "`seed` is 'seven'; expected a whole number"),
        ({"seed": True}, "`seed` is True; expected a whole number"),
        ({"trees": {"depth": 11}}, "`trees.depth` is 11; expected at least 1 and at most 10"),
        ({"gate": {"confidence": 2.0}}, "`gate.confidence` is 2.0; expected at least 0.5"),
        ({"features": {"windows": [7, "x"]}}, "`features.windows`"),
        ({"cleaning": 3}, "`cleaning` is 3|`cleaning` holds 3"),
        ({"domains": ["tree"]}, "unknown domain `tree` in `domains`. Did you mean `trees`"),
        ({"sql": {"tables": {"items": 5}}}, "`sql.tables`"),
        ([1], "holds list; expected keys"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place_and_its_cure(document: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse(document, {"trees": Section, "recommendation": Section})


def test_values_are_read_into_their_types() -> None:
    params = parse(
        {
            "as_of": "2024-05-01T02:00:00+02:00",
            "gate": {"confidence": 0.9},
            "trees": {"depth": 3},
            "domains": ["trees"],
        },
        {"trees": Section},
    )
    assert params.as_of == datetime(2024, 5, 1)
    assert params.gate.confidence == 0.9
    assert params.sections["trees"].depth == 3


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse({"domains": []}, {}).seed = 4  # type: ignore[misc]


def test_no_file_and_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no params\.yaml"):
        load(tmp_path / "params.yaml", {})
    (tmp_path / "params.yaml").write_text("cleaning: {earliest: 1990-01-01}")
    with pytest.raises(SettingsError, match=r"`cleaning\.earliest` is a date without quotes; .*'1990-01-01'"):
        load(tmp_path / "params.yaml", {})
    (tmp_path / "params.yaml").write_text("a: [1")
    with pytest.raises(SettingsError, match="not readable YAML"):
        load(tmp_path / "params.yaml", {})
