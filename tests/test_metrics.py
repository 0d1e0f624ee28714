"""Metrics against values worked out by hand, and against a plain loop."""

import numpy as np
import pandas as pd
import pytest

from ecomine import metrics
from ecomine.errors import FeatureError


def lists(**of: str) -> pd.DataFrame:
    """A list a user, one letter an item, best first."""
    rows = [(user, item, rank) for user, items in of.items() for rank, item in enumerate(items, 1)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "rank"])


def truth(**of: str) -> pd.DataFrame:
    rows = [(user, item, 10.0) for user, items in of.items() for item in items]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "value"])


def test_by_hand() -> None:
    # Hits of a at ranks 1 and 3 of three relevant items; b has none; c has no list.
    result = metrics.ranking_by_unit(lists(a="pxq", b="xyz"), truth(a="pqr", b="p", c="x"), k=3).set_index("user_id")
    gain, ideal = 1 + 1 / np.log2(4), 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert result.loc["a"].to_dict() == pytest.approx(
        {"recall": 2 / 3, "precision": 2 / 3, "ndcg": gain / ideal, "mrr": 1.0, "hit": 1.0, "value": 20.0}
    )
    assert (result.loc[["b", "c"]] == 0).all(axis=None)


def test_the_textbook_ndcg() -> None:
    # Binary relevance 1 0 1 1 0: DCG = 1 + 1/2 + 1/log2(5), ideal of three = 1 + 1/log2(3) + 1/2.
    result = metrics.ranking_by_unit(lists(a="pxqry"), truth(a="pqr"), k=5)
    assert result["ndcg"][0] == pytest.approx(0.9060254, abs=1e-7)


def test_the_ideal_list_scores_one_even_when_more_is_relevant_than_fits() -> None:
    result = metrics.ranking_by_unit(lists(a="pq"), truth(a="pqrs"), k=2)
    assert result.loc[0, ["precision", "ndcg", "mrr"]].tolist() == [1.0, 1.0, 1.0]
    assert result["recall"][0] == 0.5


def test_like_a_plain_loop_on_random_lists() -> None:
    random = np.random.default_rng(3)
    letters = np.array(list("abcdefghijklmnop"))
    made = {f"u{n}": "".join(random.permutation(letters)[:8]) for n in range(30)}
    bought = {f"u{n}": "".join(random.permutation(letters)[: random.integers(1, 9)]) for n in range(30)}
    result = metrics.ranking_by_unit(lists(**made), truth(**bought), k=5).set_index("user_id")
    for user, relevant in bought.items():
        hits = [rank for rank, item in enumerate(made[user][:5], 1) if item in relevant]
        ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(5, len(relevant)) + 1))
        assert result.loc[user].to_dict() == pytest.approx(
            {
                "recall": len(hits) / len(relevant),
                "precision": len(hits) / 5,
                "ndcg": sum(1 / np.log2(rank + 1) for rank in hits) / ideal,
                "mrr": 1 / hits[0] if hits else 0,
                "hit": float(bool(hits)),
                "value": 10.0 * len(hits),
            }
        )
    curve = metrics.recall_curve(lists(**made), truth(**bought), 5)
    assert curve[-1] == pytest.approx(result["recall"].mean())
    assert (np.diff(curve) >= 0).all()


def test_coverage_is_the_share_of_the_catalogue_shown() -> None:
    assert metrics.ranking(lists(a="pq", b="pr"), truth(a="p"), at=(1, 2), catalogue=10)["coverage@2"] == 0.3


def test_a_missing_column_is_named() -> None:
    with pytest.raises(FeatureError, match="truth lacks value; it has user_id, item_id"):
        metrics.ranking_by_unit(lists(a="p"), truth(a="p").drop(columns="value"), k=1)


def test_calibration_holds_every_row_once() -> None:
    score = np.random.default_rng(1).random(1003)
    frame = metrics.calibration(score, (score > 0.5).astype(int), bins=10)
    assert frame["rows"].sum() == 1003 and frame["rows"].max() - frame["rows"].min() <= 1
    assert frame["score"].is_monotonic_increasing
    assert (frame["score"] * frame["rows"]).sum() == pytest.approx(score.sum())


def test_the_bootstrap_interval_is_that_of_the_normal_for_many_values() -> None:
    values = np.random.default_rng(5).normal(3.0, 2.0, 4000)
    low, high = metrics.mean_interval(values, 0.95, 2000, seed=1)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.15 * half)


def test_the_bootstrap_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(8)
    intervals = [metrics.mean_interval(random.exponential(1.0, 200), 0.9, 300, seed=n) for n in range(300)]
    assert np.mean([low <= 1.0 <= high for low, high in intervals]) == pytest.approx(0.9, abs=0.05)


def test_novelty_is_the_mean_surprise() -> None:
    popularity = pd.Series({"p": 0.5, "q": 0.25, "r": 0.0})
    assert metrics.novelty(lists(a="pq"), popularity, k=2) == pytest.approx(1.5)
    assert metrics.novelty(lists(a="pq"), popularity, k=1) == pytest.approx(1.0)
    assert metrics.novelty(lists(a="rz"), popularity, k=2) == pytest.approx(3.0)


def test_diversity_is_the_share_of_unlike_pairs() -> None:
    category = pd.Series({"p": "tea", "q": "tea", "r": "milk", "s": "bread"})
    assert metrics.diversity(lists(a="pqrs", b="pq", c="p"), category, k=4) == pytest.approx((5 / 6 + 0) / 2)
    assert metrics.diversity(lists(a="p"), category, k=4) == 0.0
