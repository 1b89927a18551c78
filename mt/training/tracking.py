"""What training writes down: TensorBoard, its twin `metrics.jsonl`, and progress."""

import json
import logging
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from mt.checkpoint import RunDirectory
from mt.data.cache import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINE_EVERY = 30.0  # seconds between two progress lines where there is no terminal

_log = logging.getLogger(__name__)


def keep_locks_in_process() -> None:
    """Give progress bars, the libraries' too, a lock between threads, not one between processes.

    A process that ends without cleaning up would be reported to have leaked the latter.
    """
    tqdm.set_lock(threading.RLock())


class Sample(NamedTuple):
    """A sentence as TensorBoard shows it.

    Attributes:
        text: Source, reference and translation.
        attention: What the decoder looked at; None where it has no attention.
    """

    text: str
    attention: "Figure | None"


class Silence:
    """What a process has in place of a `Tracker` when another one writes."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def event(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Do nothing."""

    def samples(self, samples: Iterable[Sample], step: int) -> None:
        """Do nothing; they are not drawn either."""

    def progress(self, step: int, *, loss: float, tokens_per_s: float) -> None:
        """Do nothing."""


class Tracker:
    """Record the events of one run; a resumed run goes on in the same files.

    Events of updates after `step`, which a killed run wrote and its last checkpoint does not know,
    are taken out, so that every update stands in the record once.
    """

    def __init__(self, run: RunDirectory, *, step: int, total_steps: int) -> None:
        events = [event for event in run.read_metrics() if event["step"] <= step]
        with whole_file(run.metrics_path) as file:
            file.writelines(f"{json.dumps(event)}\n".encode() for event in events)
        self._file = run.metrics_path.open("a", encoding="utf-8")
        self._writer = SummaryWriter(str(run.tensorboard), purge_step=step + 1 if step else None)
        self._total_steps = total_steps
        self._first_step = step
        self._started = time.perf_counter()
        self._last_line = self._started
        self._bar = tqdm(
            total=total_steps,
            initial=step,
            disable=not sys.stderr.isatty(),
            unit=" updates",
            dynamic_ncols=True,
            smoothing=0.05,
        )
        self._above_bar = ExitStack()
        if not self._bar.disable:  # a line of the log goes above the bar, not into it
            self._above_bar.enter_context(logging_redirect_tqdm())

    def __enter__(self) -> Self:
        """Return the tracker itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._above_bar.close()
        self._bar.close()
        self._writer.close()
        self._file.close()

    def event(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Append one object to `metrics.jsonl`, and its numbers to TensorBoard as `kind/name`."""
        self._file.write(json.dumps({"event": kind, "step": step, **values}) + "\n")
        if kind in ("train", "valid"):
            for name, value in values.items():
                if isinstance(value, int | float) and name not in ("seconds", "epoch"):
                    self._writer.add_scalar(f"{kind}/{name}", value, step)
        self._file.flush()  # a checkpoint may follow, and a kill

    def progress(self, step: int, *, loss: float, tokens_per_s: float) -> None:
        """Move the progress bar, or write a line now and then where there is no terminal."""
        self._bar.set_postfix_str(f"loss {loss:.3f}, {tokens_per_s:,.0f} tokens/s", refresh=False)
        self._bar.update(step - self._bar.n)
        now = time.perf_counter()
        if self._bar.disable and now - self._last_line >= LINE_EVERY:
            self._last_line = now
            left = (now - self._started) / (step - self._first_step) * (self._total_steps - step)
            _log.info(
                "update %d/%d  loss %.3f  %s tokens/s  about %d min left",
                step,
                self._total_steps,
                loss,
                f"{tokens_per_s:,.0f}",
                round(left / 60),
            )

    def samples(self, samples: Iterable[Sample], step: int) -> None:
        """Show sentences in TensorBoard, with what attention looked at."""
        for number, sample in enumerate(samples):
            self._writer.add_text(f"sample_{number}/translation", sample.text, step)
            if sample.attention is not None:
                from mt.plotting import unshown_characters_named  # a second, of figures alone

                with unshown_characters_named():
                    self._writer.add_figure(f"sample_{number}/attention", sample.attention, step)
