"""The command line. One file per command; each parses, calls the library and prints."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def main() -> None:
    """Run ``archwright``: exit code 0, 2 for a user's mistake (one line on standard error), 130 after Ctrl-C."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported; see study.executors
    from archwright.cli.app import app
    from archwright.errors import ArchwrightError

    try:
        with _plain_warnings():
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


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Within, warnings of ours are one line, without the place in the code."""
    from archwright.errors import ArchwrightWarning

    with warnings.catch_warnings():
        shown_before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, ArchwrightWarning):
                sys.stderr.write(f"archwright: warning: {message}\n")
            else:
                shown_before(message, category, *place, **more)

        warnings.showwarning = show
        yield
