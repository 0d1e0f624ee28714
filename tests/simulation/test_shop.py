"""The same seed gives the same bytes, at once or bit by bit."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from ecomine.errors import SettingsError
from ecomine.params import SimulationParams
from ecomine.simulation import oracle, simulate

SMALL = {"users": 40, "items": 40, "seed": 9}


def bytes_of(folder: Path) -> dict[str, str]:
    """A digest of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(folder: Path, days: int, **settings: object) -> int:
    return simulate(SimulationParams(**{**SMALL, "days": days, **settings}), folder / "raw", folder / "truth")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("once")
    assert run(folder, 66) == 66
    return bytes_of(folder)


def test_the_same_seed_gives_the_same_bytes(at_once: dict[str, str], tmp_path: Path) -> None:
    run(tmp_path, 66)
    assert bytes_of(tmp_path) == at_once


def test_another_seed_gives_another_shop(at_once: dict[str, str], tmp_path: Path) -> None:
    run(tmp_path, 30, seed=10)
    other = bytes_of(tmp_path / "raw")
    assert not any(at_once.get(f"raw/{name}") == digest for name, digest in other.items())


@pytest.mark.parametrize("stops", [(56,), (3, 30, 57)])
def test_a_shop_continued_equals_one_simulated_longer(
    at_once: dict[str, str], tmp_path: Path, stops: tuple[int, ...]
) -> None:
    for days in stops:
        run(tmp_path, days)
    assert run(tmp_path, 66) == 66 - stops[-1]
    assert run(tmp_path, 66) == 0
    assert bytes_of(tmp_path) == at_once


def test_a_run_that_was_stopped_ends_in_the_same_bytes(at_once: dict[str, str], tmp_path: Path) -> None:
    def stop(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(SimulationParams(**SMALL, days=66), tmp_path / "raw", tmp_path / "truth", stop)
    run(tmp_path, 66)
    assert bytes_of(tmp_path) == at_once


def test_tastes_change_on_their_day_and_not_before(at_once: dict[str, str], tmp_path: Path) -> None:
    """Two blocks of days are those of the shop without a change, the third differs; continued or at once."""
    change = {"taste_change_day": 56, "taste_change_share": 0.5}
    run(tmp_path / "one", 66, **change)
    run(tmp_path / "two", 60, **change)
    run(tmp_path / "two", 66, **change)
    made = bytes_of(tmp_path / "one")
    assert made == bytes_of(tmp_path / "two")
    events = [f"raw/events/day-{first:06d}.parquet" for first in (0, 28, 56)]
    assert [made[name] == at_once[name] for name in events] == [True, True, False]
    people, after = (oracle.read(tmp_path / "one/truth", name) for name in ("people", "taste_change"))
    assert 0.3 * 40 < len(after) < 0.7 * 40 and set(after["day"]) == {56}
    before = people.set_index("user_id").loc[after["user_id"]].reset_index()
    tastes = [name for name in people if name.startswith("taste_")]
    assert (before[tastes] != after[tastes]).to_numpy().all()
    assert "truth/taste_change.parquet" not in at_once


def test_a_shop_from_before_a_setting_was_there_lives_on(tmp_path: Path) -> None:
    run(tmp_path, 2)
    manifest = json.loads((tmp_path / "raw/shop.json").read_text())
    del manifest["settings"]["taste_change_day"]
    (tmp_path / "raw/shop.json").write_text(json.dumps(manifest))
    assert run(tmp_path, 3) == 1


def test_a_shop_of_an_earlier_simulator_is_not_continued(tmp_path: Path) -> None:
    run(tmp_path, 28)
    file = tmp_path / "truth/checkpoint/state.npz"
    with np.load(file) as arrays:
        old = {name: arrays[name] for name in arrays if name != "exposure"}
    np.savez(file, **old)
    with pytest.raises(SettingsError, match=r"an earlier version of the simulator .without exposure"):
        run(tmp_path, 29)


def test_another_shop_is_not_written_over(tmp_path: Path) -> None:
    run(tmp_path, 2)
    with pytest.raises(SettingsError, match=r"another simulated shop .seed 9 there, 10 asked"):
        run(tmp_path, 3, seed=10)


def test_a_shops_own_files_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/orders.parquet").touch()
    with pytest.raises(SettingsError, match=r"holds orders\.parquet, not a simulated shop"):
        run(tmp_path, 2)
