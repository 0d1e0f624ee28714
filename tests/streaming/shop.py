"""Events of a few people, out of order and with some that come twice, and a Redis that can be killed and started."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import yaml

from tests.servers import free_port, wait_for_redis

TYPES = ["search", "impression", "view", "view", "cart", "wishlist", "purchase"]
NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def events(count: int, seed: int = 1, days: float = 9.0, users: int = 12, first: int = 0) -> list[dict]:
    """Rows of kind events in no order of time, the same for the same arguments of one day."""
    random = np.random.default_rng(seed)
    seconds = random.uniform(0, days * 86_400, count).round(3)
    return [
        {
            "kind": "events",
            "event_id": f"e{seed}-{first + number}",
            "user_id": f"u{random.integers(users):04d}",
            "item_id": f"i{random.integers(80):04d}",
            "event_type": str(random.choice(TYPES)),
            "event_timestamp": (NOW - timedelta(seconds=float(seconds[number]))).isoformat() + "Z",
        }
        for number in range(count)
    ]


def payments(count: int, seed: int = 1, days: float = 2.0, cards: int = 5) -> list[dict]:
    """Rows of kind payments; some without a card."""
    random = np.random.default_rng(seed + 1000)
    rows = []
    for number in range(count):
        row = {
            "kind": "payments",
            "payment_id": f"p{seed}-{number}",
            "user_id": f"u{random.integers(8):04d}",
            "amount": float(np.round(random.uniform(0, 300), 2)),
            "event_timestamp": (NOW - timedelta(seconds=float(random.uniform(0, days * 86_400)))).isoformat(),
        }
        if random.random() < 0.9:
            row |= {"card_id": f"c{random.integers(cards)}", "device_id": f"d{random.integers(cards)}"}
        rows.append(row)
    return rows


def make(folder: Path, **streaming: object) -> Path:
    """The smallest workspace that takes events."""
    (folder / "data/raw").mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump({"source": "sql", "streaming": streaming}))
    return folder


class RedisProcess:
    """A Redis that syncs what it writes, in a folder that outlives it."""

    def __init__(self, binary: Path) -> None:
        self.binary, self.port, self.folder = binary, free_port(), Path(tempfile.mkdtemp(prefix="ecomine-redis-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, synced: str = "always") -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", synced]
        self.process = subprocess.Popen([str(self.binary), *options], stdout=subprocess.DEVNULL)
        wait_for_redis(self.port, self.process)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None


@contextmanager
def durable_redis(binary: Path) -> Iterator[RedisProcess]:
    """Started, and gone at the end."""
    server = RedisProcess(binary)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(server.folder, ignore_errors=True)
