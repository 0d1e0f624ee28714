"""The settings of risk control, each once, with unit and default."""

from dataclasses import dataclass, field

from ecomine.params import setting
from ecomine.risk.boosting import Boosting
from ecomine.risk.decisions import Costs


@dataclass(frozen=True)
class CostParams:
    """What right and wrong decisions cost, money."""

    missed: float = setting(1.0, "share of the amount lost where a fraud is let through", at_least=0)
    fee: float = setting(15.0, "lost on top, once a charge-back", at_least=0)
    blocked: float = setting(0.3, "share of the amount lost where an honest customer is blocked", at_least=0)
    annoyance: float = setting(10.0, "lost on top, once an honest customer is blocked", at_least=0)
    review: float = setting(3.0, "an analyst's look", at_least=0)
    caught: float = setting(0.95, "share of the frauds that a look finds", at_least=0, at_most=1)

    @property
    def costs(self) -> Costs:
        return Costs(**vars(self))


@dataclass(frozen=True)
class RiskLimits:
    """What the gate allows of decisions on payments."""

    blocked: float = setting(0.05, "greatest share of payments that may be blocked", at_least=0, at_most=1)
    calibration: float = setting(
        2.0, "factor by which frauds expected may differ from frauds known, either way", at_least=1
    )
    harm: float = setting(
        2.0, "a group blocked so many times as often as all, and beyond chance, is harmed", at_least=1
    )
    chance: float = setting(3.0, "standard errors beyond which a share is no chance", at_least=0)


@dataclass(frozen=True)
class RiskParams:
    """What is watched, and how."""

    train_days: int = setting(180, "days of payments, or of orders, to learn from", at_least=7, at_most=3650)
    test_days: int = setting(28, "later days, kept to judge decisions by", at_least=1, at_most=365)
    maturity_days: int = setting(
        45, "days after which a payment that nobody complained about counts as honest", at_least=0, at_most=365
    )
    recent_days: int = setting(7, "last days whose payments without a verdict are decided on", at_least=1, at_most=90)
    capacity: int = setting(20, "payments that analysts can look at in a day", at_least=0, at_most=1_000_000)
    rules: dict[str, str] = setting({}, "name → rule, such as `amount > 500 and device_age_days < 1`")
    rounds: int = setting(150, "trees", at_least=1, at_most=10_000)
    max_depth: int = setting(4, "depth of a tree", at_least=1, at_most=16)
    learning_rate: float = setting(0.05, "step of XGBoost", at_least=0.0001, at_most=1)
    min_child_weight: float = setting(0.5, "least weight of a leaf; little, for frauds are few", at_least=0)
    isolation_trees: int = setting(100, "trees of the isolation forest, without labels", at_least=1, at_most=10_000)
    anomaly_share: float = setting(
        0.001, "share of orders believed to be anomalies, without labels", at_least=0, at_most=1
    )
    injected_share: float = setting(
        0.01, "share of the test orders that known anomalies are injected into, to judge by", at_least=0, at_most=1
    )
    costs: CostParams = field(default_factory=CostParams, metadata={"meaning": "what decisions cost"})
    limits: RiskLimits = field(default_factory=RiskLimits, metadata={"meaning": "what the gate allows"})

    @property
    def boosting(self) -> Boosting:
        """One model, not several: an answer to a payment that is happening must be quick."""
        return Boosting(
            depth=self.max_depth, rounds=self.rounds, learning_rate=self.learning_rate, seeds=1,
            min_child_weight=self.min_child_weight,
        )  # fmt: skip
