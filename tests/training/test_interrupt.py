"""Ctrl-C: the first is a request, the second is as usual, and afterwards all is as before."""

import logging
import os
import signal
from collections.abc import Iterator

import pytest

from mt.training import interrupt as interrupt_module
from mt.training.interrupt import Interrupt

SIGNALS = [signal.SIGINT, signal.SIGTERM]


class _StoppedError(Exception):
    """What the handler before raises."""


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Install handlers that raise, and put the real ones back whatever a test does."""

    def stop(number: int, _: object) -> None:
        raise _StoppedError(number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_request(number: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Interrupt() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
    assert "stopping after this update (once more to stop at once, without saving)" in caplog.text


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_later_signal_of_its_kind_acts_as_usual(
    first: int, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupt_module, "SAME_REQUEST", 0.0)
    with Interrupt() as interrupt:
        os.kill(os.getpid(), first)
        if second != first:  # from what started the process, which met the first as well
            os.kill(os.getpid(), second)
        assert interrupt.requested
        with pytest.raises(_StoppedError):
            os.kill(os.getpid(), second)


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_signal_that_comes_twice_at_once_is_one_request(
    first: int, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a terminal torchrun's processes get Ctrl-C, and then SIGTERM from torchrun."""
    monkeypatch.setattr("mt.training.interrupt.SAME_REQUEST", 60.0)  # however busy the machine
    with Interrupt() as interrupt:
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), second)
        assert interrupt.requested


@pytest.mark.parametrize("number", SIGNALS)
def test_the_handlers_before_come_back(number: int) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interrupt() as interrupt:
        assert signal.getsignal(number) not in before
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(_StoppedError):
        os.kill(os.getpid(), number)
    assert not interrupt.requested


def test_the_handlers_come_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ZeroDivisionError), Interrupt():
        _ = 1 / 0
    assert [signal.getsignal(number) for number in SIGNALS] == before
