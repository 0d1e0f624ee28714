"""From a candidate that passed its gate to the champion that answers, and back.

    deployments/<domain>/versions/<digest>/  model, its lineage, metrics, gate and decisions; never changes
    deployments/<domain>/current.json        the pointer to what answers now, swapped in one step
    deployments/<domain>/challenger.json     the pointer to what is tried beside it, as a shadow or a canary
    deployments/<domain>/history.jsonl       every change of the two; only ever appended to

A version is named by the SHA-256 digest of its manifest, which names the digest of every file. Nothing in a
version depends on a clock, a host, a path or a commit, so the same candidate always has the same name; who
deployed it, when and from which commit is in the history.
"""

from ecomine.deployment.bundle import Bundle, describe, load
from ecomine.deployment.challenge import challenge, promote_challenger, trial_report, withdraw
from ecomine.deployment.overview import status
from ecomine.deployment.publication import heeded, minded
from ecomine.deployment.records import current, history, pointer
from ecomine.deployment.release import online, promote, rollback
from ecomine.deployment.scoring import score

__all__ = [
    "Bundle",
    "challenge",
    "current",
    "describe",
    "heeded",
    "history",
    "load",
    "minded",
    "online",
    "pointer",
    "promote",
    "promote_challenger",
    "rollback",
    "score",
    "status",
    "trial_report",
    "withdraw",
]
