"""Payments kept in memory against a plain look through all of them."""

import random

from ecomine.risk import lately
from ecomine.risk.lately import Lately
from ecomine.risk.moment import Event
from ecomine.risk.velocity import ENTITIES, MOST

MINUTE = 60_000_000


def drawn(count: int, seed: int) -> list[tuple[str, Event]]:
    dice = random.Random(seed)
    found = []
    for number in range(count):
        ids = [dice.choice([None, f"{name}{dice.randrange(9)}"]) for name in ENTITIES]
        ids[1] = ids[1] or "somebody"
        found.append((f"p{number}", Event(dice.randrange(500) * MINUTE, 10_000 + number, *ids)))
    return found


def plain(known: dict[str, Event], asked: tuple[str, Event], since: int) -> list[tuple[str, Event]]:
    found = {}
    for name in ENTITIES:
        value = getattr(asked[1], name)
        own = [
            (event.time, id_)
            for id_, event in known.items()
            if value is not None and getattr(event, name) == value and since < event.time <= asked[1].time
            and id_ != asked[0]
        ]  # fmt: skip
        found |= {id_: known[id_] for _, id_ in sorted(own)[-MOST:]}
    return sorted(found.items(), key=lambda one: (one[1].time, one[0]))


def test_the_past_is_that_of_a_plain_look() -> None:
    held, known = Lately(), {}
    for id_, event in drawn(900, 1):
        held.add(id_, event)
        held.add(id_, event._replace(amount=1))  # said again, it stays as it was
        known.setdefault(id_, event)
    for asked in [*drawn(60, 2), *list(known.items())[:20]]:
        for since in (0, 200 * MINUTE):
            assert Lately.past(held, [asked], since) == plain(known, asked, since)


def test_of_an_entity_the_latest_count() -> None:
    held = Lately()
    for number in range(MOST + 40):
        held.add(f"p{number:04}", Event(number * MINUTE, 1, "c", "u", None, None, None))
    own = held.past([("new", Event(10**12, 1, "c", "other", None, None, None))], 0)
    assert [id_ for id_, _ in own] == [f"p{number:04}" for number in range(40, MOST + 40)]


def test_what_a_run_has_learned_from_is_forgotten() -> None:
    held = Lately()
    count = 3 * lately.SLACK
    for number in range(count):
        held.past([], max(number - 100, 0) * MINUTE)
        held.add(f"p{number:05}", Event(number * MINUTE, 1, f"c{number}", "u", None, None, None))
    assert len(held) < count / 2
    assert len(held.past([("new", Event(10**13, 1, None, "u", None, None, None))], (count - 101) * MINUTE)) == 100
