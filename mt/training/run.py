"""One training run from its configuration: data, tokenizers, model, trainer."""

import logging
from typing import NamedTuple

import torch

from mt.checkpoint import RunDirectory
from mt.config import Config
from mt.data.batching import BatchLoader, BatchSampler, Pair
from mt.data.corpus import load_split
from mt.data.encoding import EncodedSplit, encode_split
from mt.data.tokenizer import TokenizerPair, train_tokenizers
from mt.device import select_device
from mt.models.seq2seq import build_model
from mt.training.progress import Outcome
from mt.training.trainer import Trainer
from mt.training.validation import Validator

_log = logging.getLogger(__name__)


class Splits(NamedTuple):
    """The encoded training and validation splits."""

    train: EncodedSplit
    valid: EncodedSplit


def train(config: Config) -> Outcome:
    """Train as configured, in a new run directory or, with `resume`, on from where one stopped.

    Raises:
        ValueError, FileNotFoundError, FileExistsError: What the user can mend; the message says
            how.
        TrainingDiverged: The loss is not finite.
    """
    device = select_device(config.trainer.device.name)
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    torch.manual_seed(config.seed)
    run = RunDirectory.open(config.run) if config.resume else RunDirectory.new(config.run)
    raw = load_split(config.data, "train")
    if config.resume:
        tokenizers = run.load_tokenizers()
    else:
        tokenizers = train_tokenizers(raw["src"], raw["tgt"], config.tokenizer)
    splits = Splits(
        encode_split(raw, tokenizers, max_length=config.data.max_length),
        encode_split(load_split(config.data, "valid"), tokenizers, max_length=None),
    )
    trainer = _build_trainer(config, run, tokenizers, splits, device)
    _report(config, trainer, splits, device)
    if config.resume:
        trainer.resume()
        _log.info("going on after update %d", trainer.progress.step)
    else:  # only now, so that a mistake leaves nothing behind
        run.create(config)
        tokenizers.save(run.path)
    return trainer.fit()


def _build_trainer(
    config: Config,
    run: RunDirectory,
    tokenizers: TokenizerPair,
    splits: Splits,
    device: torch.device,
) -> Trainer:
    model = build_model(
        config.model,
        src_vocab_size=tokenizers.src.vocab_size,
        tgt_vocab_size=tokenizers.tgt.vocab_size,
    )
    sampler = BatchSampler(
        splits.train.src_lengths,
        splits.train.tgt_lengths,
        batch_tokens=config.trainer.batch_tokens,
        seed=config.seed,
    )
    loader = BatchLoader(
        splits.train,
        sampler,
        tokenizers=tokenizers,
        tokenizer_config=config.tokenizer,
        seed=config.seed,
    )
    valid = splits.valid.dataset
    validator = Validator(
        [Pair(*ids) for ids in zip(valid["src_ids"], valid["tgt_ids"], strict=True)],
        list(valid["tgt"]),
        language=config.data.tgt,
        tokenizer=tokenizers.tgt,
        search=config.search,
        beam_size=config.trainer.validation_beam_size,
        device=device,
    )
    return Trainer(
        config,
        model.to(device),
        run=run,
        loader=loader,
        validator=validator,
        tokenizers=tokenizers,
        device=device,
    )


def _report(config: Config, trainer: Trainer, splits: Splits, device: torch.device) -> None:
    data, train, model = config.data, splits.train, trainer.model
    where = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{torch.get_num_threads()} threads"
    )
    _log.info("device      %s (%s), %s", device.type, where, config.trainer.precision.name)
    _log.info(
        "data        %s %s-%s: %s training pairs, %s validation pairs",
        data.name, data.src, data.tgt, f"{len(train.dataset):,}", f"{len(splits.valid.dataset):,}",
    )  # fmt: skip
    if train.dropped_empty or train.dropped_long:
        _log.info(
            "dropped     %s training pairs with an empty side, %s with more than %d pieces",
            f"{train.dropped_empty:,}", f"{train.dropped_long:,}", data.max_length,
        )  # fmt: skip
    _log.info(
        "model       %s, %s parameters, vocabulary %s",
        config.model.decoder.name,
        f"{model.n_parameters:,}",
        f"{model.output_layer.out_features:,}",
    )  # fmt: skip
    _log.info(
        "training    %s updates in at most %d epochs",
        f"{trainer.total_steps:,}", config.trainer.max_epochs,
    )  # fmt: skip
    _log.info("run         %s", trainer.run.path)
