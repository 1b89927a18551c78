"""What an option of the configuration can be, where it is one of a few names."""

from enum import Enum


class Format(Enum):
    """How a parallel corpus is stored."""

    text = "text"  # two aligned files, one sentence per line
    tsv = "tsv"
    jsonl = "jsonl"
    parquet = "parquet"
    hub = "hub"  # a dataset of the Hugging Face hub


class TokenizerKind(Enum):
    """The subword model that sentencepiece trains."""

    unigram = "unigram"
    bpe = "bpe"


class Normalization(Enum):
    """What sentencepiece does to characters before it cuts a text, by its own names."""

    nmt_nfkc = "nmt_nfkc"
    identity = "identity"


class DecoderKind(Enum):
    """What of the source the decoder sees."""

    attention = "attention"
    conditional = "conditional"  # attention too, between two transitions of one step
    fixed_context = "fixed_context"


class ScoreKind(Enum):
    """The attention score function."""

    additive = "additive"
    dot = "dot"
    scaled_dot = "scaled_dot"
    general = "general"
    tanh_dot = "tanh_dot"


class Tying(Enum):
    """Which embedding matrices are one and the same parameter."""

    none = "none"
    output = "output"  # target embedding = output layer
    all = "all"  # source embedding too; needs a joint vocabulary


class OptimizerKind(Enum):
    """The optimizer."""

    adam = "adam"
    adamw = "adamw"


class ScheduleKind(Enum):
    """The learning rate after warm-up."""

    constant = "constant"
    inverse_sqrt = "inverse_sqrt"
    cosine = "cosine"
    plateau = "plateau"


class Precision(Enum):
    """The number format of the large matrix products; parameters and optimizer are always fp32."""

    auto = "auto"  # bf16 where the device has instructions for it, else fp32
    fp32 = "fp32"
    bf16 = "bf16"


class Device(Enum):
    """Where to compute; `auto` takes CUDA where there is one."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Keep(Enum):
    """Which checkpoints are kept beside last.pt and best.pt."""

    last = "last"  # the most recent
    best = "best"  # the best by trainer.metric


class Metric(Enum):
    """What chooses the best checkpoint and stops early."""

    bleu = "bleu"
    loss = "loss"

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value of this metric is the better one."""
        return self is Metric.bleu
