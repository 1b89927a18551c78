"""The configuration schema: every option, its type, default, meaning and check, written once.

Hydra merges YAML files and command-line overrides into these dataclasses, so that a misspelt key or
a value of the wrong type fails before anything is built. `__post_init__` checks what types cannot
say. `mt-train --help` prints the meanings.
"""

import math
from dataclasses import dataclass, field
from typing import Any, TypeVar

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

T = TypeVar("T")

MEANING = "meaning"
"""Where `dataclasses.field.metadata` has what an option means, in a line or two."""


def _option(default: T, meaning: str) -> T:
    return field(default=default, metadata={MEANING: meaning})


def _require(condition: bool, option: str, value: object, accepted: str) -> None:
    if not condition:
        raise ValueError(f"{option}={value}: expected {accepted}")


def _require_fraction(option: str, value: float) -> None:
    _require(0.0 <= value < 1.0, option, value, "a number from 0 up to, but not including, 1")


def _require_positive(option: str, value: float) -> None:
    _require(0 < value < math.inf, option, value, "a number greater than 0")


HOLDOUT_BOTH = "both"  # of `data.holdout.by`


@dataclass
class HoldoutConfig:
    """Carve splits out of a corpus that has none, by a hash of its sentences.

    `both` keeps together, in one split, pairs that share a sentence of either language, directly or
    through other pairs, so that no test sentence and no reference leaks into training; it holds all
    sentences in memory. With a language, only that side is hashed, a sentence at a time.
    """

    by: str | None = _option(
        None, "whose sentences are hashed: both, or a language; null: the corpus has its own splits"
    )
    valid: float = _option(0.01, "share of the sentences that go to validation")
    test: float = _option(0.01, "share of the sentences that go to the test set")

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

    name: str = _option("???", "what the corpus is called, in what is printed and written")
    src: str = _option("???", "the source language, as in the names of files or columns")
    tgt: str = _option("???", "the target language")
    format: Format = _option(Format.text, "how it is stored; text: two aligned files per split")
    home: str = _option(
        "",
        "where the files are: a URL prefix, embedded:NAME for a corpus that comes with mt, or a "
        "folder; empty: the current folder",
    )
    root: str | None = _option(None, "a local folder in place of the home")
    path: str = _option(
        "{split}.{lang}",
        "files in home or root, with {split}, {lang}, {src} and {tgt} filled in; for hub the id of "
        "a dataset",
    )
    member: str | None = _option(None, "the file inside, where path is a .zip")
    alignment: str | None = _option(
        None,
        "gold word alignments, named like path: a line per pair, links i-j between word i of "
        "alignment_src's sentence and word j of the other, from 0 (Pharaoh format); null: none",
    )
    alignment_src: str = _option("", "the language whose words the links of alignment name first")
    subset: str | None = _option(None, "the configuration of a hub dataset")
    columns: dict[str, str] = field(
        default_factory=dict,
        metadata={
            MEANING: "language: its column, by name, or in a TSV by number from 0; by default "
            "named like the language"
        },
    )
    splits: dict[str, str] = field(
        default_factory=lambda: {"train": "train", "valid": "valid", "test": "test"},
        metadata={MEANING: "split: its name in path; further splits are further test sets"},
    )
    split_languages: dict[str, list[str]] = field(
        default_factory=dict,
        metadata={MEANING: "split: its languages, for splits that only some languages have"},
    )
    holdout: HoldoutConfig = field(default_factory=HoldoutConfig)
    multi_reference: bool = _option(
        False,
        "take pairs with the same source as several references for one sentence; validation "
        "during training, which chooses the checkpoint, still takes every pair by itself",
    )
    max_length: int = _option(
        128, "training pairs with more pieces than this on a side are left out"
    )

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
                "null with data.alignment, which has a file per split",
            )

    @property
    def direction(self) -> str:
        """From which language into which, such as `en-de`."""
        return f"{self.src}-{self.tgt}"


SMALLEST_VOCABULARY = 300  # of `tokenizer.vocab_size`


