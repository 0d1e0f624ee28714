"""Decisions as the shop sees them: those of the deployed version, in which it minds what other domains decided.

A version never changes, so what it heeds of others is applied to a copy: when it is published, and again whenever one
of the others is. Others are read as their versions decided, not as they were published, so the order does not matter.

What a version decided is what it brought along, until it was scored on newer features: then that, see `scoring`.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from ecomine import layout
from ecomine.deployment import bundle, records, scores
from ecomine.domain import Domain
from ecomine.domains import DOMAINS
from ecomine.errors import DeploymentError
from ecomine.store import Store, write_frame


def heeded(store: Store, domain: Domain) -> dict[str, str]:
    """Digests of the deployed versions, by domain, that a domain minds; those that nobody has deployed are absent.

    Where a version was scored on newer features, what it decided then is named behind its digest.
    """
    deployed = {name: records.current(store, name) for name in domain.heeds}
    return {name: scores.newest(store, name, digest) for name, digest in deployed.items() if digest is not None}


def minded(store: Store, domain: Domain, digests: Mapping[str, str]) -> dict[str, Any]:
    """What matters to a domain in the decisions of these versions of others.

    A version that is gone or damaged is not minded: its own domain says so, and must not take this one with it.
    """
    matters = {}
    for name, digest in digests.items():
        try:
            matters[name] = domain.heeds[name].read(decided(store, name, digest))
        except (OSError, pa.ArrowException, DeploymentError):
            continue
    return matters


def apply(domain: Domain, decisions: pd.DataFrame, matters: Mapping[str, Any]) -> pd.DataFrame:
    """Own decisions, with heed of what `minded` told."""
    for name, what in matters.items():
        decisions = domain.heeds[name].apply(decisions, what)
    return decisions.reset_index(drop=True) if matters else decisions


def publish(store: Store, domain: Domain, digest: str) -> None:
    """The version's decisions become those of the shop, and those of the domains that mind them follow."""
    # Own decisions come last: where a run is killed between, what is left to do shows in them.
    for other in DOMAINS.values():
        theirs = records.current(store, other) if domain.name in other.heeds else None
        if theirs is not None and bundle.damage(store.path(f"{bundle.versions(other.name)}/{theirs}"), theirs) is None:
            _replace(store, other, theirs)
    _replace(store, domain, digest)


def current(store: Store, domain: Domain, digest: str) -> bool:
    """Whether the decisions of the shop are those of this whole version, with heed of what others have decided."""
    decisions = store.path(layout.DECISIONS.format(domain=domain.name))
    if not decisions.is_file():
        return False
    with tempfile.TemporaryDirectory() as folder:
        expected = Path(folder) / decisions.name
        _write(store, domain, digest, expected)
        return bundle.sha256(decisions) == bundle.sha256(expected)


def _replace(store: Store, domain: Domain, digest: str) -> None:
    with store.replacing(layout.DECISIONS.format(domain=domain.name)) as path:
        _write(store, domain, digest, path)


def _write(store: Store, domain: Domain, digest: str, path: Path) -> None:
    matters, newest = minded(store, domain, heeded(store, domain)), scores.newest(store, domain.name, digest)
    if matters:
        write_frame(path, apply(domain, decided(store, domain.name, newest), matters))
    else:
        shutil.copyfile(_file(store, domain.name, newest), path)


def decided(store: Store, name: str, digest: str) -> pd.DataFrame:
    """The decisions of a version, as it made them, or as it made them when it was scored, where that is named."""
    return pd.read_parquet(_file(store, name, digest))


def _file(store: Store, name: str, digest: str) -> Path:
    version, _, scored = digest.partition(scores.SCORED)
    if scored:
        return scores.file(store, name, scored)
    return store.path(f"{bundle.versions(name)}/{version}/{bundle.DECISIONS}")
