"""Commands about what is deployed: look, deploy, try, go back, bring elsewhere."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from ecomine.cli.options import named_domain, say
from ecomine.errors import EcomineError

if TYPE_CHECKING:
    from ecomine.stages import Context


def monitor(options: argparse.Namespace) -> None:
    """Look whether what is deployed still fits."""
    from ecomine import monitoring
    from ecomine.stages import Context

    print(monitoring.table(monitoring.monitor(Context.of(options.workspace, say), options.as_of)))


def deploy(options: argparse.Namespace) -> None:
    """Deploy a candidate, or try it beside the champion."""
    from ecomine.lock import workspace_lock
    from ecomine.stages import Context, run

    context = Context.of(options.workspace, say)
    if options.shadow or options.canary:
        _try(options, context)
        return
    with workspace_lock(context.store, f"ecomine deploy {options.domain}"):
        run("deploy", options.domain, context, force=options.force)
    _release(options)


def _release(options: argparse.Namespace) -> None:
    from flows.releases import told

    told(options.workspace, options.domain, say)


def _try(options: argparse.Namespace, context: "Context") -> None:
    from ecomine import deployment
    from ecomine.stages.learning import require_passed

    domain = named_domain(options.domain)
    require_passed(context, domain)
    digest = deployment.challenge(context, domain, options.canary)
    how = f"answers for {options.canary:.1%} of the customers" if options.canary else "answers in the shadow"
    print(f"{domain.name}: {digest[:12]} {how}. Look: ecomine challenger {domain.name}")


def challenger(options: argparse.Namespace) -> None:
    """Look at a trial, or end it."""
    from ecomine import deployment
    from ecomine.stages import Context

    context, domain = Context.of(options.workspace, say), named_domain(options.domain)
    found = deployment.trial_report(context, domain)
    if options.action == "show":
        print("\n".join(found.lines()))
    elif options.action == "promote":
        print(f"{domain.name}: {deployment.promote_challenger(context, domain, found.evidence)[:12]} is deployed")
        _release(options)
    else:
        digest = deployment.withdraw(context, domain, "by hand", found.evidence)
        print(f"{domain.name}: {digest[:12]} is no longer tried")


def rollback(options: argparse.Namespace) -> None:
    """Go back to an earlier version."""
    from ecomine import deployment
    from ecomine.lock import workspace_lock
    from ecomine.stages import Context

    context = Context.of(options.workspace, say)
    with workspace_lock(context.store, f"ecomine rollback {options.domain}"):
        digest = deployment.rollback(context, named_domain(options.domain), options.to)
    print(f"{options.domain}: back to {digest[:12]}")
    _release(options)


def history(options: argparse.Namespace) -> None:
    """Every change of what is deployed or tried, of one domain or of all that ever had one."""
    from ecomine import deployment, layout
    from ecomine.domains import DOMAINS
    from ecomine.stages import Context
    from ecomine.summary import history

    store = Context.of(options.workspace).store
    if options.domain:
        for entry in deployment.history(store, named_domain(options.domain).name):
            print(history(entry))
        return
    for name in DOMAINS:
        if store.exists(layout.DEPLOYMENTS.format(domain=name)) and (entries := deployment.history(store, name)):
            print("\n".join([name, *map(history, entries)]))


def mirror(options: argparse.Namespace) -> None:
    """Bring deployed versions to object storage, or from there."""
    from ecomine.deployment import mirror
    from ecomine.domains import DOMAINS
    from ecomine.stages import Context

    while True:
        context = Context.of(options.workspace)
        for name in context.params.domains:
            act = mirror.push if options.action == "push" else mirror.pull
            try:
                moved = act(context.store, DOMAINS[name], options.address)
                print(f"{name}: {', '.join(digest[:12] for digest in moved) or 'nothing new'}", flush=True)
            except EcomineError as error:
                if options.every is None:
                    raise
                print(f"ecomine: {error}", file=sys.stderr, flush=True)
        if options.every is None:
            return
        time.sleep(options.every)
