"""Filling the online store: against a plain pandas twin, in any steps, through kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine import feature_store
from ecomine.errors import SettingsError
from ecomine.feature_store import FEATURE_TABLES
from ecomine.feature_store.catalogue import feature_params
from ecomine.feature_store.online_backend import backend
from ecomine.feature_store.online_table import OnlineTable
from tests.conftest import PROJECT, change_params
from tests.feature_store.conftest import AS_OF, materialize

TABLES = ("user_snapshot", "item_snapshot", "user_item")


def twin(workspace: Path, name: str, as_of: datetime = AS_OF) -> pd.DataFrame:
    """The newest row of every entity that holds at as_of, sorted by its keys."""
    table = FEATURE_TABLES[name]
    rows = pd.read_parquet(workspace / f"data/features/{name}.parquet")
    oldest = pd.Timestamp(as_of) - timedelta(days=table.ttl(feature_params(workspace)))
    rows = rows[(rows.event_timestamp >= oldest) & (rows.event_timestamp <= as_of)]
    newest = rows.sort_values("event_timestamp").groupby(list(table.keys), sort=True).tail(1)
    return newest.sort_values(list(table.keys), ignore_index=True)


def assert_holds(workspace: Path, as_of: datetime = AS_OF) -> None:
    """The online store holds what the twin does, and nobody else of whom there is a feature row."""
    params = feature_params(workspace)
    for name in TABLES:
        table, expected = OnlineTable.of(FEATURE_TABLES[name], params), twin(workspace, name, as_of)
        everybody = pd.read_parquet(workspace / f"data/features/{name}.parquet", columns=list(table.keys))
        others = everybody.drop_duplicates().merge(expected[list(table.keys)], how="left", indicator=True)
        others = others.loc[others._merge == "left_only", list(table.keys)]
        wanted = [tuple(keys) for keys in pd.concat([expected[list(table.keys)], others]).to_numpy()]
        found = backend(workspace).read([(table, wanted)])
        values = np.full((len(wanted) + 1, len(table.features)), np.nan)
        values[: len(expected)] = expected[list(table.features)].to_numpy()
        np.testing.assert_array_equal(found.values[0], values, err_msg=name)
        moments = found.moments[0][: len(expected)].astype("datetime64[us]")
        np.testing.assert_array_equal(moments, expected.event_timestamp.to_numpy("datetime64[us]"))


def test_holds_the_newest_row_of_everybody(stored: Path) -> None:
    assert_holds(stored)
    earlier = AS_OF - timedelta(days=31)
    rows = materialize(stored, earlier)
    assert rows == {name: len(twin(stored, name, earlier)) for name in rows} and rows["user_item"] > 0
    assert_holds(stored, earlier)


def test_steps_do_not_matter(stored: Path, online: dict[str, object]) -> None:
    whole = content(stored)
    change_params(stored, online=online | {"chunk_days": 3, "batch_rows": 41})
    materialize(stored)
    assert_holds(stored)
    assert content(stored) == whole


NURSERY = """
import json, os, signal, sys
from datetime import datetime
from pathlib import Path
from ecomine import feature_store
from ecomine.feature_store import materialization

def child(workspace, folder, die_at, as_of, answer):
    writes, make = 0, materialization.backend
    def die():
        os.write(answer, str(writes).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    def counting(workspace):
        store = make(workspace)
        load = store.load
        def begin(*arguments):
            begun = load(*arguments)
            write, publish = begun.write, begun.publish
            def counted(*arguments):
                nonlocal writes
                write(*arguments)
                writes += 1
                if die_at == writes:
                    die()
            def published(*arguments):
                if die_at == "before the end":
                    die()
                rows = publish(*arguments)
                if die_at == "after the end":
                    die()
                return rows
            begun.write, begun.publish = counted, published
            return begun
        store.load = begin
        return store
    materialization.backend = counting
    Path(folder).mkdir(exist_ok=True)
    feature_store.materialize(Path(workspace), Path(folder), datetime.fromisoformat(as_of))
    os.write(answer, str(writes).encode())

for line in sys.stdin:
    ear, answer = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            child(*json.loads(line), answer)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(answer)
    _, status = os.waitpid(process, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), int(os.read(ear, 20) or -1)]), flush=True)
    os.close(ear)
