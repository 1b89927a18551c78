"""Ctrl-C as a request that the training loop answers when its update is done."""

import logging
import os
import signal
import time
from types import FrameType
from typing import Any, Self

SAME_REQUEST = 1.0
"""Seconds in which a second signal counts as the first: torchrun and batch systems pass on one that
the process has had from its terminal or its node already."""

_log = logging.getLogger(__name__)


class Interrupt:
    """While open, the first SIGINT or SIGTERM sets `requested`; a later one acts as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take over the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self.requested, self._since = True, now
            _log.info("stopping after this update (once more to stop at once, without saving)")
        elif now - self._since >= SAME_REQUEST:
            self._restore()
            os.kill(os.getpid(), number)

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
