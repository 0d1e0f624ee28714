"""The command line: `ecomine …`. Imports wait until a command needs them, so that `--help` answers at once."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecomine import __version__
from ecomine.errors import EcomineError

if TYPE_CHECKING:
    from ecomine.stages import Context

QUIET = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "DVC_NO_ANALYTICS": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "FEAST_USAGE": "False",
}
"""Environment of a run started by a person: its own progress instead of the libraries' logs, no telemetry, patience."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors that a user can mend become one message and a non-zero exit."""
    options = _parser().parse_args(arguments)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    options.workspace = options.workspace.resolve()
    try:
        options.command(options)
    except EcomineError as error:
        print(f"ecomine: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ecomine: interrupted; nothing half written, start again any time", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"ecomine: {error}. Look at that path, who may write there, and the disk (`df -h`).", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ecomine", description="From a shop's behaviour data to daily decisions: validated, gated, reversible."
    )
    parser.add_argument("--version", action="version", version=f"ecomine {__version__}")
    parser.add_argument(
        "-w", "--workspace", type=Path, default=Path(), help="folder that holds params.yaml (default: here)"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command_parser = commands.add_parser(name, help=text, description=text)
        command_parser.set_defaults(command=command)
        return command_parser

    init = add("init", _init, "look at a folder of files and write a commented params.yaml for them")
    init.add_argument("folder", type=Path, help="folder of CSV, Parquet or JSON files")
    init.add_argument("--force", action="store_true", help="replace the params.yaml that is there")
    run = add("run", _run, "run the whole road, from raw tables to deployed models, as a Prefect flow")
    run.add_argument("domains", nargs="*", help="kinds of decision (default: those of params.yaml)")
    run.add_argument(
        "--source",
        choices=["complete_journey", "simulated"],
        help="run on these tables instead, in a workspace of its own under shops/",
    )
    run.add_argument("--no-deploy", action="store_true", help="stop after the gate")
    simulate = add("simulate", _simulate, "make a simulated shop, with its truth, or let it live on for more days")
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
    stage = add("stage", _stage, "run one stage of the road")
    stage.add_argument("name", help="name of the stage")
    stage.add_argument("domain", nargs="?", help="kind of decision, for stages that are a domain's own")
    tune = add("tune", _tune, "search a domain's settings by validation inside the training period")
    tune.add_argument("domain", help="kind of decision")
    tune.add_argument("--minutes", type=float, default=5.0, help="time for the search (default: 5)")
    tune.add_argument("--trials", type=int, default=100, help="most settings tried (default: 100)")
    quarantine = add("quarantine", _quarantine, "count refused rows by table and reason")
    quarantine.add_argument(
        "--readmit", action="store_true", help="clean again, after a rule changed, and say what came back"
    )
    features = add("features", _features, "list the features: name, type, unit, meaning")
    features.add_argument("action", choices=["list", "page"], nargs="?", default="list")
    add("status", _status, "what is deployed, how old, how good")
    for name, command, text in (
        ("deploy", _deploy, "put a domain's candidate in the champion's place, if it passed its gate"),
        ("rollback", _rollback, "go back to the version that was deployed before"),
        ("history", _history, "every deployment and rollback of a domain"),
    ):
        own = add(name, command, text)
        own.add_argument("domain", help="kind of decision")
        if name == "deploy":
            own.add_argument("--force", action="store_true", help="even where the champion can no longer be compared")
            beside = own.add_mutually_exclusive_group()
            beside.add_argument("--shadow", action="store_true", help="only try it: its answers are kept, not used")
            beside.add_argument("--canary", type=_share, help="only try it: it answers for a share, such as 5%%")
        if name == "rollback":
            own.add_argument("--to", help="beginning of the digest to go back to (default: the one before)")
    challenger = add("challenger", _challenger, "the version tried beside the deployed one: look, promote or withdraw")
    challenger.add_argument("domain", help="kind of decision")
    challenger.add_argument("action", choices=["show", "promote", "withdraw"], nargs="?", default="show")
    profile = add("profile", _profile, "who a customer is: the deployed profile, a line a fact")
    profile.add_argument("user", help="id of the customer")
    trial = add("price-test", _price_test, "design a randomised price test, or read what it showed")
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
    serve = add("serve", _serve, "answer for decisions over HTTP")
    serve.add_argument("--host", help="address to listen on (default: params.yaml)")
    serve.add_argument("--port", type=_port, help="port to listen on (default: params.yaml)")
    serve.add_argument("--workers", type=_workers, help="processes that answer (default: params.yaml)")
    consume = add("consume", _consume, "take accepted events on: into online features at once, into files by and by")
    consume.add_argument("--once", action="store_true", help="all that there is, also into the files, then end")
    replay = add("replay", _replay, "make answers again from their receipts, and say where they differ")
    replay.add_argument("receipt", nargs="?", help="the answer's X-Receipt-ID (default: the last ones)")
    replay.add_argument("--last", type=int, default=100, help="how many of the last answers (default: 100)")
    key = add("key", _key, "make, list or take away API keys")
    key.add_argument("action", choices=["create", "list", "revoke"])
    key.add_argument("name", nargs="?", help="of the key: who uses it")
    key.add_argument(
        "--scope", action="append", default=[], help="a domain, receipts, events or operation; may be repeated"
    )
    key.add_argument("--days", type=float, help="until it expires (default: never)")
    up = add("up", _up, "start a Prefect server with its UI and serve the deployments")
    up.add_argument("--port", type=_port, default=4200, help="port of the Prefect UI (default: 4200)")
    return parser


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} workers cannot be started; expected a whole number from 1 to 256")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected a whole number from 1 to 65535")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share of customers; expected such as 5% or 0.05")
    return share


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


