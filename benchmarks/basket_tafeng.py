"""Ta-Feng groceries: the next basket by retrievers alone and by two stages.

Protocol: 13,858 users with their baskets in order (history.json); the basket in future.json is the test; all items are
ranked, bought before or not; Recall@10 and NDCG@10 averaged over the users, PHR@10 (here HR@10) beside. The reference
is .150 / .138, to be exceeded; measured again on these files: personal and global top .1195 / .1069, a blend after
TIFU-kNN .1443 / .1255. Retrievers and settings were chosen on the last basket of the history.
"""

from benchmarks.recommend_data import tafeng
from benchmarks.recommend_run import Benchmark, main
from ecomine.recommendation.retrievers import (
    ALS,
    SVD,
    AssociationRules,
    CoView,
    ItemKNN,
    PersonalRepeat,
    PersonalRhythm,
    Popularity,
    UserKNN,
)

BENCHMARK = Benchmark(
    name="basket_tafeng",
    protocol="Ta-Feng, next basket, all items ranked",
    load=tafeng,
    k=10,
    measures=("Recall@10", "NDCG@10", "HR@10"),
    references={"Recall@10": 0.150, "NDCG@10": 0.138},
    retrievers={
        "popularity": Popularity(1e6),
        "personal": PersonalRepeat(8.0),
        "personal rhythm": PersonalRhythm(),
        "association rules": AssociationRules(half_life=3.0),
        "item-kNN": ItemKNN(half_life=3.0, target=0.4, neighbours=100),
        "co-view": CoView(half_life=3.0, neighbours=100),
        "user-kNN": UserKNN(half_life=5.0),
        "user-kNN and habit": UserKNN(half_life=20.0, own=0.2, neighbours=900),
        "SVD": SVD(half_life=5.0, popularity_power=0.3),
        "ALS": ALS(half_life=5.0),
    },
    settings={"candidates": 40, "repeat": True},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
