"""Segments keep their numbers and names from one deployed version to the next.

Training knows nothing of what is deployed, so a candidate names its segments by itself. When it is put in the
champion's place, its segments are matched to the champion's and take over their names.
"""

from pathlib import Path

import pandas as pd

from ecomine.profiling.model import PEOPLE, table_file
from ecomine.profiling.segments import Segmenter, migration
from ecomine.store import write_frame

_NAMED = {"segments": ("segment",), "migration": ("before", "after")}
"""Tables of a model, and their columns that hold names of segments."""


def succeed(folder: Path, decisions: pd.DataFrame, champion: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The candidate in `folder` follows the version in `champion`: its files and `decisions` get the champion's names.

    Returns the decisions, and how many customers are in which segment before and after: before, after, customers,
    share. Where the two versions found segments in different columns, nothing is taken over.
    """
    candidate, previous = Segmenter.load(folder), Segmenter.load(champion)
    if candidate.columns == previous.columns:
        names = candidate.follow(previous)
        candidate.save(folder)
        _rename(folder / PEOPLE, ("segment",), names)
        for table, columns in _NAMED.items():
            if (folder / table_file(table)).exists():
                _rename(folder / table_file(table), columns, names)
        if (folder / table_file("funnel")).exists():
            funnel = pd.read_parquet(folder / table_file("funnel"))
            mine = funnel["group"] == "segment"
            named = funnel["value"].where(~mine, funnel["value"].replace(names))
            write_frame(folder / table_file("funnel"), funnel.assign(value=named))
        decisions = decisions.assign(segment=decisions["segment"].replace(names))
    before = pd.read_parquet(champion / PEOPLE, columns=["user_id", "segment"]).set_index("user_id")["segment"]
    return decisions, migration(before, decisions.set_index("user_id")["segment"])


def _rename(file: Path, columns: tuple[str, ...], names: dict[str, str]) -> None:
    frame = pd.read_parquet(file)
    write_frame(file, frame.assign(**{name: frame[name].replace(names) for name in columns}))
