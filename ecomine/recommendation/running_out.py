"""What is about to run out comes last on a list: who is sent to an empty shelf is disappointed, and it sells anyway."""

import numpy as np
import pandas as pd

from ecomine.domain import Heed

WHY = "; about to run out, so it comes last"


def about_to_run_out(orders: pd.DataFrame) -> frozenset[str]:
    """Items that inventory says are about to run out wherever they lie."""
    everywhere = orders.groupby("item_id")["about_to_run_out"].all()
    return frozenset(everywhere.index[everywhere.to_numpy(bool)])


def last(lists: pd.DataFrame, items: frozenset[str]) -> pd.DataFrame:
    """The lists with `items` at their ends, in the order that they had; ranks and reasons say so."""
    late = lists["item_id"].isin(items).to_numpy()
    if not late.any():
        return lists
    user = pd.factorize(lists["user_id"], sort=True)[0]
    order = np.lexsort((lists["rank"].to_numpy(), late, user))
    moved, behind = lists.iloc[order].reset_index(drop=True), late[order]
    reason = moved["reason"].to_numpy(object)
    reason = np.where(behind, reason + WHY, reason)
    return moved.assign(rank=_ranks(user[order]), reason=reason)


def _ranks(user: np.ndarray) -> np.ndarray:
    """Places from 1 within users that lie together."""
    begins = np.flatnonzero(np.diff(user, prepend=-1))
    return np.arange(len(user)) - np.repeat(begins, np.diff(np.append(begins, len(user)))) + 1


HEED = Heed(about_to_run_out, last)
