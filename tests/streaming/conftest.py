"""Workspaces that take events, into a file and into Redis."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.requirements import require, require_module
from tests.streaming.shop import RedisProcess, durable_redis, make


@pytest.fixture(scope="session")
def redis_process() -> Iterator[RedisProcess]:
    """A Redis that lives as long as the tests."""
    require_module("redis", "ecomine[redis]")
    with durable_redis(require("redis-server", "redis-server")) as server:
        yield server


@pytest.fixture(params=["log", "redis"])
def taking(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A workspace that takes events, under names of the test's own."""
    if request.param == "log":
        return make(tmp_path / "shop", land_minutes=0.0)
    server = request.getfixturevalue("redis_process")
    prefix = "t_" + tmp_path.name[-24:].strip("_").lower()
    return make(tmp_path / "shop", kind="redis", url=server.url, prefix=prefix, land_minutes=0.0)