def _init(options: argparse.Namespace) -> None:
    from ecomine.initialise import write_params

    path = write_params(options.folder, options.workspace, force=options.force)
    print(f"{path.name} is written. Read it, mend the SELECTs where needed, then: ecomine run")


def _simulate(options: argparse.Namespace) -> None:
    from ecomine.shops import SHOPS, make, simulate
    from flows.record import own_repository

    folder = (options.out or options.workspace / SHOPS / "simulated").resolve()
    make(options.workspace, folder, "simulated")
    own_repository(folder)
    asked = {name: getattr(options, name) for name in ("users", "items", "days", "seed", "dirt")}
    params = simulate(folder, {name: value for name, value in asked.items() if value is not None}, options.force, _say)
    print(f"{params.days:,} days of a shop are in {folder}. Run on it: cd {folder} && ecomine run")


def _run(options: argparse.Namespace) -> None:
    from ecomine.stages import Context
    from ecomine.summary import next_steps, summary

    if options.source:
        _enter(options)
    context = Context.of(options.workspace)  # bad settings are told before a server is started
    domains = [_domain(name).name for name in options.domains] or context.params.domains
    started = time.monotonic()
    print(f"The road for {', '.join(domains)}:", flush=True)
    os.environ["ECOMINE_TERMINAL"] = "1"
    from flows.control_room import is_up

    if "PREFECT_API_URL" not in os.environ and is_up("http://127.0.0.1:4200/api"):
        os.environ["PREFECT_API_URL"] = "http://127.0.0.1:4200/api"
    from flows.retrain import DomainName, retrain

    retrain([DomainName(name) for name in domains], deploy=not options.no_deploy, workspace=str(options.workspace))
    print(summary(context, domains))
    print(f"\nDone in {time.monotonic() - started:.0f} seconds.\n\n{next_steps()}")


def _enter(options: argparse.Namespace) -> None:
    """Go on in the workspace of another source; the one that was named stays as it is."""
    from ecomine.shops import SHOPS, make, simulate
    from flows.record import own_repository

    folder = options.workspace / SHOPS / options.source
    make(options.workspace, folder, options.source)
    own_repository(folder)
    if options.source == "simulated":
        print(f"A simulated shop in {folder}:", flush=True)
        simulate(folder, {}, False, _say)
    options.workspace = folder
    os.chdir(folder)  # DVC looks for its stages where it stands


def _stage(options: argparse.Namespace) -> None:
    from ecomine.stages import Context, run

    run(options.name, options.domain, Context.of(options.workspace, _say))


