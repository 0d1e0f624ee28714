"""The command line: `ecomine …`. Imports wait until a command needs them, so that `--help` answers at once."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ecomine import __version__
from ecomine.errors import EcomineError

QUIET = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "FEAST_USAGE": "False",
}
"""Environment of a run started by a person: its own progress instead of the libraries' logs, and no telemetry."""


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
    run.add_argument("--no-deploy", action="store_true", help="stop after the gate")
    stage = add("stage", _stage, "run one stage of the road")
    stage.add_argument("name", help="name of the stage")
    stage.add_argument("domain", nargs="?", help="kind of decision, for stages that are a domain's own")
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
        if name == "rollback":
            own.add_argument("--to", help="beginning of the digest to go back to (default: the one before)")
    serve = add("serve", _serve, "answer for decisions over HTTP")
    serve.add_argument("--host", help="address to listen on (default: params.yaml)")
    serve.add_argument("--port", type=int, help="port to listen on (default: params.yaml)")
    up = add("up", _up, "start a Prefect server with its UI and serve the deployments")
    up.add_argument("--port", type=int, default=4200, help="port of the Prefect UI (default: 4200)")
    return parser


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


def _init(options: argparse.Namespace) -> None:
    from ecomine.initialise import write_params

    path = write_params(options.folder, options.workspace, force=options.force)
    print(f"{path.name} is written. Read it, mend the SELECTs where needed, then: ecomine run")


def _run(options: argparse.Namespace) -> None:
    from ecomine.stages import Context
    from ecomine.summary import next_steps, summary

    context = Context.of(options.workspace)  # bad settings are told before a server is started
    started = time.monotonic()
    print(f"The road for {', '.join(options.domains or context.params.domains)}:", flush=True)
    os.environ["ECOMINE_TERMINAL"] = "1"
    from flows.control_room import is_up

    if "PREFECT_API_URL" not in os.environ and is_up("http://127.0.0.1:4200/api"):
        os.environ["PREFECT_API_URL"] = "http://127.0.0.1:4200/api"
    from flows.retrain import DomainName, retrain

    domains = [_domain(name).name for name in options.domains] or context.params.domains
    retrain([DomainName(name) for name in domains], deploy=not options.no_deploy, workspace=str(options.workspace))
    print(summary(context, domains))
    print(f"\nDone in {time.monotonic() - started:.0f} seconds.\n\n{next_steps(domains)}")


def _stage(options: argparse.Namespace) -> None:
    from ecomine.stages import Context, run

    run(options.name, options.domain, Context.of(options.workspace, _say))


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

    for row in deployment.status(Context.of(options.workspace)):
        print("  ".join(f"{key}: {value}" for key, value in row.items()))


def _deploy(options: argparse.Namespace) -> None:
    from ecomine.lock import workspace_lock
    from ecomine.stages import Context, run

    context = Context.of(options.workspace, _say)
    with workspace_lock(context.store):
        run("deploy", options.domain, context, force=options.force)


def _rollback(options: argparse.Namespace) -> None:
    from ecomine import deployment
    from ecomine.lock import workspace_lock
    from ecomine.stages import Context

    context = Context.of(options.workspace, _say)
    with workspace_lock(context.store):
        digest = deployment.rollback(context, _domain(options.domain), options.to)
    print(f"{options.domain}: back to {digest[:12]}")


def _history(options: argparse.Namespace) -> None:
    import json

    from ecomine import deployment
    from ecomine.stages import Context

    for entry in deployment.history(Context.of(options.workspace).store, _domain(options.domain).name):
        print(json.dumps(entry, sort_keys=True))


def _serve(options: argparse.Namespace) -> None:
    from ecomine.serving.app import run
    from ecomine.stages import load_params

    serving = load_params(options.workspace).serving
    run(options.workspace, options.host or serving.host, options.port or serving.port)


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
