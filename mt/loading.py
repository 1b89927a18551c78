"""Load the models of one run, or of several that translate together, ready to do so."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import torch

from mt.checkpoint import RunDirectory
from mt.config import Config
from mt.data.tokenizer import TokenizerPair
from mt.device import DTYPES, select_device, select_precision
from mt.models.seq2seq import Seq2Seq


class LoadedRuns(NamedTuple):
    """Models over one vocabulary, in evaluation mode and on their device.

    Attributes:
        models: One per run.
        tokenizers: Those of all runs.
        config: The first run's.
        device: Where the models are.
        precision: fp32 or bf16.
        checkpoint: The file that the first model's parameters came from.
        step: The optimizer update that they are from.
    """

    models: list[Seq2Seq]
    tokenizers: TokenizerPair
    config: Config
    device: torch.device
    precision: str
    checkpoint: Path
    step: int


def load_runs(
    paths: Sequence[str | PathLike[str]], *, checkpoint: str, device: str, precision: str
) -> LoadedRuns:
    """Load the models of runs over the same vocabulary.

    Args:
        paths: Run directories; the first one's configuration counts.
        checkpoint: best, last, another name in a run's `checkpoints`, or, of one run, a file.
        device: cpu, cuda, or auto, which takes CUDA where there is one.
        precision: fp32, bf16, or auto, which takes bf16 where the device multiplies it.

    Raises:
        FileNotFoundError: No run, no such checkpoint or no tokenizer there.
        ValueError: A file that is not what it should be, runs of different languages or
            vocabularies, one file for several runs, a device that this machine does not have, or
            another precision.
    """
    runs = [RunDirectory.open(Path(path)) for path in paths]
    config = runs[0].load_config()
    place = select_device(device)
    precision = select_precision(precision, place)
    _check_names(runs, checkpoint)
    tokenizers = _shared_tokenizers(runs)
    loaded = [run.load_model(checkpoint, device=place, dtype=DTYPES[precision]) for run in runs]
    models, first = [one.model for one in loaded], loaded[0]
    return LoadedRuns(models, tokenizers, config, place, precision, first.checkpoint, first.step)


def _check_names(runs: Sequence[RunDirectory], checkpoint: str) -> None:
    found = [run.checkpoint_path(checkpoint).parent.resolve() for run in runs]
    if len(runs) > 1 and found != [run.checkpoints.resolve() for run in runs]:
        raise ValueError(
            f"{checkpoint} is the checkpoint of one run, and {len(runs)} are to translate "
            "together: expected a name that each of them has, such as best or last"
        )


def _shared_tokenizers(runs: Sequence[RunDirectory]) -> TokenizerPair:
    first, *others = runs
    tokenizers, direction = first.load_tokenizers(), first.load_config().data.direction
    for run in others:
        if (own := run.load_config().data.direction) != direction:
            raise ValueError(
                f"{run.path} translates {own} and {first.path} {direction}: models that translate "
                "together need one direction"
            )
        if run.load_tokenizers().fingerprint != tokenizers.fingerprint:
            raise ValueError(
                f"{run.path} has another vocabulary than {first.path}, and models that translate "
                "together need one: train them on the same data with the same tokenizer options, "
                "and another seed"
            )
    return tokenizers
