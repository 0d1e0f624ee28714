"""Commands about answers: serve, take events on, keys, receipts, and answers in the terminal."""

import argparse
import sys
from collections.abc import Iterable


def profile(options: argparse.Namespace) -> None:
    """Who a customer is."""
    from ecomine.stages import Context
    from ecomine.summary import profile

    for line in profile(Context.of(options.workspace).store, options.user):
        print(line)


def price_test(options: argparse.Namespace) -> None:
    """Plan a price test, or read it."""
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


def serve(options: argparse.Namespace) -> None:
    """Answer over HTTP."""
    from ecomine.serving.app import run
    from ecomine.stages import load_params

    serving = load_params(options.workspace).serving
    host, port = options.host or serving.host, options.port or serving.port
    run(options.workspace, host, port, options.workers or serving.workers)


def ahead(options: argparse.Namespace) -> None:
    """Make the answers that can be made before they are asked for."""
    from ecomine.serving.maker import make_all
    from ecomine.stages import Context

    for name, count in make_all(Context.of(options.workspace)):
        if count is None:
            print(f"{name}: nothing is made ahead, since its features may change at any moment")
        else:
            print(f"{name}: {count:,} answers made ahead" if count else f"{name}: they are made already")


def consume(options: argparse.Namespace) -> None:
    """Take accepted events on."""
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


def replay(options: argparse.Namespace) -> None:
    """Make answers again."""
    from ecomine.errors import DeploymentError
    from ecomine.serving.receipts import Receipt, Receipts
    from ecomine.serving.replay import Replayer
    from ecomine.stages import Context

    context = Context.of(options.workspace)
    receipts, replayer = Receipts(context.store, context.params.serving.receipt_days), Replayer(context.store)
    asked: Iterable[tuple[Receipt, list[str]]] = receipts.alike(options.last)
    if options.receipt:
        asked = [(receipts.get(options.receipt), [options.receipt])]
    count = equal = different = 0
    for receipt, same in asked:
        differences = replayer.differences(receipt)
        count, different = count + len(same), different + 1
        equal += 0 if differences else len(same)
        if options.receipt or differences:
            asker = f"{receipt.id}  {receipt.when:%Y-%m-%d %H:%M:%S}  {receipt.domain}: {receipt.question}"
            print(f"{asker}, version {receipt.model[:12]}, {'equal' if not differences else 'ANOTHER ANSWER'}")
            if len(same) > 1:
                print(f"  and {len(same) - 1:,} more of the same answer")
            for line in differences[:20]:
                print(f"  {line}")
    if not options.receipt:
        print(f"{equal:,} of {count:,} answers made again are equal ({different:,} different ones)")
    if equal < count:
        raise DeploymentError(f"{count - equal:,} of {count:,} answers are other ones when they are made again.")


def key(options: argparse.Namespace) -> None:
    """Make, list or take away API keys."""
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
