"""Payments that are happening, as rows that a guard can judge: what it remembers and what came since, put together."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecomine.domain import EVENT_TIMESTAMP
from ecomine.risk.features import DAY, FEAST_KEYS, FRAUD, OWN, PAID_AT, STAKE
from ecomine.risk.model import Guard
from ecomine.risk.moment import PLACE, Event, features
from ecomine.risk.timeline import SCALE
from ecomine.risk.velocity import ENTITIES

Known = tuple[str, Event]
"""A payment_id and its payment."""


def rows_of_live(
    model: Guard, payments: Sequence[Known], methods: Sequence[str | None], since: Sequence[Known]
) -> pd.DataFrame:
    """Rows like those of `features.rows_of`, in the order of the payments; each sees those before it in the list.

    since: payments later than the model's as_of, in order of time.
    """
    assert model.memory is not None, "a guard of orders has no memory of payments"
    later: dict[tuple[str, str], list[Known]] = defaultdict(list)

    def note(payment: Known) -> None:
        for name in ENTITIES:
            value = payment[1][PLACE[name]]
            if value is not None:
                later[name, str(value)].append(payment)

    asked = {payment_id for payment_id, _ in payments}
    for one in since:
        if one[0] not in asked:
            note(one)
    values = np.empty((len(payments), len(OWN[FRAUD])), np.float32)
    for number, ((payment_id, event), method) in enumerate(zip(payments, methods, strict=True)):
        before = model.memory.past(event, payment_id)
        past = {}
        for name, known in before.items():
            fresh = [
                other
                for other in later.get((name, str(event[PLACE[name]])), ())
                if other[0] != payment_id and other[1].time <= event.time
            ]
            seen = {id_ for id_, _ in known}
            past[name] = [other for _, other in known] + [other for id_, other in fresh if id_ not in seen]
        values[number] = np.concatenate([features(event, method, past), model.memory.ring(event)])
        note((payment_id, event))
    keys = {name: [event[PLACE[name]] for _, event in payments] for name in FEAST_KEYS}
    frame = pd.DataFrame(values, columns=pd.Index(OWN[FRAUD], dtype=object))
    times = np.array([event.time for _, event in payments], "datetime64[us]")
    known = pd.DataFrame(
        {
            "payment_id": np.array([payment_id for payment_id, _ in payments], object),
            **{name: np.array(column, object) for name, column in keys.items()},
            PAID_AT: times,
            DAY: np.datetime_as_string(times, "D").astype(object),
            STAKE: [event.amount / SCALE for _, event in payments],
            EVENT_TIMESTAMP: times,
        }
    )
    return pd.concat([known, frame], axis=1)
