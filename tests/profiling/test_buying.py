import numpy as np
import pytest
from scipy import special

from ecomine.errors import NotEnoughDataError
from ecomine.profiling.buying import BetaGeometric, BuyingModel, Pareto, fit

MODELS = [BetaGeometric(), BetaGeometric(1, True), BetaGeometric(3, True), Pareto()]
CDNOW = np.array([0.243, 4.414, 0.793, 2.426])


def customers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    age = random.uniform(5, 50, 60)
    x = random.integers(0, 9, 60).astype(float)
    return x, np.where(x > 0, age * random.uniform(0.05, 1, 60), 0.0), age


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_gradients_are_those_of_the_likelihood(model: BuyingModel) -> None:
    x, t_x, age = customers()
    theta = np.array([0.7, 6.0, 0.9, 2.5])
    _, gradient = model.log_likelihood(theta, x, t_x, age)
    for place in range(4):
        step = np.zeros(4)
        step[place] = 1e-6
        up, down = (model.log_likelihood(theta + sign * step, x, t_x, age)[0] for sign in (1, -1))
        np.testing.assert_allclose(gradient[:, place], (up - down) / 2e-6, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_purchases_to_come_are_a_distribution(model: BuyingModel) -> None:
    x, t_x, age = customers()
    theta = np.array([0.7, 6.0, 0.9, 2.5])
    tail = model.tail(theta, x, t_x, age, 20.0, np.arange(1, 400, dtype=float))
    assert ((tail >= 0) & (tail <= model.alive(theta, x, t_x, age)[:, None] + 1e-12)).all()
    assert (np.diff(tail, axis=1) <= 1e-12).all()
    assert (tail[:, -1] < 1e-6).all()


def test_the_textbook_customer_of_bg_nbd() -> None:
    """Fader, Hardie and Lee (2005): x = 2, t_x = 30.43 and T = 38.86 weeks give 1.226 purchases in 39 weeks."""
    one = [np.array([number]) for number in (2.0, 30.43, 38.86)]
    tail = BetaGeometric().tail(CDNOW, *one, 39.0, np.arange(1, 200, dtype=float))
    assert tail.sum() == pytest.approx(1.226, abs=5e-4)


def test_expected_purchases_equal_the_closed_form_of_bg_nbd() -> None:
    x, t_x, age = customers()
    r, alpha, a, b = CDNOW
    horizon = 39.0
    hyper = special.hyp2f1(r + x, b + x, a + b + x - 1, horizon / (alpha + age + horizon))
    shrunk = 1 - ((alpha + age) / (alpha + age + horizon)) ** (r + x) * hyper
    dead = a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + t_x)) ** (r + x)
    expected = (a + b + x - 1) / (a - 1) * shrunk / (1 + np.where(x > 0, dead, 0.0))
    tail = BetaGeometric().tail(CDNOW, x, t_x, age, horizon, np.arange(1, 300, dtype=float))
    np.testing.assert_allclose(tail.sum(axis=1), expected, rtol=1e-6)


def test_expected_purchases_equal_the_closed_form_of_pareto_nbd() -> None:
    x, t_x, age = customers()
    theta = r, alpha, s, beta = np.array([0.553, 10.578, 0.606, 11.669])
    model, horizon = Pareto(), 39.0
    lasting = 1 - ((beta + age) / (beta + age + horizon)) ** (s - 1)
    expected = model.alive(theta, x, t_x, age) * (r + x) * (beta + age) / ((alpha + age) * (s - 1)) * lasting
    tail = model.tail(theta, x, t_x, age, horizon, np.arange(1, 300, dtype=float))
    np.testing.assert_allclose(tail.sum(axis=1), expected, rtol=1e-6)


def test_alive_of_pareto_nbd_equals_the_closed_form() -> None:
    """Fader and Hardie (2005), equations 11 to 14, for alpha >= beta."""
    theta = r, alpha, s, beta = np.array([0.553, 11.9, 0.606, 10.6])
    x, t_x, age = customers()

    def part(time: np.ndarray) -> np.ndarray:
        shape = r + s + x
        return special.hyp2f1(shape, s + 1, shape + 1, (alpha - beta) / (alpha + time)) / (alpha + time) ** shape

    ratio = s / (r + s + x) * (alpha + age) ** (r + x) * (beta + age) ** s * (part(t_x) - part(age))
    np.testing.assert_allclose(Pareto().alive(theta, x, t_x, age), 1 / (1 + ratio), rtol=1e-8)


def test_nobody_who_bought_twice_is_an_error() -> None:
    nobody = np.zeros(3)
    with pytest.raises(NotEnoughDataError, match="none of whom bought twice"):
        fit(BetaGeometric(), nobody, nobody, nobody + 10, nobody + 1)
