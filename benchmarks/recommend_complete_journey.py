"""Recommendation on The Complete Journey: what households buy in the last four weeks of the year.

Protocol: the whole road up to evaluation with `recommendation.horizon_days` 28, so that the test window is the last 28
days and everything was learned before it; every household that bought something in it counts. `personal_top` lists what
a household bought most often up to then, `personal_recent` the same with recent purchases counting more, both filled up
with what is popular. References are the figures of `personal_top`.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.report import Row, report
from benchmarks.workspaces import walk, workspace

METHODS = ("model", "linear", "personal_top", "personal_recent", "popularity")
MEASURES = {"ndcg@10": "NDCG@10", "recall@10": "Recall@10", "ndcg@20": "NDCG@20", "recall@20": "Recall@20"}


def main() -> None:
    """Walk the road in a workspace of its own, report the test metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the data comes with a package")
    parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        context = walk(workspace(Path(name) / "workspace", recommendation={"horizon_days": 28}), "evaluate")
        metrics = context.store.read_json("metrics/recommendation.json")
    rows = [
        Row(f"{told}, {method}", metrics[method][measure], metrics["personal_top"][measure])
        for measure, told in MEASURES.items()
        for method in METHODS
    ]
    report("recommend_complete_journey", "last 28 days; reference: personal_top", rows)


if __name__ == "__main__":
    main()
