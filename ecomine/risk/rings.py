"""Who hangs together: customers who share devices, cards or addresses, as connected components, day by day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

from ecomine.columns import require
from ecomine.risk.behaviour import DAY
from ecomine.risk.timeline import NEVER, coded, microseconds

LINKS = ("device_id", "card_id", "address_id")
"""What people share."""


@dataclass(frozen=True)
class Ties:
    """Payments in order of time as numbers: time, user, node of each link (-1 for none), when a fraud became known."""

    time: np.ndarray
    user: np.ndarray
    nodes: np.ndarray
    told: np.ndarray
    sizes: tuple[int, ...]
    """Of users, then of each link: nodes are numbered one kind after the other."""


@dataclass(frozen=True)
class Components:
    """Components at a moment. node: numbers of the nodes that are there, sorted; label: component of each; counts of
    each component: members of each kind (components × kinds), payments, and frauds known by then.
    """

    node: np.ndarray
    label: np.ndarray
    members: np.ndarray
    payments: np.ndarray
    frauds: np.ndarray

    def of(self, node: np.ndarray) -> np.ndarray:
        """The component of each node; -1 where it is not there."""
        if not len(self.node):
            return np.full(len(node), -1)
        place = np.minimum(np.searchsorted(self.node, node), len(self.node) - 1)
        return np.where((self.node[place] == node) & (node >= 0), self.label[place], -1)


def ring_features(
    payments: pd.DataFrame,
    asked: np.ndarray | None = None,
    days: int = 60,
    most_users: int = 20,
    links: Sequence[str] = LINKS,
) -> pd.DataFrame:
    """Size and known frauds of the component that each payment belongs to, as it stood at the midnight before it.

    payments: `payment_id`, `user_id`, `event_timestamp`, any of `links`, and, where known, `is_fraud` with
    `label_timestamp`. days: payments that long ago still tie. most_users: a device, card or address of more people
    ties nobody, it is public. The component is the greatest of those of the payment's user, device, card and address.
    Columns: ring_users, ring_payments, ring_frauds and one a link, float32, in the order of the payments asked for.
    """
    links = [name for name in links if name in payments.columns]
    require(payments.columns, ("payment_id", "user_id", "event_timestamp"), "payments")
    order = np.lexsort((payments["payment_id"].to_numpy(), microseconds(payments["event_timestamp"])))
    flags = np.ones(len(payments), bool) if asked is None else np.asarray(asked, bool)
    ties = _ties(payments.iloc[order], links)
    wanted = np.flatnonzero(flags[order])
    names = ["users", *(f"{name.removesuffix('_id')}s" for name in links), "payments", "frauds"]
    found = np.zeros((len(wanted), len(names)), np.float32)
    day = ties.time[wanted] // DAY
    for midnight in np.unique(day):
        here = np.flatnonzero(day == midnight)
        parts = _components(ties, midnight * DAY, days, most_users)
        rows = wanted[here]
        label = np.column_stack([parts.of(node) for node in (ties.user[rows], *ties.nodes[:, rows])])
        size = np.where(label >= 0, np.append(parts.members[:, 0], 0)[label], -1)
        best = label[np.arange(len(rows)), size.argmax(axis=1)]
        counts = np.column_stack([parts.members, parts.payments, parts.frauds])
        found[here] = np.where((best >= 0)[:, None], np.vstack([counts, np.zeros(len(names))])[best], 0.0)
    place = np.argsort(order[wanted])
    columns = [f"ring_{name}" for name in names]
    return pd.DataFrame(found[place], columns=columns, index=payments.index[flags])


def rings(
    payments: pd.DataFrame,
    moment: pd.Timestamp,
    days: int = 60,
    most_users: int = 20,
    fewest_users: int = 3,
    links: Sequence[str] = LINKS,
    trusted_days: int = 45,
) -> pd.DataFrame:
    """Groups of customers that share something, as it was known at a moment; a row a customer, sorted by ring and user.

    Columns: user_id, ring (from 1, most users first, then the one whose first user pays first), users, one a link
    (how many of it the ring has), payments, frauds. Only rings of `fewest_users` and more are told. A device, card or
    address that two people have shared for `trusted_days` without a known fraud on it ties nobody: so do households.
    """
    links = [name for name in links if name in payments.columns]
    require(payments.columns, ("payment_id", "user_id", "event_timestamp"), "payments")
    time = microseconds(payments["event_timestamp"])
    ordered = payments.iloc[np.lexsort((payments["payment_id"].to_numpy(), time))]
    at = int(moment.value // 1_000)
    ties = _ties(ordered, links)
    nodes = np.where(_trusted(ties, at, trusted_days)[ties.nodes], -1, ties.nodes)
    parts = _components(replace(ties, nodes=nodes), at, days, most_users)
    names = pd.factorize(ordered["user_id"])[1]
    rank = np.lexsort((np.arange(len(parts.members)), -parts.members[:, 0]))
    number = np.empty(len(rank), np.int64)
    number[rank] = np.arange(1, len(rank) + 1)
    person = parts.node < len(names)
    label = parts.label[person]
    table = pd.DataFrame({"user_id": np.asarray(names, object)[parts.node[person]], "ring": number[label]})
    kinds = ["users", *(f"{name.removesuffix('_id')}s" for name in links)]
    table[kinds] = parts.members[label]
    table["payments"], table["frauds"] = parts.payments[label], parts.frauds[label]
    table = table[table["users"] >= fewest_users]
    return table.sort_values(["ring", "user_id"], ignore_index=True)


def ring_nodes(
    payments: pd.DataFrame, moment: pd.Timestamp, days: int = 60, most_users: int = 20, links: Sequence[str] = LINKS
) -> pd.DataFrame:
    """What `ring_features` would tell of each customer and each thing that is shared, as it stood at a moment.

    Columns: kind (`user_id` or a link), id, and the counts; sorted by kind and id, so that a payment that comes later
    can be told of its component by looking up its own.
    """
    time = microseconds(payments["event_timestamp"])
    ordered = payments.iloc[np.lexsort((payments["payment_id"].to_numpy(), time))]
    ties = _ties(ordered, list(links))
    parts = _components(ties, int(moment.value // 1_000), days, most_users)
    kinds = ["user_id", *links]
    names = np.concatenate([np.asarray(pd.factorize(ordered[kind])[1], object) for kind in kinds])
    kind = np.searchsorted(np.cumsum(ties.sizes), parts.node, "right")
    counts = ["users", *(f"{name.removesuffix('_id')}s" for name in links)]
    table = pd.DataFrame({"kind": np.asarray(kinds, object)[kind], "id": names[parts.node]})
    for number, name in enumerate(counts):
        table[f"ring_{name}"] = parts.members[parts.label, number].astype(np.float32)
    table["ring_payments"] = parts.payments[parts.label].astype(np.float32)
    return table.sort_values(["kind", "id"], ignore_index=True)


def people_blocks(payments: pd.DataFrame, links: Sequence[str], rows: int) -> np.ndarray:
    """A block for each payment, from 0 on, of about `rows` payments, such that no two blocks share a link or a person.

    A component of more payments than that is a block of its own. Features of a block are those of all payments, so
    memory can be bounded however many there are.
    """
    user = coded(payments["user_id"])
    sizes, ones, others = [int(user.max(initial=-1)) + 1], [], []
    for name in links:
        code = coded(payments[name])
        there = (code >= 0) & (user >= 0)
        ones.append(user[there])
        others.append(code[there] + sum(sizes))
        sizes.append(int(code.max(initial=-1)) + 1)
    one, other = (np.concatenate(part) if part else np.empty(0, np.int64) for part in (ones, others))
    graph = sparse.coo_matrix((np.ones(len(one), np.int8), (one, other)), shape=(sum(sizes),) * 2)
    label = csgraph.connected_components(graph, directed=False)[1][user]
    count = np.bincount(label)
    block = np.cumsum(count) // max(rows, 1)
    return np.unique(block[label], return_inverse=True)[1]


def _ties(payments: pd.DataFrame, links: Sequence[str]) -> Ties:
    user = coded(payments["user_id"])
    sizes, nodes = [int(user.max(initial=-1)) + 1], []
    for name in links:
        code = coded(payments[name])
        nodes.append(np.where(code >= 0, code + sum(sizes), -1))
        sizes.append(int(code.max(initial=-1)) + 1)
    time = microseconds(payments["event_timestamp"])
    told = np.full(len(time), np.iinfo(np.int64).max)
    if {"is_fraud", "label_timestamp"} <= set(payments.columns):
        label = microseconds(payments["label_timestamp"])
        fraud = payments["is_fraud"].eq(True).to_numpy() & (label != NEVER)
        told = np.where(fraud, np.maximum(label, time + 1), told)
    return Ties(time, user, np.array(nodes, np.int64).reshape(len(links), len(time)), told, tuple(sizes))


def _trusted(ties: Ties, moment: int, days: int) -> np.ndarray:
    """Flags of the nodes, one more for none, that at least two people have shared for so long without a known fraud."""
    total = sum(ties.sizes)
    trusted = np.zeros(total + 1, bool)
    end = int(np.searchsorted(ties.time, moment, "left"))
    known = ties.told[:end] <= moment
    for node in ties.nodes[:, :end]:
        rows = np.flatnonzero((node >= 0) & (ties.user[:end] >= 0))
        first = rows[np.unique(node[rows] * total + ties.user[rows], return_index=True)[1]]
        first = first[np.lexsort((first, node[first]))]  # rows are in order of time
        second = first[1:][(node[first][1:] == node[first][:-1]) & ~_same(node[first])]
        trusted[node[second[ties.time[second] <= moment - days * DAY]]] = True
        trusted[node[rows[known[rows]]]] = False
    return trusted


def _same(ordered: np.ndarray) -> np.ndarray:
    """Of each place but the first of sorted numbers, whether the number stands two places before it, too."""
    return np.append(False, ordered[2:] == ordered[:-2])[: max(len(ordered) - 1, 0)]


def _components(ties: Ties, moment: int, days: int, most_users: int) -> Components:
    """Components of the payments within `days` before a moment (microseconds)."""
    start, end = np.searchsorted(ties.time, [moment - days * DAY, moment], "left")
    user, nodes = ties.user[start:end], ties.nodes[:, start:end]
    total = sum(ties.sizes)
    edges = np.concatenate([(user * total + node)[(node >= 0) & (user >= 0)] for node in nodes] or [user[:0]])
    edges = np.unique(edges)
    one, other = edges // max(total, 1), edges % max(total, 1)
    users_of = np.bincount(other, minlength=total)
    private = users_of[other] <= most_users
    one, other = one[private], other[private]
    node = np.unique(np.concatenate([user[user >= 0], other]))
    a, b = np.searchsorted(node, one), np.searchsorted(node, other)
    graph = sparse.coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(len(node), len(node)))
    count, label = csgraph.connected_components(graph, directed=False) if len(node) else (0, np.empty(0, np.int64))
    kind = np.searchsorted(np.cumsum(ties.sizes), node, "right")
    members = np.zeros((count, len(ties.sizes)), np.int64)
    np.add.at(members, (label, kind), 1)
    paying = np.searchsorted(node, user[user >= 0])
    known = ties.told[start:end][user >= 0] <= moment
    payments = np.bincount(label[paying], minlength=count)
    frauds = np.bincount(label[paying[known]], minlength=count)
    return Components(node, label, members, payments, frauds)
