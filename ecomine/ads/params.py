"""The settings of ad placement, each once, with unit and default."""

from dataclasses import dataclass, field

from ecomine.params import setting


@dataclass(frozen=True)
class PlacementRules:
    """What a contact must satisfy; null switches a rule off."""

    per_day: int | None = setting(1, "most contacts of a person in a day, all campaigns", at_least=0)
    per_week: int | None = setting(3, "most contacts of a person in seven days, all campaigns", at_least=0)
    per_campaign: int | None = setting(5, "most contacts of a person by one campaign", at_least=0)
    least_profit: float = setting(0.0, "least expected incremental profit of a contact, money")
    lifetime_share: float = setting(
        0.0, "share of a person's lifetime value that a response brings forward or saves", at_least=0, at_most=1
    )
    least_days_of_stock: float = setting(7.0, "no ad for an item whose stock lasts less than so many days", at_least=0)
    pacing_slack: float = setting(
        0.05, "share of a day's budget that may be spent ahead of the day's traffic", at_least=0, at_most=1
    )


@dataclass(frozen=True)
class AdsLimits:
    """What the gate allows of contacts."""

    calibration_error: float = setting(
        0.05, "mean error of the chances of a response, beyond what chance explains, at most", at_least=0, at_most=1
    )
    least_group: int = setting(20, "contacts from which on a group that is contacted at a loss counts", at_least=1)


@dataclass(frozen=True)
class AdsParams:
    """Who is contacted by which campaign, and how it is learnt."""

    test_days: int = setting(90, "campaigns that began in the last so many days judge the others", at_least=7)
    method: str = setting("auto", "auto: uplift where contacts were drawn by chance; response: never uplift")
    model: str = setting("xgboost", "of a response: xgboost, or linear (hashed logistic regression)")
    rounds: int = setting(60, "trees of the response model", at_least=1)
    max_depth: int = setting(3, "depth of a tree", at_least=1, at_most=16)
    learning_rate: float = setting(0.1, "step of XGBoost", at_least=0.0001, at_most=1)
    margin: float = setting(0.3, "profit ÷ revenue of what ads sell, where no costs are known", at_least=0, at_most=1)
    contact_cost: float = setting(1.0, "money a contact costs, where the shop does not say", at_least=0)
    contact_share: float = setting(
        0.3, "share of the possible contacts of a campaign without a budget that are made", at_least=0, at_most=1
    )
    exploration_share: float = setting(
        0.05, "share of decisions drawn evenly among what is allowed, to learn from", at_least=0, at_most=1
    )
    fatigue: bool = setting(True, "learn from the log how much a contact takes from the next ones")
    rules: PlacementRules = field(default_factory=PlacementRules, metadata={"meaning": "what a contact must satisfy"})
    limits: AdsLimits = field(default_factory=AdsLimits, metadata={"meaning": "what the gate allows"})
