"""A few numbers by which customers are compared: truncated SVD of who bought what."""

import numpy as np
import pandas as pd

from ecomine.domain import Inputs
from ecomine.profiling.portrait import MONEY

_ITEMS = 5_000
"""Most bought items that the comparison is made on."""


def vectors(inputs: Inputs, user_ids: pd.Series, length: int, seed: int) -> pd.DataFrame:
    """Columns vector_0 … of the customers `user_ids`, of length 1 (or 0 for somebody without a common item).

    Weights are log(1 + money) · log(customers / buyers of the item), as in latent semantic analysis (Deerwester and
    others 1990); cosine of two vectors tells how alike two customers buy.
    """
    from scipy import sparse
    from sklearn.decomposition import TruncatedSVD
    from threadpoolctl import threadpool_limits

    # The texts of millions of lines stay in DuckDB: only numbers come out.
    people = pd.DataFrame({"user_id": user_ids.to_numpy(), "user": np.arange(len(user_ids), dtype=np.int32)})
    inputs.connection.from_df(people).create_view("profiling_people", replace=True)
    rows = (
        inputs.tables["order_lines"]
        .filter(f"event_timestamp <= TIMESTAMP '{inputs.as_of}'")
        .query(
            "lines",
            f"""WITH items AS (SELECT item_id, row_number() OVER (ORDER BY count(DISTINCT user_id) DESC, item_id) - 1
                    AS item FROM lines GROUP BY item_id QUALIFY item < {_ITEMS})
            SELECT "user", CAST(item AS INTEGER) AS item, CAST(SUM({MONEY}) AS DOUBLE) AS money
            FROM lines JOIN items USING (item_id) JOIN profiling_people USING (user_id)
            GROUP BY ALL ORDER BY "user", item""",
        )
        .df()
    )
    inputs.connection.execute("DROP VIEW profiling_people")
    names = [f"vector_{place}" for place in range(length)]
    width = int(rows["item"].max()) + 1
    buyers = np.bincount(rows["item"], minlength=width)
    weight = np.log1p(np.maximum(rows["money"], 0)) * np.log(len(user_ids) / buyers[rows["item"]] + 1e-12)
    matrix = sparse.csr_matrix((weight, (rows["user"], rows["item"])), shape=(len(user_ids), width))
    found = np.zeros((len(user_ids), length))
    parts = min(length, width - 1, len(user_ids) - 1)
    if parts >= 1:
        # Sums over several threads come in changing order; one thread keeps the bytes the same.
        with threadpool_limits(1):
            found[:, :parts] = TruncatedSVD(parts, random_state=seed, n_iter=2).fit_transform(matrix)
    size = np.linalg.norm(found, axis=1, keepdims=True)
    unit = np.divide(found, size, out=np.zeros_like(found), where=size > 1e-12)
    return pd.DataFrame(np.round(unit, 6), columns=names, index=user_ids.index)
