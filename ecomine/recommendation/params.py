"""The settings of recommendation, each once, with unit and default."""

from dataclasses import dataclass, field

from ecomine.params import setting


@dataclass(frozen=True)
class RecommendationLimits:
    """What the gate allows of lists."""

    different_items: float = setting(2.0, "different items over all lists ÷ their length, at least", at_least=0)


@dataclass(frozen=True)
class RecommendationParams:
    """How products are found and ranked for each customer."""

    horizon_days: int = setting(
        14, "days after a moment in which a purchase counts as a success", at_least=1, at_most=1000
    )
    train_periods: int = setting(4, "label windows to learn from, before the test window", at_least=1, at_most=200)
    list_length: int = setting(20, "products on a customer's list", at_least=1, at_most=1000)
    model: str = setting("xgboost", "what ranks the candidates: xgboost or linear")
    blocked: list[str] = setting([], "items, by id, and categories, by path, that are never shown")
    repeatable_rate: float = setting(
        0.05, "share of buyers who bought again from which on a product is shown to its buyers", at_least=0, at_most=1
    )
    margin_weight: float = setting(0.0, "0 ranks by probability, 1 by expected margin", at_least=0, at_most=2)
    diversity: float = setting(
        0.0, "what each further product of a category loses, in log odds times the log of its number", at_least=0
    )
    exploration_share: float = setting(0.05, "share of places that explore", at_least=0, at_most=0.5)
    exploration_pool: int = setting(40, "next best products of which explored ones are drawn", at_least=1)
    retrievers: list[str] = setting(
        ["personal", "copurchase", "popularity", "new_items", "clicks"],
        "sources of candidates; the first three stay; also rhythm, rules, coview, item_knn, user_knn, svd, als, ease",
    )
    new_items_candidates: int = setting(10, "candidates a customer from what has just come on sale", at_least=0)
    clicks_candidates: int = setting(30, "candidates a customer from what they opened when it was shown", at_least=0)
    clicks_half_life_days: float = setting(30.0, "days after which a click counts half", at_least=0.1)
    new_days: float = setting(30.0, "days after its launch in which a product is new", at_least=1)
    personal_candidates: int = setting(120, "candidates a customer from what they bought before", at_least=1)
    copurchase_candidates: int = setting(50, "candidates a customer from what goes with it", at_least=0)
    popularity_candidates: int = setting(50, "candidates from what sells best, for everybody", at_least=1)
    other_candidates: int = setting(50, "candidates a customer from each other retriever", at_least=0)
    personal_half_life_days: float = setting(90.0, "days after which a purchase counts half as a habit", at_least=0.1)
    copurchase_half_life_days: float = setting(90.0, "days after which a basket counts half as evidence", at_least=0.1)
    popularity_half_life_days: float = setting(14.0, "days after which a sale counts half as popularity", at_least=0.1)
    neighbours: int = setting(30, "products kept as going with a product", at_least=1)
    recent_items: int = setting(40, "products of a customer whose neighbours are looked up", at_least=1)
    basket_limit: int = setting(100, "larger orders tell nothing about what goes together and are left out", at_least=2)
    min_support: int = setting(10, "orders a product must be in before neighbours are told for it", at_least=1)
    negatives_kept: float = setting(
        0.2, "share of the candidates that were not bought which training sees", at_least=0.001, at_most=1
    )
    max_rounds: int = setting(200, "most trees of XGBoost; fewer where validation says so", at_least=1, at_most=10_000)
    patience: int = setting(20, "rounds without a better validation after which XGBoost stops", at_least=1)
    learning_rate: float = setting(0.1, "step of XGBoost", at_least=0.0001, at_most=1)
    max_depth: int = setting(4, "depth of a tree", at_least=1, at_most=16)
    min_child_weight: float = setting(1.0, "least weight of rows in a leaf", at_least=0)
    pairs: int = setting(
        4, "pairs of products compared for each product of a list, in each round", at_least=1, at_most=100
    )
    subsample: float = setting(0.8, "share of rows a tree sees", at_least=0.01, at_most=1)
    colsample: float = setting(0.6, "share of columns a tree sees", at_least=0.01, at_most=1)
    limits: RecommendationLimits = field(
        default_factory=RecommendationLimits, metadata={"meaning": "what the gate allows"}
    )
