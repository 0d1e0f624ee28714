"""Commands about notices: connect a receiver, and try those that params.yaml names."""

import argparse
import getpass
import sys


def run(options: argparse.Namespace) -> None:
    """Connect a receiver, or try them all."""
    from ecomine.errors import SettingsError
    from flows.control_room import use_running_server

    use_running_server()
    if options.action == "try":
        _try(options)
        return
    from flows import notices

    if not options.name:
        raise SettingsError(f"What is the receiver called? Such as: ecomine notices {options.action} shop")
    if options.action == "webhook":
        block = notices.save_webhook(options.name, _secret("Address of the web hook"))
    else:
        if not options.server:
            raise SettingsError("Which SMTP server? Such as: --server smtp.example.org")
        password = _secret(f"Password of {options.user}") if options.user else ""
        block = notices.save_email(options.name, options.server, options.port, options.user, password, options.security)
    print(f"Saved in Prefect as {block}. Add it to notifications.blocks in params.yaml, then: ecomine notices try")


def _try(options: argparse.Namespace) -> None:
    from ecomine.errors import EcomineError
    from flows import notices

    found = notices.probe(options.workspace)
    for name, wrong in found:
        print(f"{name}: {wrong or 'sent'}")
    if not found:
        print("params.yaml names no receivers: notifications.blocks is empty")
    if any(wrong for _, wrong in found):
        raise EcomineError("Not every receiver could be reached.")


def _secret(what: str) -> str:
    """Typed unseen, or the first line of standard input: on the command line, others could read it."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ").strip()
    return sys.stdin.readline().strip()
