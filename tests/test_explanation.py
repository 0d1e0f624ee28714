"""Contributions in words, against models whose truth is plain."""

import numpy as np
import pandas as pd

from ecomine import explanation
from ecomine.domains import DOMAINS
from ecomine.stages import Context


def test_a_driver_is_told_with_its_strength_share_and_direction() -> None:
    random = np.random.default_rng(1)
    design = pd.DataFrame(random.normal(size=(200, 3)), columns=["spend_90d", "age_days", "noise"])
    parts = pd.DataFrame({"spend_90d": 3 * design["spend_90d"], "age_days": -design["age_days"], "noise": 0.0})
    found = explanation.drivers("value", parts, design)
    assert found["driver"].tolist() == ["spend of the last 90 days", "age (days)"]
    assert found["direction"].tolist() == ["raises", "lowers"]
    np.testing.assert_allclose(found["strength"], parts.abs().mean()[:2], atol=1e-9)
    np.testing.assert_allclose(found["share"].sum(), 1)


def test_reasons_name_what_moves_a_row_most() -> None:
    design = pd.DataFrame({"orders": [5.0, np.nan], "age_days": [1.0, 2.0]})
    parts = pd.DataFrame({"orders": [0.2, -0.9], "age_days": [-0.5, 0.1]})
    said = explanation.because(parts, design, most=1)
    assert said.tolist() == ["age (days) 1 lowers it", "orders unknown lowers it"]


def test_contributions_of_the_ranker_add_up_to_its_score(walked: object) -> None:
    context = Context.of(walked)  # type: ignore[arg-type]
    model = DOMAINS["recommendation"].load(context.store.path("models/recommendation"))
    rows = context.store.read_frame("data/frames/recommendation/test.parquet").head(300)
    design = model.design(rows)
    for ranker in (model.ranker, model.plain):
        total = ranker.contributions(design).sum(axis=1)
        score = ranker.score(design)
        if ranker is model.plain:
            score = np.log(score / (1 - score)) - ranker.intercept
        # What is left is the same for every row: the score of nobody in particular.
        left = score - total
        np.testing.assert_allclose(left, left.mean(), atol=1e-4)
