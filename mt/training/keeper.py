"""The checkpoints of a run on disk: best.pt, last.pt, previous.pt, the N kept, averaged.pt."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mt.checkpoint import RunDirectory, average_checkpoints, load_checkpoint, save_checkpoint
from mt.choices import Keep
from mt.config import TrainerConfig

_log = logging.getLogger(__name__)


class CheckpointKeeper:
    """Write, keep, drop and average the checkpoints of one run.

    Args:
        run: Its `checkpoints` folder is there.
        config: Which checkpoints are kept.
        vocabulary: `TokenizerPair.fingerprint`, which goes into every checkpoint.

    Attributes:
        kept: [update, value of the metric] of every kept checkpoint; part of the saved state.
    """

    def __init__(self, run: RunDirectory, config: TrainerConfig, *, vocabulary: str) -> None:
        self.run = run
        self.directory = run.checkpoints
        self.config = config
        self.vocabulary = vocabulary
        self.kept: list[list[float]] = []

    def save_judged(
        self, model: Mapping[str, Tensor], *, step: int, value: float, best: bool
    ) -> None:
        """Save validated parameters, as best.pt and among the kept where they belong there."""
        content = {"model": dict(model), "step": step}
        if best:
            self._save(self.directory / "best.pt", content)
        candidates = [*self.kept, [step, value]]
        if self.config.keep_by is Keep.best:  # the best come last
            candidates.sort(key=lambda c: c[1], reverse=not self.config.metric.higher_is_better)
        first_kept = max(0, len(candidates) - self.config.keep)
        dropped, self.kept = candidates[:first_kept], candidates[first_kept:]
        if [step, value] in self.kept:
            self._save(self._path(step), content)
        for old_step, _ in dropped:
            self._path(old_step).unlink(missing_ok=True)

    def save_last(self, state: Mapping[str, Any]) -> None:
        """Save everything that resuming needs; the file before stays as previous.pt."""
        last, following = self.directory / "last.pt", self.directory / "next.pt"
        self._save(following, {**state, "kept": self.kept})
        if last.exists():
            last.replace(self.directory / "previous.pt")
        following.replace(last)

    def load_last(self) -> dict[str, Any]:
        """Read the newest of next.pt, last.pt and previous.pt that is whole.

        A damaged one becomes damaged.pt, so that the next save leaves the whole one alone.

        Raises:
            FileNotFoundError: Nothing has been saved yet.
            ValueError: None of the files can be read.
        """
        present = self.run.resumable
        if not present:
            raise FileNotFoundError(
                f"{self.directory} holds no last.pt to go on from: the run stopped before it "
                f"first saved. Delete {self.directory.parent} and train again"
            )
        faults: dict[Path, ValueError] = {}
        for path in present:
            try:
                state = load_checkpoint(path)
                if "kept" not in state:
                    raise ValueError(f"{path} holds parameters alone, and nothing to go on from")
            except ValueError as error:
                faults[path] = error
                continue
            for damaged, fault in faults.items():
                now = damaged.replace(self.directory / "damaged.pt")
                _log.warning("%s; going on from %s; the damaged file is now %s", fault, path, now)
            self.kept = state["kept"]
            return state
        raise ValueError(
            f"the run cannot go on: {'; '.join(map(str, faults.values()))}. Train anew in another "
            f"directory; other checkpoints in {self.directory} can still translate"
        )

    def write_average(self, step: int) -> None:
        """Write the mean of the kept checkpoints that are still there as averaged.pt."""
        present = []
        for path in (self._path(kept_step) for kept_step, _ in self.kept):
            if path.is_file():
                present.append(path)
            else:
                _log.warning("%s is gone: averaged.pt is made without it", path)
        if not present:
            return
        average = average_checkpoints(present)
        self._save(self.directory / "averaged.pt", {"model": average, "step": step})

    def _save(self, path: Path, content: Mapping[str, Any]) -> None:
        save_checkpoint(path, {"vocabulary": self.vocabulary, **content})

    def _path(self, step: float) -> Path:
        return self.directory / f"step-{int(step):07d}.pt"
