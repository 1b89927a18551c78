"""A run directory with a tiny trained model, made in seconds, for tests that need a real one."""

import json
import random
from pathlib import Path

import torch

from mt.checkpoint import RunDirectory, save_checkpoint
from mt.config import (
    Config,
    DataConfig,
    DecoderKind,
    ModelConfig,
    SearchConfig,
    TokenizerConfig,
)
from mt.data.batching import Pair, collate
from mt.data.tokenizer import TokenizerPair, train_tokenizers
from mt.models.loss import sequence_loss
from mt.models.seq2seq import Seq2Seq, build_model

_SIZES = {"train": 300, "valid": 20, "test": 20}
_SOURCE = "bado fena gilo huka jemo kira lodu mipa nosu pevi ruta sogi tabe vilu wamo zedi"
_TARGET = (
    "alben ortig ufern eskal imbor oldan erkut assim "
    "unfel ippon egrad amtos otlin urbes inkal elmor"
)
_EPOCHS = 18
_BATCH = 25


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


def make_tiny_run(path: Path, decoder: str = "attention") -> Path:
    """Train for some seconds and write a run directory with `best.pt` and `last.pt`.

    The corpus lies beside the checkpoints, in `path/corpus`, and the configuration points there.
    """
    config = Config(
        run=str(path),
        data=DataConfig(name="tiny", src="xx", tgt="yy", root=str(path / "corpus")),
        tokenizer=TokenizerConfig(vocab_size=306),
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
        search=SearchConfig(beam_size=4),
    )
    run = RunDirectory.create(config)
    corpus = tiny_corpus()
    _write_corpus(corpus, path / "corpus")
    sources, targets = zip(*corpus["train"], strict=True)
    tokenizers = train_tokenizers(sources, targets, config.tokenizer, cache_dir=path / "cache")
    tokenizers.save(path)
    model = _train(config, tokenizers, corpus["train"])
    for name in ("best", "last"):
        save_checkpoint(
            run.checkpoints / f"{name}.pt", {"model": model.state_dict(), "step": _steps()}
        )
    end = {"event": "end", "step": _steps(), "steps": _steps(), "seconds": 1.0}
    end |= {"tokens_per_s": 1000.0, "parameters": model.n_parameters}
    run.metrics_path.write_text(json.dumps(end) + "\n", encoding="utf-8")
    return path


def _steps() -> int:
    return _EPOCHS * _SIZES["train"] // _BATCH


def _write_corpus(corpus: dict[str, list[tuple[str, str]]], directory: Path) -> None:
    directory.mkdir()
    for split, pairs in corpus.items():
        for side, language in enumerate(("xx", "yy")):
            text = "".join(pair[side] + "\n" for pair in pairs)
            (directory / f"{split}.{language}").write_text(text, encoding="utf-8")


def _train(config: Config, tokenizers: TokenizerPair, texts: list[tuple[str, str]]) -> Seq2Seq:
    torch.manual_seed(1)
    vocab_size = tokenizers.src.vocab_size
    model = build_model(config.model, src_vocab_size=vocab_size, tgt_vocab_size=vocab_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    sources = tokenizers.src.encode([source for source, _ in texts])
    targets = tokenizers.tgt.encode([target for _, target in texts])
    pairs = [Pair(source, target) for source, target in zip(sources, targets, strict=True)]
    rng = random.Random(1)
    for _ in range(_EPOCHS):
        rng.shuffle(pairs)
        for start in range(0, len(pairs), _BATCH):
            batch = collate(pairs[start : start + _BATCH])
            features = model(batch.src, batch.src_lengths, batch.tgt_in).features
            loss = sequence_loss(features, model.output_layer, batch.tgt_out).loss
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return model
