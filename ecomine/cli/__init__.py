"""The command line: `ecomine …`. Imports wait until a command needs them, so that `--help` answers at once."""

import os
import sys
from collections.abc import Sequence

from ecomine.cli.parser import parser
from ecomine.errors import EcomineError

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
    options = parser().parse_args(arguments)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    options.typed = list(sys.argv[1:] if arguments is None else arguments)
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
