"""Interrupts that Python would drop."""

import os
import signal
import weakref

import pytest

from archwright.study.interrupts import Interrupts


class Thing:
    pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_inside_a_weakref_callback_is_not_lost() -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Interrupts() as interrupts:
            interrupts.check()
            thing = Thing()
            reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
            try:
                del thing
            except KeyboardInterrupt:
                pytest.skip("this Python raised it after all")
            assert reference() is None
            with pytest.raises(KeyboardInterrupt):
                interrupts.check()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_program_that_handles_interrupts_itself_keeps_its_handler() -> None:
    before = signal.getsignal(signal.SIGINT)
    mine = lambda *_: None  # noqa: E731
    signal.signal(signal.SIGINT, mine)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_for_the_end_of_a_write() -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    written = []

    def write(name: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        written.append(name)

    def held(interrupts: Interrupts) -> None:
        with interrupts.held():
            write("whole")

    try:
        with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
            held(interrupts)
        with Interrupts(), pytest.raises(KeyboardInterrupt):
            write("never")
    finally:
        signal.signal(signal.SIGINT, before)
    assert written == ["whole"]
