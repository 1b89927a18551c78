"""The run directory: what training leaves, and the only thing that the other commands need."""

import io
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import yaml
from filelock import FileLock, Timeout
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mt.config import Config
from mt.data.cache import whole_file
from mt.data.tokenizer import TokenizerPair
from mt.file_names import check_writable
from mt.models.seq2seq import Seq2Seq, build_model

FORMAT = "mt checkpoint 1"


class LoadedModel(NamedTuple):
    """A model read from a run, in evaluation mode, with the update that it is from."""

    model: Seq2Seq
    step: int
    checkpoint: Path


class RunDirectory:
    """Paths, configuration, tokenizers, checkpoints and metrics of one training run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(os.path.expanduser(path))
        self.config_path = self.path / "config.yaml"
        self.checkpoints = self.path / "checkpoints"
        self.hypotheses = self.path / "hypotheses"
        self.tensorboard = self.path / "tensorboard"
        self.metrics_path = self.path / "metrics.jsonl"

    @classmethod
    def new(cls, path: str | Path) -> "RunDirectory":
        """Name a run directory that does not exist yet; `create` makes it.

        Raises:
            FileExistsError: There is something at that path already.
            ValueError: It cannot be made there.
        """
        run = cls(path)
        if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
            raise run._exists()
        check_writable(run.path, option="run=DIR")
        return run

    def _exists(self) -> FileExistsError:
        advice = "choose another directory by run=DIR"
        if self.resumable:
            advice = f"resume it with {self.resuming}, or {advice}"
        elif self.config_path.is_file():
            try:
                with self.held():
                    advice += ", or delete this one, which holds nothing to resume from"
            except ValueError as another:
                return FileExistsError(str(another))
        return FileExistsError(f"{self.path} exists already and is not overwritten: {advice}")

    @property
    def resumable(self) -> list[Path]:
        """The files that a training can go on from, the newest first.

        A save is written to next.pt; then last.pt becomes previous.pt, and next.pt last.pt.
        """
        names = ("next.pt", "last.pt", "previous.pt")
        return [path for path in map(self.checkpoints.joinpath, names) if path.is_file()]

    @property
    def resuming(self) -> str:
        """The overrides by which a training goes on, as a shell and Hydra read them."""
        name = str(self.path).replace(",", r"\,")
        return f"run={shlex.quote(name)} resume=true"

    def create(self, config: Config) -> None:
        """Make the directory and write the resolved configuration into it.

        Raises:
            FileExistsError: Another training has made it since `new`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self.config_path.touch(exist_ok=False)
        except FileExistsError:
            raise self._exists() from None
        try:
            self.write_config(config)
        except BaseException:
            self.config_path.unlink()
            raise
        self.checkpoints.mkdir()

    def write_config(self, config: Config) -> None:
        """Write the configuration, whole or not at all; a run that goes on may have a new one."""
        text = OmegaConf.to_yaml(OmegaConf.structured(config))
        with whole_file(self.config_path) as file:
            file.write(text.encode("utf-8"))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other training out of the directory.

        Raises:
            ValueError: One is in it, or nothing can be written there.
        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"another process is training in {self.path}: wait for its end, or choose another "
                "directory by run=DIR"
            ) from None
        except OSError as error:  # somebody else's run, or a medium that is only read
            raise ValueError(
                f"no training can go on in {self.path} ({error.strerror or error}): copy it and "
                "resume the copy, or choose another directory by run=DIR"
            ) from error
        try:
            yield
        finally:
            lock.release()

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """Open an existing run directory.

        Raises:
            FileNotFoundError: There is no run at that path.
        """
        run = cls(path)
        if not run.config_path.is_file():
            reason = "has no config.yaml" if run.path.is_dir() else "does not exist"
            if run.path.is_file():
                reason = "is a file (a checkpoint is named by --checkpoint)"
            raise FileNotFoundError(
                f"{run.path} is not a run directory: it {reason}. Give the directory that mt-train "
                "printed as 'run'"
            )
        return run

    def load_config(self) -> Config:
        """Read `config.yaml` back into dataclasses.

        Raises:
            ValueError: The file is not a configuration of this version.
        """
        schema = OmegaConf.structured(Config)
        schema.data.splits = {}  # merging goes key by key and would bring the default splits back
        try:
            text = self.config_path.read_text(encoding="utf-8")
            saved = OmegaConf.load(io.StringIO(text))
            if not saved:
                raise ValueError("it is empty")
            if "${" in text:
                raise ValueError(
                    "it has ${, which would be filled in from this machine; mt-train writes none"
                )
            return cast(Config, OmegaConf.to_object(OmegaConf.merge(schema, saved)))
        except (OmegaConfBaseException, OSError, ValueError, yaml.YAMLError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{self.config_path} cannot be read as a configuration: {reason}"
            ) from error

    def load_tokenizers(self) -> TokenizerPair:
        """Read the tokenizers that the run was trained with.

        Raises:
            FileNotFoundError: They are not there.
            ValueError: A file is no tokenizer of ours.
        """
        return TokenizerPair.load(self.path)

    def load_model(
        self,
        which: str = "best",
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> LoadedModel:
        """Build the run's model and fill it from `best`, `last`, another name, or a file's path.

        Its parameters get the type `dtype`, in which a search then multiplies. Where training keeps
        a moving average of the parameters, that is the model, in every checkpoint.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            ValueError: The file is no checkpoint, is damaged, or belongs to another model.
        """
        path = self.checkpoint_path(which)
        saved = load_checkpoint(path)
        tokenizers = self.load_tokenizers()
        vocabulary = tokenizers.fingerprint
        if saved.get("vocabulary", vocabulary) != vocabulary:
            raise ValueError(
                f"{path} was trained with another vocabulary than that of {self.path}: take a "
                "checkpoint of this run"
            )
        model = build_model(
            self.load_config().model,
            src_vocab_size=tokenizers.src.vocab_size,
            tgt_vocab_size=tokenizers.tgt.vocab_size,
        )
        self.fill(model, saved["model"], path)
        for parameter, average in zip(model.parameters(), saved.get("ema", ()), strict=False):
            parameter.data.copy_(average)  # last.pt has both, for training to go on
        return LoadedModel(model.to(device, dtype).eval(), int(saved["step"]), path)

    def fill(self, model: Seq2Seq, parameters: Mapping[str, torch.Tensor], path: Path) -> None:
        """Give the run's model the parameters that the checkpoint at `path` holds.

        Raises:
            ValueError: They are another model's.
        """
        try:
            model.load_state_dict(parameters)
        except RuntimeError as error:
            raise ValueError(
                f"{path} holds the parameters of another model than {self.config_path} describes: "
                "take a checkpoint of this run"
            ) from error

    def checkpoint_path(self, which: str) -> Path:
        """Return the file of a checkpoint of the run, by its name, or the path itself.

        Raises:
            FileNotFoundError: There is no such file.
        """
        for path in (self.checkpoints / f"{which}.pt", Path(which)):
            if path.is_file():
                return path
        present = ", ".join(sorted(p.stem for p in self.checkpoints.glob("*.pt"))) or "none yet"
        raise FileNotFoundError(
            f"there is no checkpoint {which}: expected a file, or one of those that {self.path} "
            f"has: {present}"
        )

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read the events of `metrics.jsonl`; a last line cut off by a crash is left out.

        Raises:
            ValueError: Another line is no JSON.
        """
        if not self.metrics_path.is_file():
            return []
        events = []
        lines = self.metrics_path.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):
            try:
                events.append(json.loads(line))
            except ValueError:
                raise ValueError(
                    f"{self.metrics_path}, line {number}: this is no JSON: {line[:60]!r}; take the "
                    "line out of the file"
                ) from None
        return events


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a crash leaves the old file or the new one, never half of one.

    Raises:
        OSError: It could not be written; what stood there before is whole.
    """
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError | RuntimeError):  # the latter is torch's on a full disk
            raise
        raise OSError(
            f"{path} could not be written ({str(error).splitlines()[0]}): is the disk full? Make "
            "room, and go on from what was saved before with resume=true"
        ) from error
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in the file can run code.

    Raises:
        OSError: The system could not read the file, which may be whole.
        ValueError: The file is damaged or was not written by mt.
    """
    with path.open("rb") as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # rubbish raises whatever the unpickler stumbles over
            raise ValueError(
                f"{path} cannot be read: it is cut short, damaged or not a checkpoint "
                f"({path.stat().st_size:,} bytes). Use another checkpoint of the run"
            ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"{path} is a file of PyTorch, but not a checkpoint of mt ({FORMAT!r} is missing)"
        )
    return content


def average_checkpoints(paths: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Return the mean of the parameters of several checkpoints; Vaswani et al. 2017, 6.1."""
    models = [load_checkpoint(path)["model"] for path in paths]
    return {
        name: torch.stack([model[name].float() for model in models]).mean(dim=0).to(first.dtype)
        for name, first in models[0].items()
    }
