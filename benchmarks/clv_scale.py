"""Lifetime at scale: BG/NBD fitted on a million customers, and their probabilities, purchases and value.

Protocol: customers drawn from BG/NBD itself with CDNOW's parameters, first orders spread over two years, times in whole
days. Told are the seconds of the fit (limit 60), of prediction with intervals, peak memory, and the parameters beside
those that the customers were drawn with.
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.profiling import LifetimeValue

TRUE = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
DAYS = 730


def main() -> None:
    """Draw, fit, predict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    customers = parser.parse_args().customers
    summary = draw(customers, seed=1)
    started = time.perf_counter()
    model = LifetimeValue("bg_nbd").fit(summary)
    fitted = time.perf_counter()
    model.expected(summary, 90)
    expected = time.perf_counter()
    model.value(summary, 90)
    valued = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    rows = [
        Row("fit, seconds (limit 60)", fitted - started, 60.0),
        Row("expected purchases in 90 days, seconds", expected - fitted),
        Row("value in 90 days with interval, seconds", valued - expected),
        Row("peak memory, GB (limit 8)", peak, 8.0),
        *(Row(name, model.parameters[name], value) for name, value in TRUE.items()),
    ]
    report("clv_scale", f"{customers:,} customers over {DAYS} days", rows)


def draw(customers: int, seed: int) -> pd.DataFrame:
    """Summaries of customers whose behaviour is BG/NBD with the parameters TRUE, in weeks; at most one order a day."""
    random = np.random.default_rng(seed)
    age = random.integers(1, DAYS, customers).astype(float)
    rate = random.gamma(TRUE["r"], 1 / (TRUE["alpha"] * 7), customers)
    stops = random.beta(TRUE["a"], TRUE["b"], customers)
    repeats, recency, log_gaps = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    moment = np.zeros(customers)
    alive = np.arange(customers)
    while len(alive):
        gap = random.exponential(1 / np.maximum(rate[alive], 1e-12))
        moment[alive] += gap
        alive = alive[moment[alive] <= age[alive]]
        repeats[alive] += 1
        log_gaps[alive] += np.log(np.maximum(np.floor(moment[alive]) - recency[alive], 1))
        recency[alive] = np.floor(moment[alive])
        alive = alive[random.random(len(alive)) >= stops[alive]]
    orders = repeats + 1
    spend = random.gamma(6.25 * orders, 1 / random.gamma(3.74, 1 / 15.44, customers)) / orders
    return pd.DataFrame(
        {
            "user_id": np.arange(customers),
            "repeats": repeats,
            "recency_days": recency,
            "age_days": age,
            "log_gaps": log_gaps,
            "paid_days": orders,
            "mean_spend": spend,
        }
    )


if __name__ == "__main__":
    main()
