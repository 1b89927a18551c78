"""A tiny parallel corpus, and a run directory trained on it in seconds, for tests."""

import random
import shutil
from pathlib import Path

from mt.choices import DecoderKind
from mt.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimConfig,
    SearchConfig,
    TokenizerConfig,
    TrainerConfig,
)
from mt.training.run import train

_SIZES = {"train": 600, "valid": 20, "test": 20}
_SOURCE = "bado fena gilo huka jemo kira lodu mipa nosu pevi ruta sogi tabe vilu wamo zedi"
_TARGET = (
    "alben ortig ufern eskal imbor oldan erkut assim "
    "unfel ippon egrad amtos otlin urbes inkal elmor"
)


def tiny_corpus() -> dict[str, list[tuple[str, str]]]:
    """Make pairs whose target is the source word by word: `bado kira` becomes `alben oldan`."""
    rng = random.Random(1)
    dictionary = dict(zip(_SOURCE.split(), _TARGET.split(), strict=True))
    splits = {}
    for split, size in _SIZES.items():
        sources = [rng.choices(_SOURCE.split(), k=rng.randint(2, 6)) for _ in range(size)]
        splits[split] = [
            (" ".join(words), " ".join(dictionary[word] for word in words)) for words in sources
        ]
    return splits


def write_tiny_corpus(directory: Path) -> Path:
    """Write the corpus as aligned text files, `train.xx`, `train.yy` and so on."""
    directory.mkdir(parents=True)
    for split, pairs in tiny_corpus().items():
        for side, language in enumerate(("xx", "yy")):
            text = "".join(pair[side] + "\n" for pair in pairs)
            (directory / f"{split}.{language}").write_text(text, encoding="utf-8")
    return directory


def tiny_config(run: Path, corpus: Path, decoder: str = "attention") -> Config:
    """Return a configuration with which the tiny corpus is learned in seconds."""
    return Config(
        run=str(run),
        data=DataConfig(name="tiny", src="xx", tgt="yy", root=str(corpus)),
        tokenizer=TokenizerConfig(vocab_size=313),
        model=ModelConfig(
            decoder=DecoderKind[decoder],
            embedding_size=32,
            encoder_size=32,
            decoder_size=64,
            attention_size=32,
            embedding_dropout=0.0,
            state_dropout=0.0,
            output_dropout=0.0,
        ),
        optim=OptimConfig(lr=5e-3, warmup_steps=10, label_smoothing=0.0),
        trainer=TrainerConfig(
            max_epochs=15, batch_tokens=250, validate_every=100, keep=0, samples=0
        ),
        search=SearchConfig(beam_size=4),
    )


def make_tiny_run(path: Path, decoder: str = "attention") -> Path:
    """Train for some seconds; the corpus lies in the run directory too, in `path/corpus`."""
    corpus = write_tiny_corpus(path.with_name(f"{path.name}-corpus"))
    train(tiny_config(path, corpus, decoder))
    corpus.rename(path / "corpus")
    return _rename(path, corpus, path / "corpus")


def copy_run(run: Path, path: Path) -> Path:
    """Copy a run directory and the corpus in it."""
    shutil.copytree(run, path)
    return _rename(path, run, path)


def _rename(run: Path, old: Path, new: Path) -> Path:
    """Let a run's configuration name another folder."""
    config = run / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(str(old), str(new)), encoding="utf-8")
    return run
