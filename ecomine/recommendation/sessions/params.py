"""The settings of session recommendation, each once, with unit and default."""

from dataclasses import dataclass

from ecomine.params import setting


@dataclass(frozen=True)
class SessionParams:
    """How the next item of a running session is found and ranked.

    Half-lives are shares of all sessions: with 0.3 a session counts half once 30 % of all sessions came after it.
    """

    shortest_prefix: int = setting(1, "events of a session before the first answer is asked for", at_least=1)
    ranker_share: float = setting(
        0.08, "share of the sessions, the newest, that the ranker learns from", at_least=0.001, at_most=0.9
    )
    ranker_prefixes: int = setting(60_000, "most prefixes the ranker learns from, evenly spaced", at_least=1)
    negatives: int = setting(40, "candidates that were not taken next, a prefix, which the ranker sees", at_least=1)
    walk_candidates: int = setting(120, "candidates a prefix from walks over the graph of items", at_least=1)
    neighbours_candidates: int = setting(80, "candidates a prefix from similar sessions", at_least=0)
    rules_candidates: int = setting(40, "candidates a prefix from what came next elsewhere", at_least=0)
    coview_candidates: int = setting(40, "candidates a prefix from what is seen in the same sessions", at_least=0)
    repeat_candidates: int = setting(40, "items of the session itself, the latest", at_least=0)
    popularity_candidates: int = setting(20, "candidates from what is looked at most now", at_least=1)
    recent_events: int = setting(20, "events of a prefix that are followed up, the latest", at_least=1, at_most=1000)
    half_life: float = setting(0.3, "share of sessions after which a session counts half", at_least=0.001)
    popularity_half_life: float = setting(0.02, "the same for popularity", at_least=0.001)
    neighbours: int = setting(300, "similar sessions that are read for a prefix", at_least=1)
    sessions_an_item: int = setting(1000, "sessions of an item that are compared, the newest", at_least=1)
    vector_size: int = setting(128, "numbers in the vector of an item", at_least=1, at_most=4096)
    trees: int = setting(300, "trees of the ranker", at_least=1, at_most=10_000)
    learning_rate: float = setting(0.06, "step of the ranker", at_least=0.0001, at_most=1)
    max_depth: int = setting(6, "depth of a tree", at_least=1, at_most=16)
    min_child_weight: float = setting(3.0, "least weight (curvature of the loss) in a leaf", at_least=0)
    l2: float = setting(10.0, "pull of the values of leaves towards 0", at_least=0)
    subsample: float = setting(0.8, "share of rows a tree sees", at_least=0.01, at_most=1)
    colsample: float = setting(0.3, "share of columns a tree sees", at_least=0.01, at_most=1)
