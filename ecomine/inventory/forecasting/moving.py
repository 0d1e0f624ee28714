"""A panel in the terms of the one that a model was fitted on, so that the model may forecast from another history."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ecomine.errors import FeatureError
from ecomine.inventory.forecasting.panel import ITEM, LOCATION, Panel


def aligned(panel: Panel, model: Panel, identities: bool) -> Panel:
    """`panel` with the codes of categories that `model` has, and with `identities` those of items and places too.

    What is new has the code -1. Inputs that the model does not know are left out. Raises FeatureError where one that it
    knows is missing.
    """
    missing = [name for name in model.inputs if name not in panel.inputs]
    if missing:
        raise FeatureError(
            f"The history lacks the input {', '.join(missing)}, which the forecaster was fitted on; it has "
            f"{', '.join(panel.inputs) or 'none'}."
        )
    names = pd.Index(model.category_names).get_indexer(pd.Index(panel.category_names))
    return replace(
        panel,
        item=_codes(panel, model, ITEM, model.item) if identities else panel.item,
        location=_codes(panel, model, LOCATION, model.location) if identities else panel.location,
        category=np.where(panel.category >= 0, names[panel.category], -1).astype(np.int64),
        category_names=model.category_names,
        inputs={name: panel.inputs[name] for name in model.inputs},
        flags=model.flags,
    )


def until(panel: Panel, periods: int) -> Panel:
    """The panel as it was after so many periods; series that had not begun are there without units."""
    return replace(
        panel,
        units=panel.units[:, :periods],
        censored=None if panel.censored is None else panel.censored[:, :periods],
        inputs={name: values[:, :periods] for name, values in panel.inputs.items()},
        begin=np.minimum(panel.begin, periods),
    )


def _codes(panel: Panel, model: Panel, level: str, codes: np.ndarray) -> np.ndarray:
    known = pd.Series(codes, index=model.keys.get_level_values(level))
    known = known[~known.index.duplicated()]
    return known.reindex(panel.keys.get_level_values(level)).fillna(-1).to_numpy(np.int64)
