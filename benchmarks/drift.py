"""Drift of a million rows of fifty columns: seconds and memory, beside evidently's DataDriftPreset.

Protocol: a reference of `--rows` rows with 50 columns (40 numbers of several shapes, 10 texts of up to 40 levels) and a
current table of as many, in which a quarter of the columns are shifted; both are pandas frames in memory. Each runs in
a process of its own on the same frames, made from a seed: ours makes the reference's profile, counts the current table
into it and compares (PSI, Kolmogorov–Smirnov, chi-square and nulls of each column); evidently runs its preset by PSI,
and with the tests that it chooses itself. Seconds are of that alone; memory is the process's peak above what it had
held with both frames loaded. References: evidently by PSI; for columns found, how many were shifted.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd

from benchmarks.report import Row, report

NUMBERS, TEXTS, SHIFTED = 40, 10, 4
OURS, PSI, CHOSEN = "ecomine", "evidently, PSI", "evidently, tests of its choice"


def main() -> None:
    """Time each contender in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the tables are made")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=[OURS, PSI, CHOSEN], help="run one contender and print its figures")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measured(arguments.only, arguments.rows)))
        return
    if importlib.util.find_spec("evidently") is None:
        sys.exit("This benchmark compares with evidently, which is not installed: pip install evidently")
    found = {}
    for name in (OURS, PSI, CHOSEN):
        command = [sys.executable, "-m", "benchmarks.drift", "--rows", str(arguments.rows), "--only", name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name} failed: {done.stderr[-2000:]}")
        found[name] = json.loads(done.stdout.splitlines()[-1])
    rows = [Row(f"{name}: seconds", figures["seconds"], found[PSI]["seconds"]) for name, figures in found.items()]
    rows += [Row(f"{name}: peak MB", figures["mb"], found[PSI]["mb"]) for name, figures in found.items()]
    rows += [
        Row(f"{name}: columns found drifted", figures["drifted"], figures["shifted"]) for name, figures in found.items()
    ]
    agree = np.abs(np.array(found[OURS]["psi"]) - np.array(found[PSI]["psi"])).max()
    rows.append(Row("greatest difference of the two indices, PSI", float(agree)))
    report("drift", f"{arguments.rows:,} rows × {NUMBERS + TEXTS} columns, reference and current", rows)


def measured(contender: str, rows: int) -> dict[str, object]:
    """Seconds, megabytes above what was held before, columns found drifted, and each column's index."""
    reference, current = tables(rows)
    run = {OURS: ours, PSI: lambda *two: evidently(*two, method="psi"), CHOSEN: evidently}[contender]
    run(reference.head(2000), current.head(2000))  # imports and first calls
    before, begun = peak_mb(), time.perf_counter()
    drifted, psi = run(reference, current)
    seconds = time.perf_counter() - begun
    shifted = len(range(0, NUMBERS + TEXTS, SHIFTED))
    return {"seconds": seconds, "mb": peak_mb() - before, "drifted": drifted, "psi": psi, "shifted": shifted}


def tables(rows: int, seed: int = 5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reference and current; every fourth column is shifted by most of its spread."""
    random = np.random.default_rng(seed)
    found = []
    for moved in (False, True):
        columns: dict[str, np.ndarray] = {}
        for place in range(NUMBERS + TEXTS):
            shift = 0.8 if moved and place % SHIFTED == 0 else 0.0
            if place >= NUMBERS:
                levels = np.array([f"level {number:02d}" for number in range(4 * (place - NUMBERS + 1))], object)
                law = random.random(rows) ** (2.0 - shift)
                columns[f"text_{place}"] = levels[(law * len(levels)).astype(int)]
            elif place % 3 == 0:
                columns[f"number_{place}"] = random.normal(shift, 1.0, rows)
            elif place % 3 == 1:
                columns[f"number_{place}"] = random.exponential(1.0 + shift, rows)
            else:
                columns[f"number_{place}"] = random.poisson(4.0 + 2 * shift, rows).astype(float)
        found.append(pd.DataFrame(columns))
    return found[0], found[1]


def ours(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[int, list[float]]:
    """Profile, counts, comparison, with the limits of params.yaml."""
    from ecomine.monitoring import profile
    from ecomine.params import MonitoringParams

    limits = MonitoringParams()
    was = profile.of_frame(reference)
    found = profile.shifts(was, profile.counted(was, profile.frame_blocks(current)))
    moved = [
        one for one in found if one.chance < limits.chance and (one.psi >= limits.psi or (one.ks or 0) >= limits.ks)
    ]
    return len(moved), [one.psi for one in found]


def evidently(reference: pd.DataFrame, current: pd.DataFrame, method: str | None = None) -> tuple[int, list[float]]:
    """The preset of evidently, by one method or as it chooses."""
    warnings.simplefilter("ignore")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    kinds = DataDefinition(
        numerical_columns=[name for name in reference if name.startswith("number")],
        categorical_columns=[name for name in reference if name.startswith("text")],
    )
    chosen = {} if method is None else {"method": method, "threshold": 0.2}
    two = (Dataset.from_pandas(frame, data_definition=kinds) for frame in (current, reference))
    told = Report([DataDriftPreset(**chosen)]).run(*two).dict()
    values = [one["value"] for one in told["metrics"]]
    drifted = next(int(value["count"]) for value in values if isinstance(value, dict) and "count" in value)
    return drifted, [float(value) for value in values if not isinstance(value, dict)]


def peak_mb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
