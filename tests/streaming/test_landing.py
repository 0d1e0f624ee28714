"""From the log into the tables of the next run: nothing lost, nothing twice, the same bytes whatever the way."""

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from ecomine import feature_store, layout
from ecomine.errors import DamagedError
from ecomine.feature_store import LIVE_TABLES, OnlineReader
from ecomine.params import StreamingParams
from ecomine.stages import Context, run
from ecomine.streaming import Consumer, event_log, judge, land, landed, landing
from tests.conftest import change_params, make_workspace
from tests.shop import tiny_shop
from tests.streaming.shop import NOW, events, payments
from tests.streaming.test_live import frame

SERVICE = """
from datetime import timedelta
from pathlib import Path

from feast import FeatureService

from ecomine.feature_store.registry import views

own = FeatureService(name="own", features=[views(Path(__file__).parents[1])[name] for name in {names}])
"""


def send(workspace: Path, rows: list[dict], at_once: int = 1000) -> None:
    log = event_log(workspace)
    for start in range(0, len(rows), at_once):
        judged = judge(rows[start : start + at_once], NOW, StreamingParams())
        assert judged.refusals == []
        log.append(judged.entries)


def streamed(workspace: Path, kind: str) -> pd.DataFrame:
    return pd.read_parquet(workspace / "data/raw/streamed" / kind)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_events_land_by_kind_and_day_and_once(taking: Path) -> None:
    sent = [*events(200), *payments(40)]
    send(taking, sent[:150])
    assert land(taking) == 150
    assert land(taking) == 0
    send(taking, sent)
    assert land(taking) == 90
    for kind in ("events", "payments"):
        found = streamed(taking, kind).sort_values(f"{kind[:-1]}_id", ignore_index=True)
        wanted = frame(sent, kind).sort_values(f"{kind[:-1]}_id", ignore_index=True)
        given = wanted.columns[wanted.notna().any()]
        pd.testing.assert_frame_equal(found[given].fillna(""), wanted[given].fillna(""), check_dtype=False)
        for day in (taking / "data/raw/streamed" / kind).iterdir():
            dates = pd.read_parquet(day)["event_timestamp"].dt.date.astype(str)
            assert set(dates) == {day.name}
    days = sorted((taking / "data/raw/streamed/events").iterdir())
    assert [len(list(day.iterdir())) for day in days[:-2]] == [1] * (len(days) - 2)
    assert landed(taking) == event_log(taking).last


