"""The live state in Redis, beside the stream it is taken on from: a sorted set an entity.

Names: `{prefix}:live:{table}:{entity}` holds the entity's moments, scored by their time, each the row's identity and
its parts; `{prefix}:live-position` the offset. Events and offset change in one script, which the server runs as one.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import redis
from redis.exceptions import RedisError

from ecomine.errors import StreamingError
from ecomine.feature_store.declaration import SCALE
from ecomine.feature_store.live import LIVE_TABLES, MILLI, LiveTable
from ecomine.feature_store.live_state import Moments

WAIT = 5.0
"""Seconds to wait for an answer of the server."""

AT_ONCE = 5_000
"""Rows that are added with one trip."""

TAKE_ON = """
local after = redis.call('GET', KEYS[2]) or '0-0'
local entries = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', ARGV[2])
if #entries == 0 then return 0 end
local tables = cjson.decode(ARGV[3])
for _, entry in ipairs(entries) do
    local row = {}
    for i = 1, #entry[2], 2 do row[entry[2][i]] = entry[2][i + 1] end
    local body = cjson.decode(row.body)
    for _, live in ipairs(tables) do
        local entity = body[live.key]
        if live.source == row.kind and entity then
            local member = row.id
            for _, one in ipairs(live.measures) do
                local part = 1
                if one.money then
                    local scaled = body[one.column] * SCALE
                    part = math.floor(scaled)
                    if scaled - part >= 0.5 then part = part + 1 end
                elseif one.column then
                    part = body[one.column] == one.equals and 1 or 0
                end
                member = member .. '|' .. string.format('%.0f', part)
            end
            local key = ARGV[1] .. live.name .. ':' .. entity
            redis.call('ZADD', key, row.micro, member)
            redis.call('EXPIRE', key, live.kept)
            local newest = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2]
            redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. string.format('%.0f', tonumber(newest) - live.horizon))
        end
    end
end
redis.call('SET', KEYS[2], entries[#entries][1])
return #entries
""".replace("SCALE", str(SCALE))

MOMENTS = """
local found = {}
for place, entity in ipairs(cjson.decode(ARGV[2])) do
    local key, at = ARGV[1] .. entity, ARGV[3]
    if at == '' then at = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2] end
    if at then
        local first = string.format('(%.0f', tonumber(at) - tonumber(ARGV[4]))
        local last = string.format('(%.0f', tonumber(at) + tonumber(ARGV[5]))
        found[#found + 1] = {place - 1, at, redis.call('ZRANGEBYSCORE', key, first, last, 'WITHSCORES')}
    end
end
return found
"""


class RedisLive:
    """The live state under a prefix; safe from several threads, processes and machines."""

    def __init__(self, url: str, prefix: str) -> None:
        self._client: Any = redis.Redis.from_url(url, socket_timeout=WAIT, socket_connect_timeout=WAIT)
        self._stream, self._position = f"{prefix}:events", f"{prefix}:live-position"
        self._seeded, self._live = f"{prefix}:live-seeded", f"{prefix}:live:"
        self._take_on, self._moments = self._client.register_script(TAKE_ON), self._client.register_script(MOMENTS)
        self._tables = json.dumps([_plan(table) for table in LIVE_TABLES.values()])

    def moments(self, table: LiveTable, entities: Sequence[str], at: int | None) -> Moments:
        asked = [f"{self._live}{table.name}:", json.dumps(list(entities), ensure_ascii=False)]
        with self._asking():
            found = self._moments(args=[*asked, "" if at is None else at, (table.longest + 1) * MILLI, MILLI])
        rows = []
        for place, newest, members in found:
            for member, micro in zip(members[::2], members[1::2], strict=True):
                rows.append([place, float(newest), float(micro), *map(float, member.split(b"|")[1:])])
        return Moments.of(rows, len(table.measures))

    @property
    def position(self) -> str:
        with self._asking():
            return (self._client.get(self._position) or b"0-0").decode()

    @property
    def seeded(self) -> str:
        with self._asking():
            return (self._client.get(self._seeded) or b"").decode()

    def apply(self, count: int) -> int:
        with self._asking():
            return int(self._take_on(keys=[self._stream, self._position], args=[self._live, count, self._tables]))

    def seed(self, table: LiveTable, rows: pa.Table) -> None:
        seconds = int(table.kept.total_seconds())
        for batch in rows.to_batches(max_chunksize=AT_ONCE):
            entities, micros, ids, *parts = (column.to_pylist() for column in batch.columns)
            with self._asking():
                pipe = self._client.pipeline(transaction=False)
                for entity, micro, id_, *measured in zip(entities, micros, ids, *parts, strict=True):
                    key = f"{self._live}{table.name}:{entity}"
                    pipe.zadd(key, {"|".join([id_.hex(), *map(str, measured)]): micro})
                    pipe.expire(key, seconds)
                pipe.execute()

    def mark_seeded(self, name: str) -> None:
        with self._asking():
            self._client.set(self._seeded, name)

    def purge(self, now: int) -> None:
        """Redis lets sets go by itself that nobody added to for as long."""

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise StreamingError(f"The live state in Redis cannot be reached: {error}.") from error


def _plan(table: LiveTable) -> dict[str, Any]:
    measures = [{"column": one.column, "equals": one.equals, "money": one.is_money} for one in table.measures]
    return {
        "name": table.name,
        "source": table.source,
        "key": table.key,
        "kept": int(table.kept.total_seconds()),
        "horizon": table.horizon,
        "measures": [{name: value for name, value in one.items() if value is not None} for one in measures],
    }
