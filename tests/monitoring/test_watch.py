"""Monitoring through the user's door, on a shop that turns to other things on a known day."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecomine import layout, monitoring
from ecomine.cli import main
from ecomine.deployment import current
from ecomine.deployment.live import Live
from ecomine.domains import DOMAINS
from ecomine.errors import DamagedError
from ecomine.monitoring import health, reference
from ecomine.stages import PIPELINE, Context
from ecomine.store import Store
from tests.conftest import change_params, walk
from tests.monitoring.conftest import DAYS, LEARNED, TURNED, day

HABITS = "habits in orders"


def look(folder: Path, number: int) -> monitoring.Look:
    return monitoring.monitor(Context.of(folder), datetime.fromisoformat(day(number)))


def test_a_change_is_found_on_the_second_day_and_not_before(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    up = {}
    for number in range(LEARNED + 1, DAYS + 1):
        found = look(shop, number)
        up[number] = {alarm.name for alarm in found.alarms if alarm.retrain}
    assert not any(up[number] for number in range(LEARNED + 1, TURNED + 2))
    assert all(HABITS in up[number] for number in range(TURNED + 2, DAYS + 1))
    assert main(["--workspace", str(shop), "monitor"]) == 0
    told = capsys.readouterr().out
    assert "Time to train again: recommendation.\n" in told
    assert "refused rows" in told and "newest row of order_lines" in told
    document = json.loads((shop / "metrics/monitoring.json").read_text())
    assert {alarm["name"] for alarm in document["alarms"] if alarm["retrain"]} >= {HABITS}
    assert document["domains"]["recommendation"]["window"] == f"{day(DAYS)}T00:00:00"


def test_looking_again_measures_nothing_and_tells_nothing_again(shop: Path) -> None:
    context = Context.of(shop)
    first = look(shop, TURNED + 2)
    told = monitoring.untold(context, first)
    assert {alarm.domain for alarm in told} == {"recommendation"}
    state = (shop / layout.MONITORING).read_bytes()
    again = look(shop, TURNED + 2)
    assert again.measured == 0
    assert again.alarms == first.alarms
    assert monitoring.untold(context, again) == []
    assert (shop / layout.MONITORING).read_bytes() == state


def test_what_comes_later_is_not_looked_at(shop: Path) -> None:
    found = _readings(look(shop, TURNED + 1))
    change_params(shop, as_of=day(TURNED + 1))
    (shop / layout.MONITORING).unlink()
    walk(shop, "clean", "validate", "features")
    assert _readings(look(shop, TURNED + 1)) == found
    assert {"tables", "habits", "live"} <= {reason for reason, *_ in found}


def _readings(found: monitoring.Look) -> list[tuple[object, ...]]:
    """All but features and scores: the days of weekly snapshots are counted back from as_of."""
    signals = [signal for one in found.watched for signal in one.signals if signal.name not in ("features", "scores")]
    return [(signal.reason, signal.name, signal.value, signal.why) for signal in signals]


def test_a_new_version_is_compared_with_what_is_usual_now(shop: Path) -> None:
    assert HABITS in {alarm.name for alarm in look(shop, TURNED + 2).alarms}
    context, before = Context.of(shop), current(Store(shop), "recommendation")
    change_params(shop, as_of=day(TURNED + 2))
    walk(shop, *(stage.name for stage in PIPELINE if stage.name != "ingest"))
    assert current(Store(shop), "recommendation") != before
    change_params(shop, as_of="latest")
    walk(shop, "clean", "validate", "features")
    for number in range(TURNED + 3, DAYS + 1):
        assert look(shop, number).alarms == []
    assert context.store.exists(reference.folder("recommendation", str(current(context.store, "recommendation"))))


def test_references_are_the_same_bytes_again(deployed_workspace: Path) -> None:
    digest = str(current(Store(deployed_workspace), "recommendation"))
    place = deployed_workspace / reference.folder("recommendation", digest)
    before = {path.name: path.read_bytes() for path in sorted(place.iterdir())}
    shutil.rmtree(place)
    monitoring.keep(Context.of(deployed_workspace), DOMAINS["recommendation"], digest)
    assert {path.name: path.read_bytes() for path in sorted(place.iterdir())} == before


def test_a_line_that_a_crash_cut_short_is_measured_again(shop: Path) -> None:
    look(shop, LEARNED + 1)
    file = shop / layout.MONITORING
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    look(shop, LEARNED + 1)
    assert file.read_bytes() == whole
    file.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(DamagedError, match="line 1"):
        look(shop, LEARNED + 1)


def test_slow_and_failed_answers_of_the_last_hours_are_told(shop: Path) -> None:
    change_params(shop, monitoring={"min_rows": 30, "min_answers": 10, "bad_windows": 1, "windows": 1})
    live = Live(Store(shop))
    for number in range(20):
        live.note("recommendation", 3.0 if number else None, fell_back=number in (1, 2))
    live.flush()
    hour = datetime.now(UTC).replace(tzinfo=None)
    shown = live.hour(hour)["recommendation"]
    assert (shown.asked, shown.errors, shown.other) == (20, 1, 2)
    failed, slow = health.serving(Context.of(shop), hour)
    assert failed.bad and failed.value == pytest.approx(0.15)
    assert not slow.bad and slow.value == pytest.approx(3.0, rel=0.2)
    assert health.serving(Context.of(shop), hour - timedelta(hours=5)) == []


def test_a_moment_after_the_data_is_refused(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(shop), "monitor", "--as-of", "2030-01-01"]) == 2
    assert "The data ends at" in capsys.readouterr().err
