"""Ctrl-C as a request that the training loop answers when its update is done."""

import logging
import signal
from types import FrameType, TracebackType
from typing import Any, Self

_log = logging.getLogger(__name__)


class Interrupt:
    """While open, the first SIGINT or SIGTERM sets `requested`; a second one acts as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take over the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._request)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()
        _log.info("stopping after this update (once more to stop at once, without saving)")

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
