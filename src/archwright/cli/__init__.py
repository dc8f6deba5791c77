"""The command line. One file per command; each parses, calls the library and prints."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run ``archwright``: exit code 0, 2 for a user's mistake (one line on standard error), 130 after Ctrl-C."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported; see study.executors
    from archwright.cli.app import app
    from archwright.errors import ArchwrightError

    try:
        app()
    except ArchwrightError as error:
        sys.stderr.write(f"archwright: {' '.join(str(error).split())}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("archwright: stopped\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