def test_a_landing_that_was_killed_is_made_anew(taking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, more = events(120, days=4), events(20, seed=4, days=4)
    send(taking, sent[:60])
    land(taking)
    note = taking / "data/raw/streamed/position.json"
    before = note.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(landing, "_put_days_together", lambda *_: None)
        send(taking, sent[60:])
        land(taking)
        note.write_bytes(before)  # killed before the note was replaced, after which more events came
    send(taking, more)
    land(taking)
    oldest = sorted((taking / "data/raw/streamed/events").iterdir())[0]
    (whole,) = oldest.iterdir()
    first, _ = whole.stem.split("_")
    shutil.copy(whole, oldest / f"{first}_{first}.parquet")  # killed while the files of a day were taken away
    land(taking)
    ids = streamed(taking, "events")["event_id"]
    assert sorted(ids) == sorted(row["event_id"] for row in [*sent, *more])


def test_a_note_that_is_damaged_or_gone_says_how_to_mend_it(taking: Path) -> None:
    send(taking, events(3))
    land(taking)
    note = taking / "data/raw/streamed/position.json"
    note.write_text("{}")
    for _ in range(2):
        with pytest.raises(DamagedError, match="greatest second number"):
            land(taking)
        note.unlink(missing_ok=True)
    assert len(streamed(taking, "events")) == 3


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with events and payments of its own, up to a day ago, and none streamed yet."""
    tables = tiny_shop(users=30, days=60)
    lines = tables["order_lines"]
    lines["event_timestamp"] += pd.Timestamp(NOW.date()) - lines["event_timestamp"].max().normalize()
    yesterday = pd.Timestamp(NOW.date()) - timedelta(days=1)
    for kind, rows in (("events", events(500, seed=11, users=30)), ("payments", payments(60, seed=11, days=6))):
        own = frame(rows, kind)
        tables[kind] = own[own["event_timestamp"] < yesterday].dropna(axis="columns", how="all")
    tables["payments"]["is_fraud"], tables["payments"]["label_timestamp"] = False, yesterday
    folder = make_workspace(
        tmp_path_factory.mktemp("shop") / "workspace",
        {name: tables[name] for name in ("order_lines", "items", "users", "events", "payments")},
        as_of=NOW.date().isoformat(),
        domains=["pricing"],
        features={"windows": [7], "snapshot_days": 30, "tables": ["item_snapshot", *LIVE_TABLES]},
    )
    (folder / "features/own.py").write_text(SERVICE.format(names=list(LIVE_TABLES)))
    walk(folder, "ingest", "clean", "features", "materialize")
    return folder


def walk(workspace: Path, *names: str) -> None:
    """Run stages; features without the wait for a validation."""
    for name in names:
        context = Context.of(workspace)
        if name != "features":
            run(name, None, context)
            continue
        with context.connection() as connection, context.store.replacing(layout.FEATURES) as folder:
            folder.mkdir()
            clean = context.store.relations(connection, layout.CLEAN)
            feature_store.compute(connection, clean, context.as_of, context.params.features, folder, ["pricing"])


def asked(workspace: Path) -> pd.DataFrame:
    """Entities of every live table, each at the newest of its moments in the feature tables."""
    parts = []
    for name, table in LIVE_TABLES.items():
        rows = pd.read_parquet(workspace / f"data/features/{name}.parquet").sort_values("event_timestamp")
        last = rows.drop_duplicates(table.key, keep="last").tail(40)
        others = {other: "nobody" for other in ("user_id", "card_id", "device_id") if other != table.key}
        parts.append(last[[table.key, "event_timestamp"]].assign(**others))
    return pd.concat(parts, ignore_index=True)


def known_at(workspace: Path, name: str, rows: pd.DataFrame) -> pd.Series:
    """Which rows stand at the newest moment of their entity in a feature table."""
    key = LIVE_TABLES[name].key
    newest = pd.read_parquet(workspace / f"data/features/{name}.parquet").groupby(key)["event_timestamp"].max()
    return rows[key].map(newest).eq(rows["event_timestamp"])


def test_the_way_of_events_from_the_log_to_training_and_to_serving(shop: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(shop, tmp_path / "workspace"))
    seen_before = pd.read_parquet(workspace / "data/clean/events.parquet")
    late, new = events(60, seed=21, users=30), events(60, seed=22, days=0.9, users=30)
    paid = payments(50, seed=23, days=0.5)
    corrected = pd.read_parquet(workspace / "data/raw/payments.parquet").head(3)
    resent = [
        {"kind": "payments", "payment_id": row.payment_id, "user_id": row.user_id, "amount": 1.0,
         "event_timestamp": row.event_timestamp.isoformat()}
        for row in corrected.itertuples()
    ]  # fmt: skip
    consumer = Consumer(workspace)
    send(workspace, [*late, *new, *paid, *resent])
    assert consumer.once() == (173, 173)
    reader = OnlineReader(workspace, "own")
    streamed_values = reader.read(pd.DataFrame({"user_id": [new[0]["user_id"]], "card_id": "c1", "device_id": "d1"}))

    tomorrow = (NOW.date() + timedelta(days=1)).isoformat()
    change_params(workspace, as_of=tomorrow)
    walk(workspace, "ingest", "clean", "features")
    rows = asked(workspace)
    offline = feature_store.point_in_time(workspace, rows, "own")
    online = reader.read(rows)[offline.columns]  # the store is that of before: only streaming knows of the rest
    for name, table in LIVE_TABLES.items():
        wide = [f"{name}__{one}" for one in table.features]
        at = known_at(workspace, name, rows)
        assert at.sum() > 2
        pd.testing.assert_frame_equal(online.loc[at, wide], offline.loc[at, wide], check_exact=True)

    clean = pd.read_parquet(workspace / "data/clean/events.parquet")
    assert set(clean["event_id"]) >= set(seen_before["event_id"]) | {row["event_id"] for row in [*late, *new]}
    assert clean["event_id"].is_unique
    kept = pd.read_parquet(workspace / "data/clean/payments.parquet").set_index("payment_id")
    assert (kept.loc[corrected["payment_id"], "amount"].to_numpy() == corrected["amount"].to_numpy()).all()
    assert kept.loc[corrected["payment_id"], "is_fraud"].notna().all()

    walk(workspace, "materialize")
    pd.testing.assert_frame_equal(reader.read(rows)[offline.columns], online, check_exact=True)
    again = reader.read(pd.DataFrame({"user_id": [new[0]["user_id"]], "card_id": "c1", "device_id": "d1"}))
    pd.testing.assert_frame_equal(again, streamed_values)

    assert event_log(workspace).waiting("0-0")[0] == 173
    Consumer(workspace).once()
    assert event_log(workspace).waiting("0-0")[0] == 0  # they are in the tables
    assert not event_log(workspace).append(judge(new, NOW, StreamingParams()).entries).count(True)


def test_a_materialisation_undoes_nothing_that_was_streamed_meanwhile(shop: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(shop, tmp_path / "workspace"))
    sent = events(40, seed=31, days=0.2, users=30)
    send(workspace, sent)
    Consumer(workspace).once()
    rows = pd.DataFrame({"user_id": sorted({row["user_id"] for row in sent}), "card_id": "c1", "device_id": "d1"})
    before = OnlineReader(workspace, "own").read(rows)
    assert (before["user_activity__events_24h"] > 0).all()
    walk(workspace, "materialize")
    pd.testing.assert_frame_equal(OnlineReader(workspace, "own").read(rows), before)
    loaded = OnlineReader(workspace, "own", live=False).read(rows)
    assert (loaded["user_activity__events_24h"].fillna(0) < before["user_activity__events_24h"]).any()


def test_the_tables_are_the_same_bytes_whichever_way_events_landed(shop: Path, tmp_path: Path) -> None:
    sent, digests = [*events(80, seed=41, days=5), *payments(30, seed=41)], []
    for number, at_once in enumerate((7, 1000)):
        workspace = Path(shutil.copytree(shop, tmp_path / str(number)))
        for start in range(0, len(sent), 40):
            send(workspace, sent[start : start + 40], at_once)
            if at_once == 7:
                land(workspace)
        walk(workspace, "ingest")
        digests.append([digest(path) for path in sorted((workspace / layout.CANONICAL).iterdir())])
    assert digests[0] == digests[1]


def test_a_kind_that_the_source_lacks_becomes_a_table(taking: Path) -> None:
    send(taking, payments(20))
    land(taking)
    with duckdb.connect() as connection:
        tables = dict(landing.united(connection, taking, iter(())))
        assert list(tables) == ["payments"]
        assert tables["payments"].columns[-1] == "malformed"
        assert len(tables["payments"].df()) == 20
