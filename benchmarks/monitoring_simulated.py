"""Does monitoring find a change of tastes, is what follows a better model, and is it quiet where nothing changes?

Protocol: a simulated shop; recommendation learns from its first `--learn` days and is deployed; then each of the next
90 days is monitored as if it were today, with the settings of params.yaml. After day 60 half of the customers have new
tastes and new habitual categories (`simulation.taste_change_day`); the same shop without that change is monitored, too.
When an alarm is told that training may help against, the road is walked on what is known that day, and the new version
is deployed if it passes its gate. Reported: alarms without a change; days until the change was found; whether the gate
was passed; and the live metric (share of the products bought that were on the deployed lists) in the 14 days before the
change, between change and new version, and in up to 28 days after it, there also of the version that was replaced.
References: the limit, or the live metric before the change. Thresholds were chosen on the seeds 1 and 2; the seed of
the report is 42.
"""

import argparse
import dataclasses
import re
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from benchmarks.report import Row, report
from benchmarks.workspaces import workspace
from ecomine import deployment, monitoring
from ecomine.domains import DOMAINS
from ecomine.errors import GateError
from ecomine.monitoring.reference import inputs_until
from ecomine.shops import simulate
from ecomine.stages import Context, run, steps

START = datetime(2024, 1, 1)
DOMAIN = DOMAINS["recommendation"]
WATCHED, CHANGE = 90, 60
LOOK_BACK, LOOK_AHEAD = 14, 28


def main() -> None:
    """Learn, watch, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--items", type=int, default=800)
    parser.add_argument("--learn", type=int, default=150)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    shop = {"users": arguments.users, "items": arguments.items, "days": arguments.learn + WATCHED}
    shop["seed"] = arguments.seed
    begin = START + timedelta(days=arguments.learn)
    with tempfile.TemporaryDirectory() as name:
        still = workspace(
            Path(name) / "still", source="simulated", domains=["recommendation"], engine={"threads": 1},
            recommendation={"train_periods": 2, "max_rounds": 100}, monitoring={"matured_days": 28},
        )  # fmt: skip
        simulate(still, shop)
        run("ingest", None, Context.of(still))
        learn(still, begin)
        false = watch(still, begin, 1, CHANGE)
        changed = Path(shutil.copytree(still, Path(name) / "changed"))
        simulate(changed, {**shop, "taste_change_day": arguments.learn + CHANGE}, force=True)
        run("ingest", None, Context.of(changed))
        open_up(changed)
        false += watch(still, begin, CHANGE + 1, WATCHED)
        found = watch(changed, begin, CHANGE + 1, WATCHED)
        rows = told(changed, begin, found, len(false))
    report(
        "monitoring_simulated", f"{arguments.users:,} customers, seed {arguments.seed}, change on day {CHANGE}", rows
    )


@dataclasses.dataclass(frozen=True)
class Answer:
    """What an alarm led to."""

    day: int
    reasons: str
    passed: bool


def learn(folder: Path, as_of: datetime) -> bool:
    """Walk the road on what is known at `as_of`; whether the candidate passed its gate and is deployed."""
    _as_of(folder, f"'{as_of:%Y-%m-%d}'")
    context = Context.of(folder)
    passed = True
    try:
        for stage, domain in steps(context.params.domains):
            if stage.name != "ingest":
                run(stage.name, domain, context)
    except GateError as error:
        print(f"  {error}", flush=True)
        passed = False
    open_up(folder)
    return passed


def open_up(folder: Path) -> None:
    """Clean and compute all days, of which monitoring sees those up to the day that it is asked about."""
    _as_of(folder, "latest")
    context = Context.of(folder)
    for name in ("clean", "validate", "features"):
        run(name, None, context)


def watch(folder: Path, begin: datetime, first: int, last: int) -> list[Answer]:
    """Monitor day by day; train again where an alarm is told that it may help against."""
    answers = []
    for day in range(first, last + 1):
        context = Context.of(folder)
        new = monitoring.untold(context, monitoring.monitor(context, begin + timedelta(days=day)))
        reasons = "; ".join(f"{alarm.name}: {alarm.why}" for alarm in new if alarm.retrain)
        if reasons:
            passed = learn(folder, begin + timedelta(days=day))
            print(f"  {folder.name}, day {day}: {reasons}; {'deployed' if passed else 'gate not passed'}", flush=True)
            answers.append(Answer(day, reasons, passed))
    return answers


def told(folder: Path, begin: datetime, found: list[Answer], false: int) -> list[Row]:
    """The figures of a shop that changed."""
    context = Context.of(folder)
    rows = [Row("false alarms in 90 days without a change", float(false), 1.0)]
    if not found:
        return [*rows, Row("change found", 0.0, 1.0)]
    history = [entry["digest"] for entry in deployment.history(context.store, "recommendation")]
    day = found[0].day
    before = live(context, history[0], begin + timedelta(days=CHANGE - LOOK_BACK), begin + timedelta(days=CHANGE))
    rows += [
        Row("days until the change was found", float(day - CHANGE), 3.0),
        Row("new version passed its gate", float(found[0].passed), 1.0),
        Row("alarms after the first", float(len(found) - 1)),
        Row("live metric before the change", before, before),
        Row(
            "live metric from the change to the new version",
            live(context, history[0], begin + timedelta(days=CHANGE), begin + timedelta(days=day)),
            before,
        ),
    ]
    after = begin + timedelta(days=day), begin + timedelta(days=min(day + LOOK_AHEAD, WATCHED))
    for what, digest in (("new version", history[-1]), ("replaced version", history[0])):
        rows.append(Row(f"live metric after it, {what}", live(context, digest, *after), before))
    return rows


def live(context: Context, digest: str, after: datetime, until: datetime) -> float:
    """Share of the products bought, in windows of a day, that were on the lists of a version."""
    lists = pd.read_parquet(context.store.path(f"deployments/recommendation/versions/{digest}/decisions.parquet"))
    assert DOMAIN.watch is not None
    with inputs_until(context, DOMAIN, until) as inputs:
        days = DOMAIN.watch.measure(lists, inputs, after, until, 1)
    return float((days["value"] * days["rows"]).sum() / days["rows"].sum())


def _as_of(folder: Path, value: str) -> None:
    file = folder / "params.yaml"
    file.write_text(re.sub(r"(?m)^as_of:.*$", f"as_of: {value}", file.read_text()))


if __name__ == "__main__":
    main()
