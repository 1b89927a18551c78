"""One training run from its configuration: data, tokenizers, model, trainer."""

import dataclasses
import logging
import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch

from mt.checkpoint import RunDirectory
from mt.choices import Normalization
from mt.config import Config, TokenizerConfig
from mt.cores import available_cores
from mt.data.batching import BatchLoader, Pair, cut_pairs
from mt.data.corpus import load_split
from mt.data.encoding import EncodedSplit, encode_split, ids_hash
from mt.data.sampling import BatchSampler
from mt.data.tokenizer import Tokenizer, TokenizerPair, train_tokenizers
from mt.device import keep_freed_memory, select_device
from mt.models.seq2seq import build_model
from mt.training.progress import Outcome
from mt.training.trainer import Trainer
from mt.training.validation import Validator
from mt.training.world import World

# This many kernels for products of different shapes are kept; torch's own 1,024 take 300 MB.
_KERNELS = "100"

_log = logging.getLogger(__name__)


class Splits(NamedTuple):
    """The encoded training and validation splits."""

    train: EncodedSplit
    valid: EncodedSplit


def train(config: Config, world: World | None = None) -> Outcome:
    """Train as configured, in a new run directory or, with `resume`, on from where one stopped.

    Args:
        config: The whole configuration.
        world: The processes that do so together; None: this one alone.

    Raises:
        ValueError, FileNotFoundError, FileExistsError: What the user can mend; the message says
            how.
        DivergenceError: The loss is not finite.
    """
    world = world or World()
    device = _set_up_device(config, world)
    run = _open_run(config, world)
    with world.local_main_first():
        raw, raw_valid = (load_split(config.data, split) for split in ("train", "valid"))
        if config.data.holdout.by is not None and config.data.holdout.test > 0:
            load_split(config.data, "test")  # that it is empty is to be known before the training
    tokenizers = world.broadcast(
        _tokenizers(config, run, raw["src"], raw["tgt"]) if world.is_writer else None
    )
    with world.local_main_first():
        splits = Splits(
            encode_split(raw, tokenizers, max_length=config.data.max_length),
            encode_split(raw_valid, tokenizers, max_length=None),
        )
    torch.manual_seed(config.seed)
    trainer = _build_trainer(config, run, tokenizers, splits, device, world)
    _report(config, trainer, splits, device)
    if world.is_writer and not config.resume:  # only now, so that a mistake leaves nothing behind
        run.create(config)
        tokenizers.save(run.path)
    with run.held() if world.is_writer else nullcontext():
        if config.resume:
            trainer.resume()
            _log.info("going on after update %d", trainer.progress.step)
            if world.is_writer:  # the next resumption goes on from what this one was told
                run.write_config(dataclasses.replace(config, resume=False))
        return trainer.fit()


