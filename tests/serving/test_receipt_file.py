"""When receipts end: after their days, and not because somebody set the clock."""

from pathlib import Path

import pytest

from ecomine.serving.packing import Packer, Receipt
from ecomine.serving.receipt_file import ReceiptFile

DAY = 24 * 3600 * 1_000_000
START = 20_000 * DAY


@pytest.fixture
def file(tmp_path: Path) -> ReceiptFile:
    return ReceiptFile(tmp_path / "receipts.db")


def keep(file: ReceiptFile, days: list[float]) -> None:
    for day in days:
        moment = START + int(day * DAY)
        packed = Packer().pack(Receipt("d", "m", "q", {"day": day}, {}))
        file.write([(f"{moment:014x}{0:016x}", packed)], moment)


def kept(file: ReceiptFile) -> list[float]:
    return sorted((int(id_[:14], 16) - START) / DAY for id_, _ in file.newest(1000))


def tidy(file: ReceiptFile, day: float, days: float = 30.0) -> list[float]:
    file.tidy(START + int(day * DAY), days)
    return kept(file)


def test_receipts_go_after_their_days_with_what_only_they_need(file: ReceiptFile) -> None:
    keep(file, [float(day) for day in range(60)])
    assert tidy(file, 59.5) == [float(day) for day in range(30, 60)]
    assert file.count() == 30
    with file._open() as connection:
        parts = connection.execute("SELECT count(*) FROM parts").fetchone()[0]
    assert parts == 31, "one a receipt, and what all of them share"


def test_a_clock_that_jumps_forward_takes_no_receipt_with_it(file: ReceiptFile) -> None:
    keep(file, [float(day) for day in range(20)])
    keep(file, [400.0])
    assert tidy(file, 400.0) == [*(float(day) for day in range(20)), 400.0]
    keep(file, [float(day) for day in range(401, 416)])
    # Fifteen days have passed by the new clock: of the thirty, fifteen are left for those from before.
    assert tidy(file, 415.0)[0] == 4.0
    keep(file, [float(day) for day in range(416, 440)])
    assert tidy(file, 439.0)[0] == 409.0


def test_a_clock_that_is_set_right_again_takes_none_either(file: ReceiptFile) -> None:
    keep(file, [*(float(day) for day in range(10)), 500.0, 500.5, 10.0, 11.0])
    assert tidy(file, 11.0) == [*(float(day) for day in range(12)), 500.0, 500.5]


def test_a_quiet_shop_keeps_them_until_it_is_awake_again(file: ReceiptFile) -> None:
    keep(file, [0.0, 1.0, 50.0])
    assert tidy(file, 50.0) == [0.0, 1.0, 50.0]
    assert tidy(file, 50.0, days=0.01) == [50.0]