@dataclass
class TokenizerConfig:
    """The subword vocabulary, learned by sentencepiece from the training split."""

    kind: TokenizerKind = _option(TokenizerKind.unigram, "the subword model")
    vocab_size: int = _option(2000, "number of pieces; with joint=false, for each language")
    joint: bool = _option(True, "one vocabulary for both languages")
    character_coverage: float = _option(
        1.0, "share of the text's characters that pieces spell; the rest are spelt in bytes"
    )
    normalization: Normalization = _option(
        Normalization.nmt_nfkc,
        "nmt_nfkc writes full-width letters and punctuation, ellipses, superscripts, decomposed "
        "letters, Thai and Lao am, zero-width spaces and non-joiners in plain forms or as spaces, "
        "in translations too; identity keeps every character as it is",
    )
    sample_alpha: float = _option(
        0.0,
        "subword regularisation (Kudo 2018, 3.3) with a unigram model: every time that a training "
        "sentence comes, one of its 64 best segmentations x is drawn in proportion to "
        "P(x) ** sample_alpha; 0: off",
    )

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

    decoder: DecoderKind = _option(
        DecoderKind.attention,
        "what the decoder sees of the source: attention; conditional, attention between two "
        "transitions of one step; fixed_context, one vector, the baseline",
    )
    embedding_size: int = _option(256, "width of a piece's embedding, on either side")
    encoder_size: int = _option(256, "width of the encoder's state, in each direction")
    encoder_layers: int = _option(1, "GRU layers of the encoder")
    decoder_size: int = _option(512, "width of the decoder's state")
    decoder_layers: int = _option(1, "GRU layers of the decoder; 1 with decoder=conditional")
    score: ScoreKind = _option(
        ScoreKind.additive,
        "the attention score function; dot, scaled_dot and tanh_dot need a decoder_size of twice "
        "encoder_size",
    )
    attention_size: int = _option(256, "width of the additive score")
    input_feeding: bool = _option(
        True,
        "with decoder=attention: the context enters the next step too (a conditional decoder's "
        "state has it)",
    )
    lexical: bool = _option(
        False,
        "with attention: the source words looked at have an output layer of their own "
        "(Nguyen & Chiang 2018)",
    )
    tying: Tying = _option(
        Tying.all,
        "what shares its weights; output: target embedding and output layer; all: source "
        "embedding too, which needs a joint vocabulary",
    )
    embedding_dropout: float = _option(0.2, "on the embeddings of either side")
    state_dropout: float = _option(0.2, "on encoder states, and between recurrent layers")
    output_dropout: float = _option(0.2, "before the output layer")
    word_dropout: float = _option(
        0.0, "share of the pieces of either side that become zero vectors"
    )

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

    kind: OptimizerKind = _option(OptimizerKind.adam, "the optimizer")
    lr: float = _option(1e-3, "the learning rate after warm-up, the highest")
    weight_decay: float = _option(0.0, "of adamw; with adam it is an L2 penalty in the gradient")
    label_smoothing: float = _option(0.1, "share of the probability spread evenly over all pieces")
    clip_norm: float = _option(1.0, "gradients of a larger norm are scaled down to this one")
    schedule: ScheduleKind = _option(
        ScheduleKind.cosine, "the course of the learning rate after warm-up"
    )
    warmup_steps: int = _option(200, "updates over which the learning rate rises from near 0 to lr")
    min_lr: float = _option(1e-6, "the schedule goes no lower; cosine ends here")
    plateau_factor: float = _option(0.5, "what plateau multiplies the learning rate by")
    plateau_patience: int = _option(
        2, "validations without progress before plateau lowers the learning rate"
    )

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

    max_epochs: int = _option(
        10,
        "passes over the training data; if raised on resuming, a cosine schedule continues along "
        "the longer curve",
    )
    max_steps: int | None = _option(None, "optimizer updates; null: max_epochs alone decides")
    batch_tokens: int = _option(2000, "padded tokens of a batch, on its longer side")
    accumulate: int = _option(1, "batches per update, weighted by their tokens")
    processes: int | None = _option(
        None,
        "processes among which an update's batches are shared, a divisor of accumulate; null: the "
        "largest for which there are cores (or CUDA devices); changes speed, not what is learned",
    )
    precision: Precision = _option(
        Precision.fp32,
        "number format of large matrix products; auto: bf16 if the device has instructions for it",
    )
    device: Device = _option(Device.auto, "auto: cuda where there is one")
    threads: int | None = _option(
        None, "CPU threads of a process; null: torch's own choice, or the process's share"
    )
    validate_every: int | None = _option(None, "updates between validations; null: once an epoch")
    validation_beam_size: int = _option(1, "beam of the search that gives valid/bleu")
    metric: Metric = _option(
        Metric.bleu,
        "what decides on the best checkpoint and early stopping; while BLEU is below 1, which is "
        "noise, the loss does",
    )
    patience: int | None = _option(
        None, "validations without progress before training stops; null: it never does"
    )
    keep: int = _option(3, "checkpoints that are kept beside last.pt and best.pt")
    keep_by: Keep = _option(Keep.last, "which ones: the last, or the best by metric")
    average: bool = _option(
        False, "at the end, write the mean of the kept checkpoints as averaged.pt"
    )
    ema_decay: float = _option(
        0.0, "validate and save a moving average of the parameters, with this decay; 0: off"
    )
    samples: int = _option(
        4, "validation sentences whose translation and attention TensorBoard shows"
    )

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

    beam_size: int = _option(
        5,
        "hypotheses kept at every step, except in validation during training (see "
        "trainer.validation_beam_size); 1: greedy search",
    )
    length_penalty: float = _option(
        1.0, "alpha of Wu et al. 2016, eq. 14: higher makes translations longer"
    )
    max_length_ratio: float = _option(
        2.0,
        "a translation has at most max_length_ratio * source pieces + max_length_offset pieces",
    )
    max_length_offset: int = _option(
        10, "pieces; see max_length_ratio; the end-of-sentence symbol counts as one"
    )
    batch_size: int = _option(192, "sentences that are translated together")

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

    run: str = _option("???", "the folder of the run")
    resume: bool = _option(False, "go on from the run's last checkpoint")
    seed: int = _option(
        1, "decides initial parameters, dropout, order of the batches and sampled segmentations"
    )
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
    from omegaconf import OmegaConf  # as long to import as the rest of `mt-translate --help`

    return OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
