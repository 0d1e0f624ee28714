"""Where candidates come from: habits, what goes together, what people alike choose, what is alike, what sells best.

Each stands alone, in the scikit-learn manner: `ItemKNN().fit(interactions).recommend(user_ids, k)` on a frame of
user_id and item_id (see `ecomine.recommendation.interactions`); what compares items also answers `similar(item_ids)`
and `goes_with(baskets)`. Together they are what a ranker chooses from.
"""

from collections.abc import Callable

from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.retrievers.base import Retriever, Scorer
from ecomine.recommendation.retrievers.clicks import Clicks
from ecomine.recommendation.retrievers.content import Content
from ecomine.recommendation.retrievers.copurchase import CoPurchase
from ecomine.recommendation.retrievers.coview import CoView
from ecomine.recommendation.retrievers.ease import EASE
from ecomine.recommendation.retrievers.factors import ALS, SVD
from ecomine.recommendation.retrievers.item_knn import ItemKNN
from ecomine.recommendation.retrievers.new_items import NewItems
from ecomine.recommendation.retrievers.personal import PersonalRepeat
from ecomine.recommendation.retrievers.popularity import Popularity
from ecomine.recommendation.retrievers.rhythm import PersonalRhythm
from ecomine.recommendation.retrievers.rules import AssociationRules
from ecomine.recommendation.retrievers.user_knn import UserKNN

__all__ = [
    "ALS",
    "EASE",
    "KINDS",
    "RETRIEVERS",
    "SVD",
    "AssociationRules",
    "Clicks",
    "CoPurchase",
    "CoView",
    "Content",
    "ItemKNN",
    "NewItems",
    "PersonalRepeat",
    "PersonalRhythm",
    "Popularity",
    "Retriever",
    "Scorer",
    "UserKNN",
]

KINDS: dict[str, type[Scorer]] = {
    "personal": PersonalRepeat,
    "rhythm": PersonalRhythm,
    "copurchase": CoPurchase,
    "coview": CoView,
    "rules": AssociationRules,
    "item_knn": ItemKNN,
    "user_knn": UserKNN,
    "ease": EASE,
    "svd": SVD,
    "als": ALS,
    "content": Content,
    "popularity": Popularity,
}
"""Every retriever, by name."""

RETRIEVERS: dict[str, Callable[[RecommendationParams, PersonalRepeat], Retriever]] = {
    "personal": lambda params, personal: personal,
    "copurchase": lambda params, personal: CoPurchase(
        personal,
        params.copurchase_half_life_days,
        params.neighbours,
        params.recent_items,
        params.basket_limit,
        params.min_support,
    ),
    "popularity": lambda params, personal: Popularity(params.popularity_half_life_days),
    "new_items": lambda params, personal: NewItems(personal, params.new_days),
    "clicks": lambda params, personal: Clicks(params.clicks_half_life_days),
    "rhythm": lambda params, personal: PersonalRhythm(),
    "rules": lambda params, personal: AssociationRules(half_life=5.0, min_count=params.min_support),
    "coview": lambda params, personal: CoView(half_life=5.0, half_life_days=params.copurchase_half_life_days),
    "item_knn": lambda params, personal: ItemKNN(half_life=10.0),
    "user_knn": lambda params, personal: UserKNN(half_life=10.0, own=0.5),
    "svd": lambda params, personal: SVD(half_life=10.0),
    "als": lambda params, personal: ALS(half_life=10.0),
    "ease": lambda params, personal: EASE(half_life=10.0, limit=5000),
}
"""The sources of a shop's candidates, made from the settings; the habits of each user are shared between them."""
