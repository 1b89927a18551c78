"""The configuration schema: every option, its type, its default and its check, written once.

Hydra merges YAML files and command-line overrides into these dataclasses, so that a misspelt key or
a value of the wrong type fails before anything is built. `__post_init__` checks what types cannot
say.
"""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mt.choices import (
    DecoderKind,
    Device,
    Format,
    Keep,
    Metric,
    Normalization,
    OptimizerKind,
    Precision,
    ScheduleKind,
    ScoreKind,
    TokenizerKind,
    Tying,
)


def _require(condition: bool, option: str, value: object, accepted: str) -> None:
    if not condition:
        raise ValueError(f"{option}={value}: accepted is {accepted}")


def _require_fraction(option: str, value: float) -> None:
    _require(0.0 <= value < 1.0, option, value, "a number from 0 up to, but not including, 1")


def _require_positive(option: str, value: float) -> None:
    _require(0 < value < math.inf, option, value, "a number greater than 0")


HOLDOUT_BOTH = "both"  # of `data.holdout.by`


@dataclass
class HoldoutConfig:
    """Carve splits out of a corpus that has none, by a hash of its sentences.

    `both` keeps pairs that share a sentence of either language in one split, directly or through
    other pairs, so that no test sentence and no reference leaks into training; it holds all
    sentences in memory. A language hashes that side alone, a sentence at a time.
    """

    by: str | None = None  # both, or one language; None: the corpus has its own splits
    valid: float = 0.01
    test: float = 0.01

    def __post_init__(self) -> None:
        _require_fraction("data.holdout.valid", self.valid)
        _require_fraction("data.holdout.test", self.test)
        _require(
            self.valid + self.test < 1,
            "data.holdout.valid + data.holdout.test",
            self.valid + self.test,
            "a sum below 1",
        )


@dataclass
class DataConfig:
    """A parallel corpus: where it is, how it is stored, which splits it has."""

    name: str = "???"
    src: str = "???"  # language codes
    tgt: str = "???"
    format: Format = Format.text
    home: str = (
        ""  # the public home: a URL prefix, or `embedded:NAME` for a corpus that comes with mt
    )
    root: str | None = None  # a local folder that takes the place of the home
    # Below home or root, with {split} {lang} {src} {tgt} filled in; for `hub` the dataset's id.
    path: str = "{split}.{lang}"
    member: str | None = None  # the file inside, where the path is a .zip
    # Gold word alignments, named like `path`: a line a pair, links i-j between word i of
    # `alignment_src`'s sentence and word j of the other (Pharaoh format). None: there are none.
    alignment: str | None = None
    alignment_src: str = ""
    subset: str | None = None  # the configuration of a hub dataset
    columns: dict[str, str] = field(
        default_factory=dict
    )  # language -> column (a name, or a number from 0 in a TSV)
    splits: dict[str, str] = field(
        default_factory=lambda: {"train": "train", "valid": "valid", "test": "test"}
    )
    split_languages: dict[str, list[str]] = field(
        default_factory=dict
    )  # splits that only some languages have
    holdout: HoldoutConfig = field(default_factory=HoldoutConfig)
    # Pairs with the same source are several references of one sentence; validation in training,
    # which chooses the checkpoint, takes every pair by itself.
    multi_reference: bool = False
    max_length: int = 128  # training pairs with more pieces than this on a side are dropped

    def __post_init__(self) -> None:
        _require_positive("data.max_length", self.max_length)
        _require(
            self.src != self.tgt or self.src == "???",
            "data.src, data.tgt",
            f"{self.src}, {self.tgt}",
            "two different languages",
        )
        if self.alignment is not None:
            _require(
                self.alignment_src in (self.src, self.tgt),
                "data.alignment_src",
                self.alignment_src,
                f"{self.src} or {self.tgt}, whose words the links of data.alignment name first",
            )
            _require(
                self.holdout.by is None,
                "data.holdout.by",
                self.holdout.by,
                "null with data.alignment, which has a file a split",
            )

    @property
    def direction(self) -> str:
        """From which language into which, such as `en-de`."""
        return f"{self.src}-{self.tgt}"


SMALLEST_VOCABULARY = 300  # of `tokenizer.vocab_size`


