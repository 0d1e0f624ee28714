"""The panel in files: keys as Parquet, grids as npz."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.inventory.forecasting.panel import ITEM, KEYS, LOCATION, Panel
from ecomine.store import write_frame, write_json


def save(folder: Path, panel: Panel, units: np.ndarray) -> None:
    """Write the panel, and its units with stock-outs filled in where they differ."""
    series = {
        ITEM: panel.keys.get_level_values(ITEM), LOCATION: panel.keys.get_level_values(LOCATION), "item": panel.item,
        "location": panel.location, "category": panel.category, "begin": panel.begin,
    }  # fmt: skip
    write_frame(folder / "series.parquet", pd.DataFrame(series))
    write_json(
        folder / "panel.json",
        {
            "categories": panel.category_names.tolist(), "inputs": list(panel.inputs), "flags": list(panel.flags),
            "first": str(panel.first), "days": panel.days,
        },
    )  # fmt: skip
    grids = {"units": panel.units} | {f"input_{at}": values for at, values in enumerate(panel.inputs.values())}
    if panel.censored is not None:
        grids |= {"censored": panel.censored, "filled": units}
    np.savez_compressed(folder / "grids.npz", **grids)  # type: ignore[arg-type]


def load(folder: Path) -> tuple[Panel, np.ndarray]:
    """The inverse of `save`."""
    told, series = json.loads((folder / "panel.json").read_text()), pd.read_parquet(folder / "series.parquet")
    with np.load(folder / "grids.npz", allow_pickle=False) as file:
        grids = {name: file[name] for name in file.files}
    panel = Panel(
        keys=pd.MultiIndex.from_arrays([series[ITEM], series[LOCATION]], names=KEYS), item=series["item"].to_numpy(),
        location=series["location"].to_numpy(), category=series["category"].to_numpy(),
        category_names=np.array(told["categories"], object), units=grids["units"], censored=grids.get("censored"),
        inputs={name: grids[f"input_{at}"] for at, name in enumerate(told["inputs"])}, flags=tuple(told["flags"]),
        begin=series["begin"].to_numpy(), first=np.datetime64(told["first"], "D"), days=told["days"],
    )  # fmt: skip
    return panel, grids.get("filled", grids["units"])