def _set_up_device(config: Config, world: World) -> torch.device:
    """Choose device and threads, so that the processes of one machine share it."""
    keep_freed_memory()
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KERNELS)
    device = select_device(config.trainer.device.name)
    if device.type == "cuda" and world.size > 1:
        if world.local_rank >= torch.cuda.device_count():
            raise ValueError(
                f"{world.local_size} processes on this machine have {torch.cuda.device_count()} "
                "CUDA devices: start as many, or set trainer.device=cpu"
            )
        device = torch.device("cuda", world.local_rank)
        torch.cuda.set_device(device)
    threads = config.trainer.threads
    if threads is None and world.size > 1:
        threads = max(1, available_cores() // world.local_size)
    if threads is not None:
        torch.set_num_threads(threads)
    return device


def _open_run(config: Config, world: World) -> RunDirectory:
    if config.resume:
        return RunDirectory.open(config.run)
    return RunDirectory.new(config.run) if world.is_writer else RunDirectory(config.run)


def _tokenizers(
    config: Config, run: RunDirectory, src: Sequence[str], tgt: Sequence[str]
) -> TokenizerPair:
    if config.resume:
        return run.load_tokenizers()
    return train_tokenizers(src, tgt, config.tokenizer)


def _build_trainer(
    config: Config,
    run: RunDirectory,
    tokenizers: TokenizerPair,
    splits: Splits,
    device: torch.device,
    world: World,
) -> Trainer:
    model = build_model(
        config.model,
        src_vocab_size=tokenizers.src.vocab_size,
        tgt_vocab_size=tokenizers.tgt.vocab_size,
    )
    return Trainer(
        config,
        model.to(device),
        run=run,
        loader=_build_loader(config, tokenizers, splits, world),
        validator=_build_validator(config, tokenizers, splits, device, world),
        tokenizers=tokenizers,
        device=device,
        world=world,
    )


def _build_loader(
    config: Config, tokenizers: TokenizerPair, splits: Splits, world: World
) -> BatchLoader:
    """Build the training loader, and check that all processes have the same data."""
    sampler = BatchSampler(
        splits.train.src_lengths,
        splits.train.tgt_lengths,
        batch_tokens=config.trainer.batch_tokens,
        seed=config.seed,
        content=ids_hash(splits.train) + ids_hash(splits.valid),
        together=config.trainer.accumulate,
    )
    places = world.gather([sampler.state_dict()["check"]])
    if len(set(places)) > 1:
        raise ValueError(
            "the processes do not see the same data: give all machines the same files, "
            "by data.root or from the public home"
        )
    return BatchLoader(
        splits.train,
        sampler,
        tokenizers=tokenizers,
        sample_alpha=config.tokenizer.sample_alpha,
        seed=config.seed,
        accumulate=config.trainer.accumulate,
        rank=world.rank,
        size=world.size,
    )


def _build_validator(
    config: Config, tokenizers: TokenizerPair, splits: Splits, device: torch.device, world: World
) -> Validator:
    valid = splits.valid.dataset
    pairs = [Pair(*ids) for ids in zip(valid["src_ids"][:], valid["tgt_ids"][:], strict=True)]
    if world.is_writer and config.tokenizer.normalization is not Normalization.identity:
        _look_for_changed_text(pairs, valid["tgt"][:], tokenizers.tgt, config.tokenizer)
    return Validator(
        cut_pairs(pairs, where="validation"),
        valid["tgt"][:],
        language=config.data.tgt,
        tokenizer=tokenizers.tgt,
        search=dataclasses.replace(config.search, beam_size=config.trainer.validation_beam_size),
        device=device,
        world=world,
    )


def _look_for_changed_text(
    pairs: Sequence[Pair], references: Sequence[str], tokenizer: Tokenizer, config: TokenizerConfig
) -> None:
    """Warn if translations cannot equal the references because the tokenizer changes their text."""
    n_changed = sum(
        bool(pair.tgt) and tokenizer.decode(pair.tgt).split() != reference.split()
        for pair, reference in zip(pairs, references, strict=True)
    )
    if 10 * n_changed > len(pairs):
        _log.warning(
            "%s of %s validation references have characters that tokenizer.normalization=%s writes "
            "differently, so that no translation can equal them; "
            "tokenizer.normalization=identity keeps them all",
            f"{n_changed:,}", f"{len(pairs):,}", config.normalization.name,
        )  # fmt: skip


def _report(config: Config, trainer: Trainer, splits: Splits, device: torch.device) -> None:
    data, train, model = config.data, splits.train, trainer.model
    where = f"threads: {torch.get_num_threads()}"
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    if trainer.world.size > 1:
        where = f"processes: {trainer.world.size}, {where} each"
    _log.info("device      %s (%s), %s", device.type, where, trainer.precision)
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
        "model       %s%s, %s parameters, vocabulary %s",
        config.model.decoder.name,
        "" if model.lexical is None else ", lexical",
        f"{model.n_parameters:,}",
        f"{model.output_layer.out_features:,}",
    )  # fmt: skip
    _log.info(
        "training    %s updates in at most %d epochs",
        f"{trainer.total_steps:,}", config.trainer.max_epochs,
    )  # fmt: skip
    _log.info("run         %s", trainer.run.path)
    if config.optim.warmup_steps >= trainer.total_steps:
        _log.warning(
            "the learning rate rises until the end and stays below optim.lr: there are %d updates, "
            "and optim.warmup_steps=%d; lower it, or train for more epochs",
            trainer.total_steps,
            config.optim.warmup_steps,
        )
