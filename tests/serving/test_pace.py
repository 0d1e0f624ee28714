"""One pace for a caller, whichever process is asked."""

from pathlib import Path

import pytest

from ecomine.serving.pace import PLACES, Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("ecomine.serving.pace.time.monotonic", lambda: now[0])
    return now


def test_several_processes_count_together(tmp_path: Path, clock: list[float]) -> None:
    one, other = (Pace(5.0, tmp_path / "pace") for _ in range(2))
    waits = [pace.wait("shop") for pace in (one, other) * 8]
    assert waits[:10] == [0.0] * 10 and all(waits[10:]), "twice the pace at once, of both together"
    assert one.wait("another") == 0.0
    clock[0] += 0.2
    assert other.wait("shop") == 0.0 and one.wait("shop") == pytest.approx(0.2)
    assert Pace(5.0).wait("shop") == 0.0, "without a file a process counts alone"


def test_more_callers_than_places(clock: list[float]) -> None:
    pace = Pace(1.0)
    for number in range(2 * PLACES):
        clock[0] += 1e-6
        assert pace.wait(f"caller {number}") == 0.0
    assert pace.wait(f"caller {2 * PLACES - 1}") == 0.0 and pace.wait(f"caller {2 * PLACES - 1}") > 0
