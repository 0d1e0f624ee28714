"""Trees walked by NumPy, and what each feature adds, against XGBoost's own."""

import numpy as np
import pytest

from ecomine.risk.boosting import Boosting, RareEvents
from ecomine.risk.shares import Shares
from ecomine.risk.trees import Trees

WIDTH = 8


@pytest.fixture(scope="module", params=[2, 5])
def model(request: pytest.FixtureRequest) -> RareEvents:
    import pandas as pd

    random = np.random.default_rng(3)
    values = random.normal(size=(3000, WIDTH)).round(1)
    values[random.random(values.shape) < 0.1] = np.nan
    event = np.nan_to_num(values[:, 0] * values[:, 1] + values[:, 2]) + random.normal(size=3000) > 2.0
    settings = Boosting(depth=request.param, rounds=30, seeds=2, learning_rate=0.2, min_child_weight=1.0)
    return RareEvents(settings, threads=1).fit(pd.DataFrame(values, columns=list("abcdefgh")), event.astype(float))


def rows(count: int) -> np.ndarray:
    random = np.random.default_rng(4)
    values = random.normal(size=(count, WIDTH)).round(1).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    return values


def test_one_row_is_told_to_the_bit_as_many_are(model: RareEvents) -> None:
    values = rows(400)
    many = model.predict_values(values)
    assert [model.predict_values(values[place : place + 1])[0] for place in range(400)] == many.tolist()
    parts = model.contributed(values)
    alone = np.concatenate([model.contributed(values[place : place + 1]) for place in range(100)])
    np.testing.assert_array_equal(alone, parts[:100])


def test_shares_are_xgboosts(model: RareEvents) -> None:
    import xgboost

    values = rows(300)
    data = xgboost.DMatrix(values, nthread=1)
    expected = np.mean([booster.predict(data, pred_contribs=True)[:, :-1] for booster in model.boosters], axis=0)
    np.testing.assert_allclose(model.contributed(values), expected, atol=2e-5)


def test_shares_of_a_row_add_up_to_how_far_it_is_from_the_mean(model: RareEvents) -> None:
    """What all features add is the margin less one number, the same for every row (efficiency)."""
    values = rows(50)
    for trees in model._trees:
        margins = np.array([trees.margin(row) for row in values], float)
        rest = margins - Shares.of(trees, WIDTH).contributed(values).sum(axis=1)
        np.testing.assert_allclose(rest, rest[0], atol=1e-5)


def test_margins_begin_where_xgboosts_do() -> None:
    import xgboost

    data = xgboost.DMatrix(np.array([[0.0], [1.0]], np.float32), np.array([0.0, 1.0]))
    options = {"objective": "binary:logistic", "max_depth": 1, "min_child_weight": 0, "nthread": 1}
    for share in np.geomspace(0.0005, 0.6, 40):  # NumPy's logarithm is another number in one case of five
        booster = xgboost.train({**options, "base_score": float(share)}, data, 3)
        row = np.array([[1.0]], np.float32)
        assert Trees.of(booster).margin(row[0]) == booster.inplace_predict(row, predict_type="margin")[0]