"""

Run = Callable[..., tuple[int, int]]


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """run(workspace, folder, die_at) fills the store in a process of its own; (exit status, batches written).

    The process kills itself after `die_at` batches, "before the end" or "after the end".
    """
    # One process imports what is needed, and each run is a fork of it: starting takes longer than filling.
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY], stdin=pipe, stdout=pipe, text=True, env=environment
    ) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None

        def ask(workspace: Path, folder: Path, die_at: object = None) -> tuple[int, int]:
            print(json.dumps([str(workspace), str(folder), die_at, AS_OF.isoformat()]), file=nursery.stdin, flush=True)
            code, writes = json.loads(nursery.stdout.readline())
            return code, writes

        yield ask
        nursery.stdin.close()


def test_a_killed_run_goes_on_where_it_was(stored: Path, online: dict[str, object], tmp_path: Path, run: Run) -> None:
    whole = content(stored)
    earlier = AS_OF - timedelta(days=31)
    change_params(stored, online=online | {"chunk_days": 60, "batch_rows": 100})
    materialize(stored, earlier)
    assert run(stored, tmp_path / "new", 5) == (-signal.SIGKILL, 5)
    assert_holds(stored, earlier)
    code, rest = run(stored, tmp_path / "new", "before the end")
    assert code == -signal.SIGKILL and rest > 0
    assert_holds(stored, earlier)
    shutil.rmtree(tmp_path / "new")
    assert run(stored, tmp_path / "new") == (0, 0)  # everything was written already
    shutil.rmtree(stored / "data/online")
    (tmp_path / "new").rename(stored / "data/online")
    assert content(stored) == whole
    assert_holds(stored)
    assert run(stored, tmp_path / "newer", "after the end") == (-signal.SIGKILL, rest + 5)
    materialize(stored)
    assert content(stored) == whole
    assert_holds(stored)


def test_other_data_does_not_go_on_from_a_killed_run(stored: Path, online: dict[str, object], run: Run) -> None:
    change_params(stored, online=online | {"chunk_days": 60, "batch_rows": 100})
    materialize(stored, AS_OF - timedelta(days=31))
    assert run(stored, stored / "data/new", 5) == (-signal.SIGKILL, 5)
    path = stored / "data/features/user_snapshot.parquet"
    rows = pd.read_parquet(path)
    rows.assign(orders_total=rows.orders_total + 1).to_parquet(path, index=False)
    materialize(stored)
    assert_holds(stored)


def content(workspace: Path) -> dict[str, bytes]:
    """The bytes of the folder that the stage makes: the store itself, or the receipt of what a server holds."""
    folder = workspace / "data/online"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def names(url: str, prefix: str) -> Iterator[str]:
    """What a server keeps under names that begin with `prefix`."""
    if url.startswith("redis"):
        import redis

        client = redis.Redis.from_url(url)
        yield from (key.decode() for key in client.scan_iter(f"{prefix}:*"))
        client.close()
        return
    import psycopg

    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", [prefix])
        yield from (row[0] for row in rows)


def test_one_version_stays(stored: Path, online: dict[str, object]) -> None:
    if online["kind"] == "sqlite":
        assert [path.name for path in (stored / "data/online").iterdir()] == ["online.db"]
        assert not (stored / "data/.loads").exists()
        return
    before = set(names(str(online["url"]), str(online["prefix"])))
    for _ in range(3):
        materialize(stored)
        after = set(names(str(online["url"]), str(online["prefix"])))
        assert len(after) == len(before) == (2 if online["kind"] == "postgres" else 8)
    assert content(stored).keys() == {"receipt.json"} and str(online["url"]).encode() not in content(stored)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "mysql"}, "expected sqlite, redis or postgres"),
        ({"kind": "redis"}, "no address of a redis server"),
        ({"kind": "postgres", "url": "redis://localhost"}, "no address of a postgres server"),
        (
            {"kind": "redis", "url": "redis://:${ECOMINE_TEST_ABSENT}@localhost"},
            "ECOMINE_TEST_ABSENT, which is not set",
        ),
        ({"kind": "redis", "url": "redis://localhost", "prefix": "a b"}, r"online\.prefix"),
        ({"knd": "redis"}, "Did you mean `kind`"),
        ({"batch_rows": 0}, "at least 1"),
    ],
)
def test_settings_that_cannot_be_used(featured: Path, tmp_path: Path, section: dict, message: str) -> None:
    workspace = Path(shutil.copytree(featured, tmp_path / "copy"))
    change_params(workspace, online=section)
    with pytest.raises(SettingsError, match=message):
        feature_store.materialize(workspace, tmp_path, AS_OF)


def test_a_missing_driver_names_the_extra(featured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Path(shutil.copytree(featured, tmp_path / "copy"))
    for kind, url, module in (("redis", "redis://x", "redis"), ("postgres", "postgresql://x/y", "psycopg")):
        change_params(workspace, online={"kind": kind, "url": url})
        monkeypatch.delitem(sys.modules, f"ecomine.feature_store.online_{kind}", raising=False)
        monkeypatch.setitem(sys.modules, module, None)  # what makes Python say that there is no such module
        with pytest.raises(SettingsError, match=rf"pip install 'ecomine\[{kind}\]'"):
            backend(workspace)
