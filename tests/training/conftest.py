"""A synthetic corpus that a tiny model learns in seconds, and a configuration for it."""

import random
from pathlib import Path

import pytest

from mt.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimConfig,
    TokenizerConfig,
    TrainerConfig,
)

WORDS = "red blue green old new big small cat dog bird sees likes".split()
ENGLISH_TO_CODE = {word: word[::-1].capitalize() for word in WORDS}


def write_corpus(directory: Path, *, train: int = 200, valid: int = 20) -> Path:
    """Write aligned text files: every target is the source's words, spelled backwards, in reverse order."""
    directory.mkdir(parents=True, exist_ok=True)
    draw = random.Random(3)
    for split, size in (("train", train), ("valid", valid), ("test", valid)):
        sources = [[draw.choice(WORDS) for _ in range(draw.randint(2, 6))] for _ in range(size)]
        targets = [[ENGLISH_TO_CODE[word] for word in reversed(source)] for source in sources]
        for language, sentences in (("en", sources), ("xx", targets)):
            text = "".join(" ".join(sentence) + "\n" for sentence in sentences)
            (directory / f"{split}.{language}").write_text(text, encoding="utf-8")
    return directory


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the synthetic corpus."""
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def config(corpus: Path, tmp_path: Path) -> Config:
    """Return a configuration that trains in a second or two."""
    return Config(
        run=str(tmp_path / "run"),
        data=DataConfig(name="toy", src="en", tgt="xx", root=str(corpus)),
        tokenizer=TokenizerConfig(vocab_size=310),
        model=ModelConfig(
            embedding_size=16, encoder_size=16, decoder_size=32, attention_size=16,
            word_dropout=0.1,
        ),
        optim=OptimConfig(lr=3e-3, warmup_steps=5),
        trainer=TrainerConfig(
            max_steps=12, max_epochs=50, batch_tokens=200, validate_every=4, ema_decay=0.9, samples=1
        ),
    )  # fmt: skip
