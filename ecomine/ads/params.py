"""The settings of ad placement, each once, with unit and default."""

from dataclasses import dataclass

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