def _tune(options: argparse.Namespace) -> None:
    from ecomine.stages import Context
    from ecomine.tuning import tune
    from flows.experiments import queue

    context = Context.of(options.workspace, _say)
    found = tune(context, _domain(options.domain), options.minutes, options.trials)
    print(f"{options.domain}: {found.start:.4f} with the settings at hand, {found.value:.4f} with the best found")
    if not found.settings:
        print("nothing better was found; params.yaml stays as it is")
        return
    changes = [f"{options.domain}.{name}={value}" for name, value in found.settings.items()]
    experiment = queue(options.workspace, changes)
    print("\n".join(f"  {change}" for change in changes))
    if experiment:
        print(f"queued as the DVC experiment {experiment}. Run it: dvc exp run --run-all, then dvc exp show")
    else:
        print("Experiments need a workspace in git. Run the road with them after you wrote them into params.yaml.")


def _quarantine(options: argparse.Namespace) -> None:
    from ecomine import quarantine
    from ecomine.stages import Context

    context = Context.of(options.workspace, _say)
    rows = quarantine.readmit(context) if options.readmit else quarantine.counts(context.store)
    for table, reason, count in rows:
        print(f"{table:20} {count:>10,}  {reason}")
    if not rows:
        print("nothing came back" if options.readmit else "nothing was refused")


def _features(options: argparse.Namespace) -> None:
    from ecomine import feature_store

    if options.action == "page":
        print(feature_store.catalogue.page(), end="")
        return
    for name, kind, unit, meaning in feature_store.describe(options.workspace):
        print(f"{name:44} {kind:8} {unit:12} {meaning}")


def _status(options: argparse.Namespace) -> None:
    from ecomine import deployment
    from ecomine.stages import Context
    from ecomine.summary import status

    for row in deployment.status(Context.of(options.workspace)):
        print(status(row))


def _deploy(options: argparse.Namespace) -> None:
    from ecomine.lock import workspace_lock
    from ecomine.stages import Context, run

    context = Context.of(options.workspace, _say)
    if options.shadow or options.canary:
        _try(options, context)
        return
    with workspace_lock(context.store):
        run("deploy", options.domain, context, force=options.force)
    _release(options)


def _release(options: argparse.Namespace) -> None:
    from flows.releases import told

    told(options.workspace, options.domain, _say)


def _try(options: argparse.Namespace, context: "Context") -> None:
    from ecomine import deployment
    from ecomine.stages.learning import require_passed

    domain = _domain(options.domain)
    require_passed(context, domain)
    digest = deployment.challenge(context, domain, options.canary)
    how = f"answers for {options.canary:.1%} of the customers" if options.canary else "answers in the shadow"
    print(f"{domain.name}: {digest[:12]} {how}. Look: ecomine challenger {domain.name}")


def _challenger(options: argparse.Namespace) -> None:
    from ecomine import deployment
    from ecomine.stages import Context

    context, domain = Context.of(options.workspace, _say), _domain(options.domain)
    found = deployment.trial_report(context, domain)
    if options.action == "show":
        print("\n".join(found.lines()))
    elif options.action == "promote":
        print(f"{domain.name}: {deployment.promote_challenger(context, domain, found.evidence)[:12]} is deployed")
        _release(options)
    else:
        digest = deployment.withdraw(context, domain, "by hand", found.evidence)
        print(f"{domain.name}: {digest[:12]} is no longer tried")


def _rollback(options: argparse.Namespace) -> None:
    from ecomine import deployment
    from ecomine.lock import workspace_lock
    from ecomine.stages import Context

    context = Context.of(options.workspace, _say)
    with workspace_lock(context.store):
        digest = deployment.rollback(context, _domain(options.domain), options.to)
    print(f"{options.domain}: back to {digest[:12]}")
    _release(options)


def _history(options: argparse.Namespace) -> None:
    from ecomine import deployment
    from ecomine.stages import Context
    from ecomine.summary import history

    for entry in deployment.history(Context.of(options.workspace).store, _domain(options.domain).name):
        print(history(entry))


def _profile(options: argparse.Namespace) -> None:
    from ecomine.stages import Context
    from ecomine.summary import profile

    for line in profile(Context.of(options.workspace).store, options.user):
        print(line)


