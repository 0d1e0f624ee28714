"""The settings of pricing, each once, with unit and default."""

from dataclasses import dataclass, field

from ecomine.params import setting


@dataclass(frozen=True)
class DemandParams:
    """How demand is learnt from prices and sales."""

    likelihood: str = setting(
        "auto", "how units scatter: log (errors in logs), counts (Poisson), or auto, which takes log for large units"
    )
    method: str = setting(
        "regression", "whose elasticities are told: regression (sharper) or double_ml (trusts no form of season)"
    )
    periods_per_year: float = setting(52.0, "periods in a year, where periods are numbered", at_least=1)
    folds: int = setting(5, "stretches of time for cross-fitting", at_least=2, at_most=50)
    confidence: float = setting(0.95, "level of the intervals", at_least=0.5, at_most=0.999)
    min_price_levels: int = setting(3, "prices an item must have had before its own data are heard", at_least=2)
    min_information: float = setting(
        0.5,
        "share of an item's estimate that must come from its own data, or its category's is told",
        at_least=0,
        at_most=1,
    )
    rounds: int = setting(400, "most trees of the demand forecast; fewer where validation says so", at_least=1)
    nuisance_rounds: int = setting(120, "trees that foretell price and units from the confounders", at_least=1)
    learning_rate: float = setting(0.06, "step of XGBoost", at_least=0.0001, at_most=1)
    max_depth: int = setting(6, "depth of a tree", at_least=1, at_most=16)
    horizon: int = setting(12, "periods ahead that the forecast is trained for", at_least=1, at_most=1000)


@dataclass(frozen=True)
class PriceRules:
    """What a suggested price must satisfy; null switches a rule off.

    A column of the items overrides a setting item by item: lowest_price, highest_price.
    """

    lowest: float | None = setting(0.5, "least price, as a factor of the present one", at_least=0)
    highest: float | None = setting(1.6, "greatest price, as a factor of the present one", at_least=0)
    greatest_change: float | None = setting(0.2, "greatest change a period, share of the present price", at_least=0)
    margin_floor: float | None = setting(0.05, "least margin, as a share of the price", at_least=-10, at_most=0.99)
    endings: list[float] | None = setting(
        None, "what a new price ends in, such as [0.49, 0.99]; null: anything", at_least=0, at_most=0.99
    )
    family_order: bool = setting(True, "a larger pack of a family is not dearer per unit than a smaller one")
    rival_low: float | None = setting(None, "least price, as a factor of the rival's", at_least=0)
    rival_high: float | None = setting(None, "greatest price, as a factor of the rival's", at_least=0)
    clear_stock: bool = setting(True, "items with `clear_periods` must be expected to sell their stock by then")
    changes: int | None = setting(None, "most items whose price changes in a period", at_least=0)


@dataclass(frozen=True)
class OptimiserParams:
    """What the best price is."""

    margin_weight: float = setting(1.0, "1 for greatest margin, 0 for greatest revenue, between for a mix", at_least=0)
    steps: int = setting(48, "prices compared for an item", at_least=2, at_most=10_000)
    rules: PriceRules = field(default_factory=PriceRules, metadata={"meaning": "what a price must satisfy"})


@dataclass(frozen=True)
class PersonalParams:
    """Personal offers: discounts alone, by how much a person heeds prices."""

    enabled: bool = setting(False, "whether personal offers may be made at all")
    discounts: list[float] = setting([0.05, 0.1, 0.15, 0.2], "discounts on offer, shares", at_least=0, at_most=0.9)
    least_gain: float = setting(0.0, "least expected gain of an offer, money", at_least=0)


@dataclass(frozen=True)
class PricingLimits:
    """What the gate allows of prices."""

    rise: float = setting(0.0001, "share by which a forecast may rise with the price, by rounding", at_least=0)


@dataclass(frozen=True)
class PricingParams:
    """What is priced, and how."""

    train_weeks: int = setting(52, "weeks to learn from, before the test weeks", at_least=8, at_most=520)
    test_weeks: int = setting(8, "last weeks, kept to judge prices by; also how long a price stands", at_least=2)
    min_units: float = setting(5.0, "units a week that an item must sell at some place to be priced", at_least=0.01)
    min_weeks: int = setting(8, "weeks with a sale that it must have had", at_least=2)
    most_items: int = setting(1500, "items priced, those that bring most money", at_least=1)
    most_locations: int = setting(20, "with more locations than these, sales of all are added up", at_least=0)
    category_levels: int = setting(
        2, "levels of a category, from the broadest on, that share what they know", at_least=1
    )
    caution: float = setting(
        1.0, "share of an elasticity's interval over which a new price must pay: 1 all of it, 0 the best guess alone",
        at_least=0, at_most=1,
    )  # fmt: skip
    margin: float | None = setting(
        None, "profit ÷ price of items whose cost is not known; null: their revenue is what counts",
        at_least=0, at_most=1,
    )  # fmt: skip
    policy: str = setting("regression", "how prices are found: regression, forecast or competitor")
    undercut: float = setting(0.0, "how far below the rival the competitor policy goes, share", at_least=-1, at_most=1)
    demand: DemandParams = field(default_factory=DemandParams, metadata={"meaning": "how demand is learnt"})
    optimiser: OptimiserParams = field(default_factory=OptimiserParams, metadata={"meaning": "what the best price is"})
    personal: PersonalParams = field(default_factory=PersonalParams, metadata={"meaning": "personal offers"})
    limits: PricingLimits = field(default_factory=PricingLimits, metadata={"meaning": "what the gate allows"})