@dataclass
class TokenizerConfig:
    """The subword vocabulary, learned by sentencepiece from the training split."""

    kind: TokenizerKind = TokenizerKind.unigram
    vocab_size: int = 2000
    joint: bool = True  # one model for both languages
    character_coverage: float = 1.0
    # NFKC writes full-width letters and punctuation, superscripts and special spaces in their plain
    # forms, in translations too; identity keeps every character as it is.
    normalization: Normalization = Normalization.nmt_nfkc
    # Subword regularisation (Kudo 2018, 3.3): at training time every sentence is cut anew each time
    # it comes. Of its 64 best segmentations, x is drawn with a probability proportional to
    # P(x) ** sample_alpha. Only a unigram model has these probabilities. 0 is off.
    sample_alpha: float = 0.0

    def __post_init__(self) -> None:
        _require(
            self.vocab_size >= SMALLEST_VOCABULARY,
            "tokenizer.vocab_size",
            self.vocab_size,
            f"at least {SMALLEST_VOCABULARY} (256 bytes and the special symbols come first)",
        )
        _require(
            0.9 <= self.character_coverage <= 1.0,
            "tokenizer.character_coverage",
            self.character_coverage,
            "0.9 to 1",
        )
        _require_fraction("tokenizer.sample_alpha", self.sample_alpha)
        _require(
            self.sample_alpha == 0 or self.kind is TokenizerKind.unigram,
            "tokenizer.sample_alpha",
            self.sample_alpha,
            f"0 with tokenizer.kind={self.kind.name}, or tokenizer.kind=unigram",
        )


@dataclass
class ModelConfig:
    """Sizes and parts of the encoder-decoder."""

    decoder: DecoderKind = DecoderKind.attention
    embedding_size: int = 256
    encoder_size: int = 256  # per direction
    encoder_layers: int = 1
    decoder_size: int = 512
    decoder_layers: int = 1
    score: ScoreKind = ScoreKind.additive
    attention_size: int = 256  # width of the additive score
    input_feeding: bool = True  # of decoder=attention; the conditional's state has the context
    lexical: bool = False  # with attention: the words looked at vote for their translations
    tying: Tying = Tying.all
    embedding_dropout: float = 0.2
    state_dropout: float = 0.2  # on encoder states, and between recurrent layers
    output_dropout: float = 0.2
    word_dropout: float = 0.0  # whole words of either side replaced by zero vectors

    def __post_init__(self) -> None:
        for name in (
            "embedding_size",
            "encoder_size",
            "encoder_layers",
            "decoder_size",
            "decoder_layers",
            "attention_size",
        ):
            _require_positive(f"model.{name}", getattr(self, name))
        _require(
            self.decoder_layers == 1 or self.decoder is not DecoderKind.conditional,
            "model.decoder_layers",
            self.decoder_layers,
            "1 with model.decoder=conditional",
        )
        _require(
            self.decoder is DecoderKind.fixed_context
            or self.score in (ScoreKind.additive, ScoreKind.general)
            or self.decoder_size == 2 * self.encoder_size,
            "model.score",
            self.score.name,
            f"additive or general where model.decoder_size ({self.decoder_size}) is not twice "
            f"model.encoder_size ({self.encoder_size})",
        )
        for name in ("embedding_dropout", "state_dropout", "output_dropout", "word_dropout"):
            _require_fraction(f"model.{name}", getattr(self, name))


@dataclass
class OptimConfig:
    """The optimizer, the loss and the learning-rate schedule."""

    kind: OptimizerKind = OptimizerKind.adam
    lr: float = 1e-3
    weight_decay: float = 0.0
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    schedule: ScheduleKind = ScheduleKind.cosine
    warmup_steps: int = 200
    min_lr: float = 1e-6
    plateau_factor: float = (
        0.5  # multiply the rate by this after `plateau_patience` validations without progress
    )
    plateau_patience: int = 2

    def __post_init__(self) -> None:
        _require_positive("optim.lr", self.lr)
        _require_positive("optim.clip_norm", self.clip_norm)
        _require_fraction("optim.label_smoothing", self.label_smoothing)
        _require(
            0 <= self.weight_decay < math.inf,
            "optim.weight_decay",
            self.weight_decay,
            "a number, 0 or more",
        )
        _require(self.warmup_steps >= 0, "optim.warmup_steps", self.warmup_steps, "0 or more")
        _require(
            0 <= self.min_lr <= self.lr,
            "optim.min_lr",
            self.min_lr,
            f"0 up to optim.lr ({self.lr})",
        )
        _require(
            0 < self.plateau_factor < 1,
            "optim.plateau_factor",
            self.plateau_factor,
            "a number between 0 and 1",
        )
        _require_positive("optim.plateau_patience", self.plateau_patience)


