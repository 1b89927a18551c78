"""The configuration schema: every check has a message, and plain values come out."""

import math
import re
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import pytest

from mt.choices import DecoderKind, Format, Metric, ScoreKind, TokenizerKind, Tying
from mt.config import (
    Config,
    DataConfig,
    HoldoutConfig,
    ModelConfig,
    OptimConfig,
    SearchConfig,
    TokenizerConfig,
    TrainerConfig,
    to_plain,
)

POSITIVE = "expected a number greater than 0"
FRACTION = "expected a number from 0 up to, but not including, 1"
POSITIVE_OR_NULL = "expected a number greater than 0, or null"

REFUSED: list[tuple[type, dict[str, Any], str]] = [
    (HoldoutConfig, {"valid": 1.0}, f"data.holdout.valid=1.0: {FRACTION}"),
    (HoldoutConfig, {"test": -0.1}, f"data.holdout.test=-0.1: {FRACTION}"),
    (
        HoldoutConfig,
        {"valid": 0.5, "test": 0.5},
        "data.holdout.valid + data.holdout.test=1.0: expected a sum below 1",
    ),
    (
        DataConfig,
        {"src": "en", "tgt": "is", "alignment": "{split}.links"},
        "data.alignment_src=: expected en or is, whose words the links of data.alignment name",
    ),
    (
        DataConfig,
        {
            "src": "en",
            "tgt": "is",
            "alignment": "all.links",
            "alignment_src": "is",
            "holdout": HoldoutConfig(by="both"),
        },
        "data.holdout.by=both: expected null with data.alignment, which has a file per split",
    ),
    (DataConfig, {"max_length": 0}, f"data.max_length=0: {POSITIVE}"),
    (
        DataConfig,
        {"src": "de", "tgt": "de"},
        "data.src, data.tgt=de, de: expected two different languages",
    ),
    (TokenizerConfig, {"vocab_size": 299}, "tokenizer.vocab_size=299: expected at least 300"),
    (
        TokenizerConfig,
        {"character_coverage": 1.1},
        "tokenizer.character_coverage=1.1: expected 0.9 to 1",
    ),
    (
        TokenizerConfig,
        {"character_coverage": 0.5},
        "tokenizer.character_coverage=0.5: expected 0.9 to 1",
    ),
    (OptimConfig, {"min_lr": -1.0}, "optim.min_lr=-1.0: expected 0 up to optim.lr"),
    (
        OptimConfig,
        {"plateau_factor": 0.0},
        "optim.plateau_factor=0.0: expected a number between 0 and 1",
    ),
    (
        TokenizerConfig,
        {"sample_alpha": 1.0},
        "tokenizer.sample_alpha=1.0: expected a number from 0 up to, but not including, 1",
    ),
    (
        TokenizerConfig,
        {"sample_alpha": 0.1, "kind": TokenizerKind.bpe},
        "tokenizer.sample_alpha=0.1: expected 0 with tokenizer.kind=bpe, or tokenizer.kind=unigram",
    ),
    *(
        (ModelConfig, {name: 0}, f"model.{name}=0: {POSITIVE}")
        for name in (
            "embedding_size",
            "encoder_size",
            "encoder_layers",
            "decoder_size",
            "decoder_layers",
            "attention_size",
        )
    ),
    *(
        (ModelConfig, {name: value}, f"model.{name}={value}: {FRACTION}")
        for name in ("embedding_dropout", "state_dropout", "output_dropout", "word_dropout")
        for value in (1.0, -0.5)
    ),
    (
        ModelConfig,
        {"decoder": DecoderKind.conditional, "decoder_layers": 2},
        "model.decoder_layers=2: expected 1 with model.decoder=conditional",
    ),
    *(
        (
            ModelConfig,
            {"score": score, "decoder_size": 8, "encoder_size": 5},
            f"model.score={score.name}: expected additive or general where model.decoder_size "
            "(8) is not twice model.encoder_size (5)",
        )
        for score in (ScoreKind.dot, ScoreKind.scaled_dot, ScoreKind.tanh_dot)
    ),
    (OptimConfig, {"lr": 0.0}, f"optim.lr=0.0: {POSITIVE}"),
    (OptimConfig, {"clip_norm": -1.0}, f"optim.clip_norm=-1.0: {POSITIVE}"),
    (OptimConfig, {"label_smoothing": 1.0}, f"optim.label_smoothing=1.0: {FRACTION}"),
    *(
        (
            OptimConfig,
            {"weight_decay": value},
            f"optim.weight_decay={value}: expected a number, 0 or more",
        )
        for value in (-1.0, math.inf)
    ),
    (OptimConfig, {"warmup_steps": -1}, "optim.warmup_steps=-1: expected 0 or more"),
    (
        OptimConfig,
        {"min_lr": 0.1, "lr": 0.01},
        "optim.min_lr=0.1: expected 0 up to optim.lr (0.01)",
    ),
    (
        OptimConfig,
        {"plateau_factor": 1.0},
        "optim.plateau_factor=1.0: expected a number between 0 and 1",
    ),
    (OptimConfig, {"plateau_patience": 0}, f"optim.plateau_patience=0: {POSITIVE}"),
    *(
        (TrainerConfig, {name: 0}, f"trainer.{name}=0: {POSITIVE}")
        for name in ("max_epochs", "batch_tokens", "accumulate", "validation_beam_size")
    ),
    *(
        (TrainerConfig, {name: 0}, f"trainer.{name}=0: {POSITIVE_OR_NULL}")
        for name in ("max_steps", "processes", "threads", "validate_every", "patience")
    ),
    (TrainerConfig, {"ema_decay": 1.0}, f"trainer.ema_decay=1.0: {FRACTION}"),
    (TrainerConfig, {"keep": -1}, "trainer.keep=-1: expected 0 or more"),
    (TrainerConfig, {"samples": -1}, "trainer.samples=-1: expected 0 or more"),
    (
        TrainerConfig,
        {"keep": 0, "average": True},
        "trainer.keep=0: expected 1 or more with trainer.average=true",
    ),
    (SearchConfig, {"beam_size": 0}, f"search.beam_size=0: {POSITIVE}"),
    (SearchConfig, {"batch_size": 0}, f"search.batch_size=0: {POSITIVE}"),
    (SearchConfig, {"max_length_ratio": 0.0}, f"search.max_length_ratio=0.0: {POSITIVE}"),
    (SearchConfig, {"max_length_ratio": math.inf}, f"search.max_length_ratio=inf: {POSITIVE}"),
    *(
        (
            SearchConfig,
            {"length_penalty": value},
            f"search.length_penalty={value}: expected 0 to 10",
        )
        for value in (-1.0, 10.5, math.inf)
    ),
    (Config, {"seed": -1}, "seed=-1: expected a number from 0 to 2**63 - 1"),
    (Config, {"seed": 2**63}, f"seed={2**63}: expected a number from 0 to 2**63 - 1"),
    (SearchConfig, {"max_length_offset": 0}, "search.max_length_offset=0: expected 1 or more"),
    (
        Config,
        {"tokenizer": TokenizerConfig(joint=False)},
        "model.tying=all: expected none or output when tokenizer.joint=false: two vocabularies",
    ),
]


