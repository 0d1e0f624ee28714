"""What commands take and say: values that an argument may have, a domain by its name, a line of progress."""

import argparse
from datetime import UTC, datetime


def workers(text: str) -> int:
    """A number of processes."""
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} workers cannot be started; expected a whole number from 1 to 256")
    return int(text)


def port(text: str) -> int:
    """A port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected a whole number from 1 to 65535")
    return int(text)


def share(text: str) -> float:
    """A share of customers, as 5% or 0.05."""
    try:
        part = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        part = 0.0
    if not 0 < part < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share of customers; expected such as 5% or 0.05")
    return part


def moment(text: str) -> datetime:
    """A date, or a date and time, in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; expected such as 2024-05-31") from None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def say(text: str) -> None:
    """A line of progress."""
    print(f"  {text}", flush=True)


def named_domain(name: str):  # type: ignore[no-untyped-def]
    """A domain by its name; raises SettingsError where there is none."""
    from ecomine.domains import DOMAINS
    from ecomine.errors import SettingsError

    if name not in DOMAINS:
        raise SettingsError(f"There is no domain {name!r}; the domains are {', '.join(DOMAINS)}.")
    return DOMAINS[name]
