"""Disk, memory and clock."""

import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ecomine import layout
from ecomine.doctor.finding import Finding
from ecomine.params import Params

GIB = 2**30
LEAST_FREE = 0.5 * GIB
AHEAD = 300.0
"""Seconds that a file may be dated ahead: machines that share a disk are never quite together."""

UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def machine(folder: Path, params: Params | None) -> Iterator[Finding]:
    """Free disk, memory for what DuckDB may take, and whether the clock goes forward."""
    yield _disk(folder)
    if params is not None:
        yield _memory(params.engine.memory_limit)
    yield _clock(folder)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    used = sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())
    seen = f"{free / GIB:,.1f} GiB free, {used / 2**20:,.0f} MiB of data here"
    mend = "Make room: `dvc gc --workspace` drops data that nothing points to any more."
    if free < LEAST_FREE:
        return Finding.fault("disk", seen, mend)
    # A stage writes beside what is there before it takes its place, and DVC keeps a copy.
    if free < 2 * used:
        return Finding.warning("disk", f"{seen}; a run writes it once more, and DVC may keep a copy", mend)
    return Finding.ok("disk", seen)


def _memory(limit: str) -> Finding:
    told = dict(re.findall(r"(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text())) if _linux() else {}
    if "MemTotal" not in told:
        return Finding.ok("memory", f"engine.memory_limit is {limit}; this system does not tell how much there is")
    total, free = (int(told[name]) * 1024 for name in ("MemTotal", "MemAvailable"))
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT])i?B", limit)
    wanted = float(match[1]) * UNITS[match[2]] if match else 0.0
    seen = f"{total / GIB:,.1f} GiB, {free / GIB:,.1f} free; DuckDB may take {limit}"
    if wanted > total:
        return Finding.fault("memory", seen, "Lower engine.memory_limit in params.yaml to half of what there is.")
    if wanted > free:
        return Finding.warning("memory", seen, "Lower engine.memory_limit in params.yaml, or end what else is running.")
    return Finding.ok("memory", seen)


def _linux() -> bool:
    return Path("/proc/meminfo").is_file()


def _clock(folder: Path) -> Finding:
    """Against the newest thing that was written here: a clock behind it went back."""
    marks = [folder / name for name in (layout.CLEAN_REPORT, layout.FEATURE_REPORT, "params.yaml", "dvc.lock")]
    marks += [*folder.glob(f"{layout.DEPLOYMENTS.format(domain='*')}/*.json*"), *folder.glob("data/receipts/*")]
    newest = max((path.stat().st_mtime for path in marks if path.exists()), default=0.0)
    now = time.time()
    seen = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if newest > now + AHEAD:
        return Finding.fault(
            "clock",
            f"{seen}, but something here was written at {datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M:%S}",
            "Set the clock (`timedatectl set-ntp true`): receipts, schedules and history go by it.",
        )
    return Finding.ok("clock", seen)