@pytest.mark.parametrize(("kind", "options", "message"), REFUSED)
def test_a_value_out_of_range_is_refused(kind: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        kind(**options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (HoldoutConfig, {"valid": 0.0, "test": 0.99}),
        (DataConfig, {"max_length": 1, "src": "de", "tgt": "en"}),
        (TokenizerConfig, {"vocab_size": 300, "character_coverage": 0.9}),
        (TokenizerConfig, {"sample_alpha": 0.99}),
        (ModelConfig, {"word_dropout": 0.99, "embedding_size": 1}),
        (OptimConfig, {"lr": 0.1, "min_lr": 0.1, "warmup_steps": 0}),
        (TrainerConfig, {"max_steps": None, "patience": 1, "keep": 0}),
        (TrainerConfig, {"keep": 1, "average": True}),
        (SearchConfig, {"beam_size": 1, "length_penalty": 0.0, "max_length_offset": 1}),
        (
            Config,
            {"tokenizer": TokenizerConfig(joint=False), "model": ModelConfig(tying=Tying.none)},
        ),
    ],
)
def test_values_at_the_edge_are_accepted(kind: type, options: dict[str, Any]) -> None:
    config = kind(**options)
    assert all(getattr(config, name) == value for name, value in options.items())


def test_only_bleu_is_better_when_it_is_higher() -> None:
    assert {metric.name: metric.higher_is_better for metric in Metric} == {
        "bleu": True,
        "loss": False,
    }


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in (key, *_leaves(part))]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def test_plain_values_come_out() -> None:
    config = Config(
        data=DataConfig(format=Format.tsv, split_languages={"test": ["de", "en"]}),
        model=ModelConfig(score=ScoreKind.tanh_dot),
    )
    plain = to_plain(config)
    assert {type(leaf) for leaf in _leaves(plain)} <= {str, int, float, bool, type(None)}
    assert plain["model"]["score"] == "tanh_dot"
    assert plain["data"]["format"] == "tsv"
    assert plain["data"]["split_languages"] == {"test": ["de", "en"]}
    assert list(plain) == [field.name for field in fields(Config)]


def _choices(config: object) -> set[type[Enum]]:
    found: set[type[Enum]] = set()
    for field in fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if isinstance(value, Enum):
            found.add(type(value))
        elif is_dataclass(value):
            found |= _choices(value)
    return found


def test_a_choice_is_written_as_it_is_named() -> None:
    """The name is what a command line takes and `config.yaml` holds; the value must not differ."""
    assert len(_choices(Config())) == 12
    for kind in _choices(Config()):
        for member in kind:
            assert member.value == member.name == member.name.lower()
