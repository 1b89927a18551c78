"""Ctrl-C as a request that the training loop answers when its update is done."""

import logging
import os
import signal
import time
from types import FrameType
from typing import Any, Self

SAME_REQUEST = 1.0
"""Seconds within which a second signal of the same kind counts as the first: torchrun and batch
systems pass on one that the process has already had from its terminal or its node."""

_log = logging.getLogger(__name__)


class Interrupt:
    """While open, the first SIGINT or SIGTERM sets `requested`; a second of its kind acts as usual.

    The first of the other kind counts as the same request: the parent process may have received the
    terminal's SIGINT as well, and end its children with SIGTERM.
    """

    def __init__(self) -> None:
        self.requested = False
        self._since: dict[int, float] = {}
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
        since = self._since.setdefault(number, now)
        if not self.requested:
            self.requested = True
            _log.info("stopping after this update (once more to stop at once, without saving)")
        elif since < now - SAME_REQUEST:
            self._restore()
            os.kill(os.getpid(), number)

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
