"""Labelled rows: weekly sales by item and place, each with the moment at which everything must have been known.

Which features a row gets beyond prices and promotions is the business of the feature service `pricing`.
"""

import math

import numpy as np

from ecomine import splits
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs, Rows
from ecomine.errors import NotEnoughDataError
from ecomine.pricing.params import PricingParams
from ecomine.pricing.sales import WEEK, end_of_weeks, places, weekly

SERVICE = "pricing"
COST, ASKED = "unit_cost", "asked"


def label(inputs: Inputs) -> Rows:
    """Rows item_id, location_id, period, event_timestamp, price, asked, promotions, …, and label: the units sold.

    A row's moment is the one at which prices of its stretch of `test_weeks` were set. The truth tells of each row of
    the test weeks units, price, unit_cost (0 where it is not known) and `costed`, 1 where it is. Raises
    NotEnoughDataError where no item has a history.
    """
    params: PricingParams = inputs.params
    rows = weekly(inputs, places(inputs)).rename(columns={"units": LABEL})
    stretches = math.ceil(params.train_weeks / params.test_weeks)
    split = splits.cutoffs(end_of_weeks(inputs.as_of), params.test_weeks * WEEK.days, stretches)
    moments = np.array([*split.train, split.test], "datetime64[us]")
    stretch = (-rows["period"].to_numpy() // params.test_weeks).astype(np.int64)
    rows[EVENT_TIMESTAMP] = moments[-1 - stretch]
    test = stretch == 0
    train_rows, test_rows = rows[~test].reset_index(drop=True), rows[test].reset_index(drop=True)
    if train_rows.empty or test_rows[LABEL].sum() <= 0:
        raise NotEnoughDataError(
            f"{len(train_rows):,} weeks of items to learn from and {test_rows[LABEL].sum():,.0f} units sold in the "
            f"last {params.test_weeks} weeks; some of both are needed. Bring a longer history."
        )
    cost = test_rows[COST]
    keys = ["item_id", "location_id", "period", "price", LABEL]
    truth = test_rows[keys].assign(**{COST: cost.fillna(0.0), "costed": cost.notna().astype(float)})
    return Rows(train_rows.drop(columns=COST), test_rows.drop(columns=COST), truth)
