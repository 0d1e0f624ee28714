"""The commands and their options."""

import argparse
from collections.abc import Callable
from pathlib import Path

from ecomine import __version__
from ecomine.cli import answers, health, laboratory, notices, releases, road
from ecomine.cli.options import moment, port, share, workers


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    whole = argparse.ArgumentParser(
        prog="ecomine", description="From a shop's behaviour data to daily decisions: validated, gated, reversible."
    )
    whole.add_argument("--version", action="version", version=f"ecomine {__version__}")
    whole.add_argument(
        "-w", "--workspace", type=Path, default=Path(), help="folder that holds params.yaml (default: here)"
    )
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command_parser = commands.add_parser(name, help=text, description=text)
        command_parser.set_defaults(command=command)
        return command_parser

    init = add("init", road.init, "look at a folder of files and write a commented params.yaml for them")
    init.add_argument("folder", type=Path, help="folder of CSV, Parquet or JSON files")
    init.add_argument("--force", action="store_true", help="replace the params.yaml that is there")
    run = add("run", road.run, "run the whole road, from raw tables to deployed models, as a Prefect flow")
    run.add_argument("domains", nargs="*", help="kinds of decision (default: those of params.yaml)")
    run.add_argument(
        "--source",
        choices=["complete_journey", "simulated"],
        help="run on these tables instead, in a workspace of its own under shops/",
    )
    run.add_argument("--no-server", action="store_true", help="in this process alone, without Prefect")
    run.add_argument("--no-deploy", action="store_true", help="stop after the gate")
    simulate = add("simulate", road.simulate, "make a simulated shop, with its truth, or let it live on for more days")
    for name, text in (
        ("users", "people who may ever open an account"),
        ("items", "products that may ever be sold"),
        ("days", "days from the first; more than are there continue the shop"),
        ("seed", "seed of everything random"),
    ):
        simulate.add_argument(f"--{name}", type=int, help=f"{text} (default: the workspace's params.yaml)")
    simulate.add_argument("--dirt", type=float, help="how dirty the tables are, 0 for clean (default: params.yaml)")
    simulate.add_argument("--out", type=Path, help="folder that becomes its workspace (default: shops/simulated)")
    simulate.add_argument("--force", action="store_true", help="replace another simulated shop that is there")
    stage = add("stage", road.stage, "run one stage of the road")
    stage.add_argument("name", help="name of the stage")
    stage.add_argument("domain", nargs="?", help="kind of decision, for stages that are a domain's own")
    tune = add("tune", laboratory.tune, "search a domain's settings by validation inside the training period")
    tune.add_argument("domain", help="kind of decision")
    tune.add_argument("--minutes", type=float, default=20.0, help="time for the search (default: 20)")
    tune.add_argument("--trials", type=int, default=100, help="most settings tried, those of earlier runs with them")
    tune.add_argument("--name", help="of the experiment that it ends in (default: tuned-DOMAIN-…)")
    tune.add_argument("--run", action="store_true", help="run that experiment too, instead of queueing it")
    own = add("experiment", laboratory.experiment, "experiments: make the workspace fit for them, list, compare two")
    own.add_argument("action", choices=["begin", "list", "compare"])
    own.add_argument(
        "revisions",
        nargs="*",
        metavar="EXPERIMENT",
        help="two to compare: names, HEAD, workspace (default: HEAD, workspace)",
    )
    quarantine = add("quarantine", road.quarantine, "count refused rows by table and reason")
    quarantine.add_argument(
        "--readmit", action="store_true", help="clean again, after a rule changed, and say what came back"
    )
    features = add("features", road.features, "list the features: name, type, unit, meaning")
    features.add_argument("action", choices=["list", "page"], nargs="?", default="list")
    for name, command, text in (
        ("status", health.status, "what is deployed, how old, how healthy, and what runs next"),
        ("doctor", health.doctor, "whether installation, stores, disk and servers are well, and how to mend them"),
    ):
        add(name, command, text).add_argument("--json", action="store_true", help="for a program to read")
    monitor = add("monitor", releases.monitor, "whether what is deployed still fits what happens in the shop")
    monitor.add_argument("--as-of", type=moment, help="look as if it were then, such as 2024-05-31 (default: now)")
    for name, command, text in (
        ("deploy", releases.deploy, "put a domain's candidate in the champion's place, if it passed its gate"),
        ("rollback", releases.rollback, "go back to the version that was deployed before"),
        ("history", releases.history, "every deployment and rollback, of one domain or of all"),
    ):
        own = add(name, command, text)
        if name == "history":
            own.add_argument("domain", nargs="?", help="kind of decision (default: all)")
        else:
            own.add_argument("domain", help="kind of decision")
        if name == "deploy":
            own.add_argument("--force", action="store_true", help="even where the champion can no longer be compared")
            beside = own.add_mutually_exclusive_group()
            beside.add_argument("--shadow", action="store_true", help="only try it: its answers are kept, not used")
            beside.add_argument("--canary", type=share, help="only try it: it answers for a share, such as 5%%")
        if name == "rollback":
            own.add_argument("--to", help="beginning of the digest to go back to (default: the one before)")
    challenger = add(
        "challenger", releases.challenger, "the version tried beside the deployed one: look, promote or withdraw"
    )
    challenger.add_argument("domain", help="kind of decision")
    challenger.add_argument("action", choices=["show", "promote", "withdraw"], nargs="?", default="show")
    profile = add("profile", answers.profile, "who a customer is: the deployed profile, a line a fact")
    profile.add_argument("user", help="id of the customer")
    trial = add("price-test", answers.price_test, "design a randomised price test, or read what it showed")
    trial.add_argument("action", choices=["plan", "read"], help="plan writes the items and arms; read evaluates them")
    trial.add_argument(
        "--sales",
        type=Path,
        required=True,
        help="table (CSV or Parquet): item_id, period (whole numbers), price, units",
    )
    trial.add_argument("--plan", type=Path, default=Path("price_test.csv"), help="table of items and arms (CSV)")
    trial.add_argument("--change", type=float, default=-0.1, help="change of the price, a share (default: -0.1)")
    trial.add_argument(
        "--effect", type=float, default=0.1, help="least change of units to find, a share (default: 0.1)"
    )
    trial.add_argument("--power", type=float, default=0.8, help="probability of finding it (default: 0.8)")
    trial.add_argument("--alpha", type=float, default=0.05, help="probability of finding what is not there")
    trial.add_argument("--longest", type=int, default=12, help="most periods a test may last (default: 12)")
    trial.add_argument("--items", type=int, help="most items that may take part (default: all)")
    trial.add_argument("--seed", type=int, default=42, help="seed of the draw")
    trial.add_argument("--start", type=int, help="first period of the test, for read")
    trial.add_argument("--periods", type=int, help="periods that the test lasted, for read")
    serve = add("serve", answers.serve, "answer for decisions over HTTP")
    serve.add_argument("--host", help="address to listen on (default: params.yaml)")
    serve.add_argument("--port", type=port, help="port to listen on (default: params.yaml)")
    serve.add_argument("--workers", type=workers, help="processes that answer (default: params.yaml)")
    add("ahead", answers.ahead, "make answers before they are asked for; `serve` does so by itself")
    consume = add(
        "consume", answers.consume, "take accepted events on: into online features at once, into files by and by"
    )
    consume.add_argument("--once", action="store_true", help="all that there is, also into the files, then end")
    mirror = add(
        "mirror", releases.mirror, "bring deployed versions to a place that other machines reach, or from there"
    )
    mirror.add_argument("action", choices=["push", "pull"])
    mirror.add_argument("address", help="bucket or folder, such as s3://shop/ecomine or file:///srv/ecomine")
    mirror.add_argument("--every", type=float, help="go on, with a pause of so many seconds")
    replay = add("replay", answers.replay, "make answers again from their receipts, and say where they differ")
    replay.add_argument("receipt", nargs="?", help="the answer's X-Receipt-ID (default: the last ones)")
    replay.add_argument("--last", type=int, default=100, help="how many of the last answers (default: 100)")
    key = add("key", answers.key, "make, list or take away API keys")
    key.add_argument("action", choices=["create", "list", "revoke"])
    key.add_argument("name", nargs="?", help="of the key: who uses it")
    key.add_argument(
        "--scope", action="append", default=[], help="a domain, receipts, events or operation; may be repeated"
    )
    key.add_argument("--days", type=float, help="until it expires (default: never)")
    told = add("notices", notices.run, "who is told of runs, gates and deployments: connect a receiver, try them")
    told.add_argument("action", choices=["webhook", "email", "try"], help="kind of receiver; or try all")
    told.add_argument("name", nargs="?", help="name of the receiver, such as shop")
    told.add_argument("--server", help="host of the SMTP server, for email")
    told.add_argument("--port", type=port, help="port of the SMTP server (default: by --security)")
    told.add_argument("--user", help="user of the SMTP server (default: no login)")
    told.add_argument("--security", choices=["ssl", "starttls", "none"], default="ssl", help="default: ssl")
    up = add("up", road.up, "start a Prefect server with its UI and serve the deployments")
    up.add_argument("--port", type=port, default=4200, help="port of the Prefect UI (default: 4200)")
    return whole
