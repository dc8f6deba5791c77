"""Ctrl-C that neither gets lost nor breaks a write.

Python drops a KeyboardInterrupt that is raised inside a weakref callback, and one that is raised inside a transaction leaves the
database locked for what is still to be written.
"""

from __future__ import annotations

import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Interrupts:
    """Within, an interrupt is raised, and remembered, so that :meth:`check` can raise one that was dropped; inside :mod:`weakref`,
    where it would be dropped with a message, it is only remembered.

    Does nothing outside the main thread, and where the program handles interrupts in its own way.
    """

    def __init__(self) -> None:
        self.came = False
        self._holds = False
        self._installed = False

    def __enter__(self) -> Interrupts:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raise the interrupt that came.

        Raises:
            KeyboardInterrupt: there was one.
        """
        if self.came:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, an interrupt waits; it is raised at the end."""
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
        self.check()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if not self._holds and (frame is None or frame.f_code.co_filename != weakref.__file__):
            signal.default_int_handler(number, frame)
