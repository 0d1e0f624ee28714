"""Amazon Beauty: retrievers alone and two stages, against published sequence models on the same file.

Protocol: 22,363 users with their items in order; the last item is the test, everything before it is known; all 12,101
items are ranked, without those a user has; HR@10 and NDCG@10 averaged over the users. The reference is .110 / .070, to
be exceeded; published on this file: S3-Rec .0647 / .0327, SASRec .0605 / .0318. Retrievers and settings were chosen on
the item before the last.
"""

from benchmarks.recommend_data import beauty
from benchmarks.recommend_run import Benchmark, main
from ecomine.recommendation.retrievers import ALS, SVD, CoView, ItemKNN, Popularity, UserKNN

BENCHMARK = Benchmark(
    name="recommend_beauty",
    protocol="Amazon Beauty, last item out, all items ranked",
    load=beauty,
    k=10,
    measures=("HR@10", "NDCG@10"),
    references={"HR@10": 0.110, "NDCG@10": 0.070},
    retrievers={
        "popularity": Popularity(1e6),
        "item-kNN": ItemKNN(target=0.3, half_life=3.0),
        "item-kNN of the last": ItemKNN(target=0.3, last=1),
        "co-view": CoView(window=30, half_life=3.0, decay=0.5),
        "what follows": CoView(half_life=2.0, direction="after"),
        "what follows the last": CoView(last=1, direction="after", window=3),
        "user-kNN": UserKNN(half_life=5.0),
        "SVD": SVD(factors=256, popularity_power=0.4, half_life=4.0),
        "ALS": ALS(half_life=4.0),
    },
    settings={"candidates": 40},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
