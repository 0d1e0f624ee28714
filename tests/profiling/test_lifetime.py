from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.clv_scale import TRUE, draw
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.profiling import LifetimeValue, order_summary, spending


@pytest.fixture(scope="module")
def summary() -> pd.DataFrame:
    return draw(20_000, seed=2)


@pytest.fixture(scope="module")
def model(summary: pd.DataFrame) -> LifetimeValue:
    return LifetimeValue("bg_nbd").fit(summary)


def test_parameters_come_back_from_customers_drawn_with_them(model: LifetimeValue) -> None:
    for name in ("r", "alpha"):
        assert model.parameters[name] == pytest.approx(TRUE[name], rel=0.15)
    drawn, found = TRUE["a"] / (TRUE["a"] + TRUE["b"]), model.parameters
    assert found["a"] / (found["a"] + found["b"]) == pytest.approx(drawn, rel=0.1)
    assert found["q"] == pytest.approx(3.74, rel=0.1)


def test_regular_buyers_are_found_to_be_regular() -> None:
    random = np.random.default_rng(5)
    rows = []
    for rate, stop in zip(random.gamma(2, 1 / 40, 1500), random.beta(1, 8, 1500), strict=True):
        day, days = 0.0, [0]
        while True:
            day += random.gamma(3, 1 / (3 * rate))
            if day > 360 or random.random() < stop:
                break
            days.append(int(np.ceil(day)))
        days = sorted(set(days))
        gaps = np.diff(days)
        rows.append((len(days) - 1, days[-1], 360.0, np.log(gaps).sum(), len(days), 10.0 + random.random()))
    names = ["repeats", "recency_days", "age_days", "log_gaps", "paid_days", "mean_spend"]
    frame = pd.DataFrame(rows, columns=names).astype(float)
    fitted = LifetimeValue("mbg_cnbd_k").fit(frame)
    assert fitted.parameters["k"] in (2, 3, 4)
    # Somebody silent for three regular gaps is more probably gone than among buyers at random.
    late = pd.DataFrame([(10.0, 200.0, 260.0, 30.0, 11.0, 10.0)], columns=names)
    assert fitted.alive(late)[0] < LifetimeValue("bg_nbd").fit(frame).alive(late)[0]


def test_values_lie_within_their_interval_as_often_as_it_says(model: LifetimeValue) -> None:
    """Customers' future is drawn from the model's own posterior, so the interval must hold in nine of ten cases."""
    random = np.random.default_rng(7)
    count = 4_000
    x, age = 6.0, 200.0
    one = pd.DataFrame(
        {"repeats": [x], "recency_days": [195.0], "age_days": [age], "log_gaps": [1.0], "paid_days": [7.0],
         "mean_spend": [30.0]}
    )  # fmt: skip
    r, alpha, a, b = (model.parameters[name] for name in ("r", "alpha", "a", "b"))
    p, q, gamma = (model.parameters[name] for name in ("p", "q", "gamma"))
    rate = random.gamma(r + x, 1 / (alpha + age / 7), count)
    stop = random.beta(a, b + x, count)
    alive = random.random(count) < model.alive(one)[0]
    money = np.zeros(count)
    spend_rate = random.gamma(q + p * 7, 1 / (gamma + 7 * 30.0), count)
    for customer in np.flatnonzero(alive):
        time = random.exponential(1 / rate[customer])
        while time <= 90 / 7:
            money[customer] += random.gamma(p, 1 / spend_rate[customer])
            if random.random() < stop[customer]:
                break
            time += random.exponential(1 / rate[customer])
    told = model.value(one, 90, 0.9).iloc[0]
    assert told["value"] == pytest.approx(money.mean(), rel=0.08)
    assert 0.87 < ((money >= told["value_low"]) & (money <= told["value_high"])).mean() <= 0.97


def test_a_customer_alone_is_told_the_same(model: LifetimeValue, summary: pd.DataFrame) -> None:
    some = summary.head(500)
    whole = model.value(some, 60)
    for place in (0, 17, 499):
        alone = model.value(some.iloc[[place]], 60)
        np.testing.assert_allclose(alone.to_numpy(), whole.iloc[[place]].to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(model.expected(some, 60), whole["expected"])
    assert (whole["value_low"] <= whole["value_high"]).all()


@pytest.mark.parametrize("name", ["bg_nbd", "pareto_nbd", "mbg_cnbd_k"])
def test_a_loaded_model_tells_the_same(name: str, summary: pd.DataFrame, tmp_path: Path) -> None:
    some = summary.head(400)
    model = LifetimeValue(name).fit(some)
    model.save(tmp_path)
    loaded = LifetimeValue.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.value(some, 30), model.value(some, 30), check_exact=True)
    assert loaded.parameters == model.parameters


def test_the_textbook_customer_of_gamma_gamma() -> None:
    """Fader and Hardie (2013): p 6.25, q 3.74, gamma 15.44 and two orders of 22.35 on average are worth 24.65 each."""
    theta = np.array([6.25, 3.74, 15.44])
    told = spending.expected(theta, np.array([2.0, 0.0]), np.array([22.35, np.nan]))
    np.testing.assert_allclose(told, [24.65, 35.22], atol=0.02)


def test_the_gradient_of_gamma_gamma() -> None:
    random = np.random.default_rng(1)
    orders, mean, theta = random.integers(1, 9, 30).astype(float), random.uniform(1, 90, 30), np.array([6.0, 4.0, 15.0])
    _, gradient = spending.log_likelihood(theta, orders, mean)
    for place in range(3):
        step = np.eye(3)[place] * 1e-6
        up, down = (spending.log_likelihood(theta + sign * step, orders, mean)[0] for sign in (1, -1))
        np.testing.assert_allclose(gradient[:, place], (up - down) / 2e-6, rtol=1e-4, atol=1e-6)


def test_orders_come_down_to_a_row_a_customer() -> None:
    lines = pd.DataFrame(
        {
            "user_id": ["b", "b", "b", "b", "a"],
            "event_timestamp": pd.to_datetime(
                ["2024-01-01 09:00", "2024-01-01 18:00", "2024-01-11", "2024-02-20", "2024-01-31"], format="mixed"
            ),
            "quantity": [1.0, 2.0, 1.0, 1.0, 1.0],
            "unit_price": [10.0, 5.0, 30.0, 99.0, 0.0],
        }
    )
    told = order_summary(lines, datetime(2024, 1, 31))
    assert told["user_id"].tolist() == ["a", "b"]
    assert told.iloc[1].drop(["user_id", "log_gaps"]).tolist() == [1, 10, 30, 2, 25]
    assert told["log_gaps"].tolist() == pytest.approx([0, np.log(10)])
    assert told["paid_days"].tolist() == [0, 2] and np.isnan(told["mean_spend"][0])


def test_errors_say_what_came(summary: pd.DataFrame) -> None:
    with pytest.raises(SettingsError, match="bg_nbd, pareto_nbd, mbg_cnbd_k"):
        LifetimeValue("bgnbd")
    with pytest.raises(FeatureError, match="lacks repeats"):
        LifetimeValue().fit(summary.drop(columns="repeats"))
    with pytest.raises(FeatureError, match="lack unit_price"):
        order_summary(pd.DataFrame({"user_id": [], "event_timestamp": [], "quantity": []}))
    with pytest.raises(NotEnoughDataError, match="no order line up to"):
        order_summary(
            pd.DataFrame({"user_id": ["a"], "event_timestamp": [pd.Timestamp("2024-01-01")], "quantity": [1.0],
                          "unit_price": [1.0]}), datetime(2023, 1, 1),
        )  # fmt: skip
