"""Commands that make something: from raw tables to candidates and their features."""

import argparse
import os
import sys
import time
from pathlib import Path

from ecomine.cli.options import named_domain, say
from ecomine.params import FILE

CODE = "ECOMINE_CODE"
"""Folder of the checkout whose code a stage was started with on purpose."""


def init(options: argparse.Namespace) -> None:
    """Write a params.yaml for a folder of files."""
    from ecomine.initialise import write_params

    path = write_params(options.folder, options.workspace, force=options.force)
    print(f"{path.name} is written. Read it, mend the SELECTs where needed, then: ecomine run")


def simulate(options: argparse.Namespace) -> None:
    """Make a simulated shop, or let it live on."""
    from ecomine.shops import SHOPS, make, simulate
    from flows.record import own_repository

    folder = (options.out or options.workspace / SHOPS / "simulated").resolve()
    make(options.workspace, folder, "simulated")
    own_repository(folder)
    asked = {name: getattr(options, name) for name in ("users", "items", "days", "seed", "dirt")}
    params = simulate(folder, {name: value for name, value in asked.items() if value is not None}, options.force, say)
    print(f"{params.days:,} days of a shop are in {folder}. Run on it: cd {folder} && ecomine run")


def run(options: argparse.Namespace) -> None:
    """Walk the whole road."""
    from ecomine.stages import Context
    from ecomine.summary import next_steps, summary

    if options.source:
        _enter(options)
    context = Context.of(options.workspace)  # bad settings are told before a server is started
    domains = [named_domain(name).name for name in options.domains] or context.params.domains
    started = time.monotonic()
    print(f"The road for {', '.join(domains)}:", flush=True)
    if options.no_server:
        from flows.walk import plain, walk

        walk(domains, not options.no_deploy, options.workspace, plain(options.workspace, say))
    else:
        _flow(domains, options)
    print(summary(context, domains))
    print(f"\nDone in {time.monotonic() - started:.0f} seconds.\n\n{next_steps()}")


def _flow(domains: list[str], options: argparse.Namespace) -> None:
    """The road as a Prefect flow, on the server that answers, or on one for the time being."""
    os.environ["ECOMINE_TERMINAL"] = "1"
    from flows.control_room import use_running_server

    use_running_server()
    from flows.retrain import DomainName, retrain

    retrain([DomainName(name) for name in domains], deploy=not options.no_deploy, workspace=str(options.workspace))


def _enter(options: argparse.Namespace) -> None:
    """Go on in the workspace of another source; the one that was named stays as it is."""
    from ecomine.shops import SHOPS, make, simulate
    from flows.record import own_repository

    folder = options.workspace / SHOPS / options.source
    make(options.workspace, folder, options.source)
    own_repository(folder)
    if options.source == "simulated":
        print(f"A simulated shop in {folder}:", flush=True)
        simulate(folder, {}, False, say)
    options.workspace = folder
    os.chdir(folder)  # DVC looks for its stages where it stands


def stage(options: argparse.Namespace) -> None:
    """Run one stage."""
    _with_code_of(options.workspace, options.typed)
    from ecomine.stages import Context, run

    run(options.name, options.domain, Context.of(options.workspace, say))


def _with_code_of(workspace: Path, typed: list[str]) -> None:
    """Go on in a process with the code that DVC looks at, where another one was installed.

    An experiment runs in a copy of the checkout as it was when it was queued; what is edited meanwhile is not its code.
    """
    import yaml

    try:
        project = (workspace / str(yaml.safe_load((workspace / FILE).read_text())["project"])).resolve()
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError):
        return  # what is wrong with the settings is told by who reads them
    if not (project / "ecomine/__init__.py").is_file() or project == Path(__file__).resolve().parents[2]:
        return
    if os.environ.get(CODE) == os.fspath(project):
        return
    path = os.pathsep.join(filter(None, [os.fspath(project), os.environ.get("PYTHONPATH")]))
    start = "import sys; from ecomine.cli import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": path, CODE: os.fspath(project)}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-c", start, *typed], environment)


def quarantine(options: argparse.Namespace) -> None:
    """Count refused rows, or clean again."""
    from ecomine import quarantine
    from ecomine.stages import Context

    context = Context.of(options.workspace, say)
    rows = quarantine.readmit(context) if options.readmit else quarantine.counts(context.store)
    for table, reason, count in rows:
        print(f"{table:20} {count:>10,}  {reason}")
    if not rows:
        print("nothing came back" if options.readmit else "nothing was refused")


def features(options: argparse.Namespace) -> None:
    """List the features."""
    from ecomine import feature_store

    if options.action == "page":
        print(feature_store.catalogue.page(), end="")
        return
    for name, kind, unit, meaning in feature_store.describe(options.workspace):
        print(f"{name:44} {kind:8} {unit:12} {meaning}")


def up(options: argparse.Namespace) -> None:
    """Start the control room."""
    from ecomine.stages import load_params
    from flows.control_room import up

    project = options.workspace / load_params(options.workspace).project
    up(options.workspace, project, port=options.port)