def _price_test(options: argparse.Namespace) -> None:
    from ecomine.pricing import price_test

    if options.action == "plan":
        made, drawn = price_test.plan(
            price_test.table(options.sales), options.change, options.effect, options.power, options.alpha,
            options.longest, options.items, options.seed,
        )  # fmt: skip
        drawn.to_csv(options.plan, index=False)
        print(price_test.told(made))
        print(f"The items, their arms and prices are in {options.plan}.")
        return
    found = price_test.of_plan(
        price_test.table(options.plan), price_test.table(options.sales), options.start, options.periods, options.seed
    )
    print(price_test.finding(found))


def _serve(options: argparse.Namespace) -> None:
    from ecomine.serving.app import run
    from ecomine.stages import load_params

    serving = load_params(options.workspace).serving
    host, port = options.host or serving.host, options.port or serving.port
    run(options.workspace, host, port, options.workers or serving.workers)


def _consume(options: argparse.Namespace) -> None:
    import signal
    import threading

    from ecomine.serving.app import configure_logs
    from ecomine.stages import load_params
    from ecomine.streaming import Consumer

    load_params(options.workspace)  # bad settings are told before anything is begun
    consumer, stop = Consumer(options.workspace), threading.Event()
    if options.once:
        taken, landed = consumer.once()
        print(f"{taken:,} events taken on, {landed:,} written into the files of the next ingest")
        return
    configure_logs()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    consumer.run(stop)


def _replay(options: argparse.Namespace) -> None:
    from ecomine.errors import DeploymentError
    from ecomine.serving.receipts import Receipts
    from ecomine.serving.replay import Replayer
    from ecomine.stages import Context

    context = Context.of(options.workspace)
    receipts, replayer = Receipts(context.store, context.params.serving.receipt_days), Replayer(context.store)
    asked = [receipts.get(options.receipt)] if options.receipt else receipts.newest(options.last)
    count = equal = 0
    for receipt in asked:
        differences = replayer.differences(receipt)
        count, equal = count + 1, equal + (not differences)
        if options.receipt or differences:
            asker = f"{receipt.id}  {receipt.when:%Y-%m-%d %H:%M:%S}  {receipt.domain}: {receipt.question}"
            print(f"{asker}, version {receipt.model[:12]}, {'equal' if not differences else 'ANOTHER ANSWER'}")
            for line in differences[:20]:
                print(f"  {line}")
    if not options.receipt:
        print(f"{equal:,} of {count:,} answers made again are equal")
    if equal < count:
        raise DeploymentError(f"{count - equal:,} of {count:,} answers are other ones when they are made again.")


def _key(options: argparse.Namespace) -> None:
    from ecomine.domains import DOMAINS
    from ecomine.errors import SettingsError
    from ecomine.serving.keys import EVENTS, OPERATION, RECEIPTS, Keys
    from ecomine.store import Store

    keys = Keys(Store(options.workspace))
    if options.action == "list":
        for one in keys.all():
            print(f"{one.name:20} {', '.join(one.scopes):40} made {one.created}, expires {one.expires or 'never'}")
        return
    if not options.name:
        raise SettingsError(f"Which key? `ecomine key {options.action} NAME`.")
    if options.action == "revoke":
        keys.revoke(options.name)
        print(f"{options.name} opens nothing any more")
        return
    secret = keys.create(options.name, options.scope, options.days, {*DOMAINS, RECEIPTS, EVENTS, OPERATION})
    print(secret)
    print("This is shown once. Send it as X-API-Key; `serving.keys: true` asks for it.", file=sys.stderr)


def _up(options: argparse.Namespace) -> None:
    from ecomine.stages import load_params
    from flows.control_room import up

    project = options.workspace / load_params(options.workspace).project
    up(options.workspace, project, port=options.port)


def _domain(name: str):  # type: ignore[no-untyped-def]
    from ecomine.domains import DOMAINS
    from ecomine.errors import SettingsError

    if name not in DOMAINS:
        raise SettingsError(f"There is no domain {name!r}; the domains are {', '.join(DOMAINS)}.")
    return DOMAINS[name]
