"""What can happen between two stages to what one of them made, and a disk that is full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ecomine import layout
from tests.bad_inputs.spoil import content, cut, gone
from tests.bad_inputs.telling import ROAD, Fault, refuse, run


def scribble(workspace: Path) -> None:
    path = workspace / "data/clean/order_lines.parquet"
    whole = bytearray(path.read_bytes())
    middle = slice(100, len(whole) // 2)
    whole[middle] = b"\xff" * len(whole[middle])
    path.write_bytes(whole)


DAMAGE: dict[str, Fault] = {
    "a canonical table cut short": Fault(
        cut("data/canonical/items.parquet"),
        "clean",
        r"data/canonical/items\.parquet cannot be read: .*ecomine run",
    ),
    "a strange file among the canonical tables": Fault(
        content("data/canonical/notes.parquet", b"PAR1"),
        "clean",
        r"data/canonical/notes\.parquet cannot be read",
    ),
    "a clean table cut short": Fault(
        cut("data/clean/order_lines.parquet"),
        "validate",
        r"data/clean/order_lines\.parquet cannot be read",
    ),
    "a clean table cut short before features": Fault(
        cut("data/clean/order_lines.parquet"),
        "features",
        r"data/clean/order_lines\.parquet cannot be read",
    ),
    "a clean table overwritten in its middle": Fault(
        scribble,
        "features",
        r"The stage features could not finish",
    ),
    "a report cut short": Fault(cut("metrics/clean.json"), "validate", r"metrics/clean\.json cannot be read"),
    "a report of something else": Fault(
        content("metrics/clean.json", b"{}"), "features", r"metrics/clean\.json cannot be read: it lacks"
    ),
    "a verdict cut short": Fault(cut("metrics/validate.json"), "features", r"metrics/validate\.json cannot be read"),
    "no verdict": Fault(gone("metrics/validate.json"), "features", r"run `ecomine stage validate`"),
    "no clean tables": Fault(gone("data/clean"), "validate", r"data/clean is not there; run `ecomine stage clean`"),
    "a feature table cut short": Fault(
        cut("data/features/user_item.parquet"),
        "frames recommendation",
        r"data/features/user_item\.parquet",
    ),
    "no feature definitions": Fault(gone("features"), "frames recommendation", r"features/feature_store\.yaml"),
    "training rows cut short": Fault(
        cut("data/frames/recommendation/train.parquet"),
        "train recommendation",
        r"data/frames/recommendation/train\.parquet cannot be read",
    ),
    "training rows lost": Fault(
        gone("data/frames/recommendation/train.parquet"),
        "train recommendation",
        r"data/frames/recommendation/train\.parquet",
    ),
    "a model cut short": Fault(
        cut("models/recommendation/recommender.json"),
        "evaluate recommendation",
        r"models/recommendation.*ecomine stage train recommendation",
    ),
    "a model without its trees": Fault(
        content("models/recommendation/ranker.ubj", b"no trees"),
        "decide recommendation",
        r"models/recommendation.*ecomine stage train recommendation",
    ),
    "a file where a folder belongs": Fault(
        lambda workspace: (gone("data/frames")(workspace), content("data/frames", b"")(workspace)),
        "frames recommendation",
        r"The stage frames could not finish",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told_and_nothing_is_touched(name: str, earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fault = DAMAGE[name]
    fault.change(earlier)
    refuse(earlier, fault.stage, fault.says, capsys)


@pytest.mark.parametrize("stage", ROAD)
def test_a_full_disk(stage: str, earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with largest_file(1000):
        refuse(earlier, stage, "could not finish: .*File too large", capsys)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes, as on a disk that is nearly full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_lost_volumes_of_the_last_run_stop_nothing(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    volumes = (earlier / layout.VOLUMES).read_bytes()
    cut(layout.VOLUMES)(earlier)
    assert run(earlier, "validate", capsys) == (0, "")
    assert (earlier / layout.VOLUMES).read_bytes() == volumes