@dataclass
class TrainerConfig:
    """The training loop: how long, how large the batches, how often to validate and save."""

    max_epochs: int = 10  # with more on resuming, a cosine rate goes on along the longer curve
    max_steps: int | None = None  # optimizer updates; None: max_epochs alone decides
    batch_tokens: int = 2000  # padded tokens of the longer side, a batch
    accumulate: int = 1  # batches an update, weighted by their tokens
    # Processes that share an update's batches out, a divisor of `accumulate`; None: the largest for
    # which there are cores (or CUDA devices). Their number changes the speed, not what is learned.
    processes: int | None = None
    precision: Precision = Precision.fp32  # auto: bf16 where the device multiplies it
    device: Device = Device.auto
    threads: int | None = None  # CPU threads of a process; None: torch's own choice, or its share
    validate_every: int | None = None  # updates; None: once an epoch
    validation_beam_size: int = 1  # beam of the search that gives valid/bleu
    # Chooses the best checkpoint and stops early; of BLEU below 1, which is noise, the loss does.
    metric: Metric = Metric.bleu
    patience: int | None = None  # validations without progress before stopping; None: never
    keep: int = 3  # checkpoints kept beside last.pt and best.pt
    keep_by: Keep = Keep.last  # which ones
    average: bool = False  # at the end, write the mean of the kept checkpoints as averaged.pt
    ema_decay: float = 0.0  # judge and keep a moving average of the parameters; 0: off
    samples: int = 4  # validation sentences whose translation and attention TensorBoard shows

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_tokens", "accumulate", "validation_beam_size"):
            _require_positive(f"trainer.{name}", getattr(self, name))
        for name in ("max_steps", "processes", "threads", "validate_every", "patience"):
            value = getattr(self, name)
            _require(
                value is None or value > 0,
                f"trainer.{name}",
                value,
                "a number greater than 0, or null",
            )
        _require(
            self.processes is None or self.accumulate % self.processes == 0,
            "trainer.processes",
            self.processes,
            f"a divisor of trainer.accumulate ({self.accumulate}), the batches of an update, which "
            "the processes share out",
        )
        _require_fraction("trainer.ema_decay", self.ema_decay)
        _require(self.keep >= 0, "trainer.keep", self.keep, "0 or more")
        _require(self.samples >= 0, "trainer.samples", self.samples, "0 or more")
        _require(
            self.keep > 0 or not self.average,
            "trainer.keep",
            self.keep,
            "1 or more with trainer.average=true",
        )


HIGHEST_LENGTH_PENALTY = 10  # of `search.length_penalty`


@dataclass
class SearchConfig:
    """Beam search; a beam of 1 is greedy search."""

    beam_size: int = 5
    length_penalty: float = 1.0  # alpha of Wu et al. 2016, eq. 14
    # A translation has at most ratio * source pieces + offset pieces, EOS included.
    max_length_ratio: float = 2.0
    max_length_offset: int = 10
    batch_size: int = 192  # sentences

    def __post_init__(self) -> None:
        _require_positive("search.beam_size", self.beam_size)
        _require_positive("search.batch_size", self.batch_size)
        _require(
            0 <= self.length_penalty <= HIGHEST_LENGTH_PENALTY,
            "search.length_penalty",
            self.length_penalty,
            f"0 to {HIGHEST_LENGTH_PENALTY}",
        )
        _require_positive("search.max_length_ratio", self.max_length_ratio)
        _require(
            self.max_length_offset >= 1,
            "search.max_length_offset",
            self.max_length_offset,
            "1 or more",
        )


@dataclass
class Config:
    """Everything a run is made from; saved as `config.yaml` in the run directory."""

    run: str = "???"  # the run directory
    resume: bool = False
    seed: int = 1
    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 2**63, "seed", self.seed, "a number from 0 to 2**63 - 1")
        _require(
            self.tokenizer.joint or self.model.tying is not Tying.all,
            "model.tying",
            "all",
            "none or output when tokenizer.joint=false: two vocabularies share no embedding",
        )


def to_plain(config: Any) -> Any:
    """Turn a config into dicts, lists, strings and numbers, Enum members by name."""
    if isinstance(config, Enum):
        return config.name
    if hasattr(config, "__dataclass_fields__"):
        return {name: to_plain(getattr(config, name)) for name in config.__dataclass_fields__}
    if isinstance(config, dict):
        return {key: to_plain(value) for key, value in config.items()}
    if isinstance(config, list):
        return [to_plain(value) for value in config]
    return config
