"""The settings of profiling, each once, with unit and default."""

from dataclasses import dataclass, field

from ecomine.params import setting


@dataclass(frozen=True)
class ProfilingLimits:
    """What the gate allows of profiles."""

    widest_segment: float = setting(0.98, "greatest share of the customers in one segment", at_least=0, at_most=1)
    least_total: float = setting(
        0.5, "told value of everybody ÷ what they spent in the horizon before, at least", at_least=0
    )
    most_total: float = setting(2.0, "the same, at most", at_least=0)


@dataclass(frozen=True)
class ProfilingParams:
    """How customers are described, and who is worth a contact."""

    horizon_days: int = setting(
        42, "days over which value is told, and without a purchase in which somebody counts as lost", at_least=2
    )
    purchase_days: int = setting(14, "days within which a next purchase is told; at most the horizon", at_least=1)
    train_periods: int = setting(4, "label windows to learn from, before the test window", at_least=1, at_most=200)
    lifetime: str = setting("pareto_nbd", "model of buying and stopping: bg_nbd, pareto_nbd or mbg_cnbd_k")
    interval: float = setting(0.9, "probability that the interval of the value holds", at_least=0.5, at_most=0.999)
    segments: int = setting(0, "number of segments; 0 chooses by stability and silhouette", at_least=0, at_most=30)
    most_segments: int = setting(8, "greatest number of segments to choose", at_least=2, at_most=30)
    segmentation: str = setting("kmeans", "how segments are found: kmeans or gaussian")
    trees: int = setting(150, "trees of XGBoost, for each thing that is told", at_least=1, at_most=10_000)
    max_depth: int = setting(3, "depth of a tree", at_least=1, at_most=16)
    learning_rate: float = setting(0.05, "step of XGBoost", at_least=0.0001, at_most=1)
    vector_length: int = setting(8, "numbers in the vector by which customers are compared", at_least=1, at_most=64)
    margin: float = setting(0.3, "profit ÷ money spent", at_least=0, at_most=1)
    contact_effect: float = setting(
        0.05, "what a contact adds to the money spent in the horizon, as a share of it; measure it by an experiment",
        at_least=0, at_most=1,
    )  # fmt: skip
    contact_cost: float = setting(1.0, "money that a contact costs", at_least=0)
    contact_share: float = setting(
        0.2, "share of the customers that are contacted in the trial of the gate", at_least=0, at_most=1
    )
    limits: ProfilingLimits = field(default_factory=ProfilingLimits, metadata={"meaning": "what the gate allows"})
