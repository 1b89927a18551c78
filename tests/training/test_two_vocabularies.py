"""A vocabulary for each language: every step takes that of its own side."""

import dataclasses
from typing import Any

import pytest

from mt import metrics
from mt.checkpoint import RunDirectory
from mt.choices import TokenizerKind, Tying
from mt.config import Config
from mt.data.batching import Pair
from mt.data.tokenizer import Tokenizer
from mt.decoding import search_ids
from mt.evaluation_set import encode_pairs, load_evaluation_set
from mt.training import validation
from mt.training.run import train
from mt.translator import Translator


def test_training_validation_and_translation_take_the_vocabulary_of_their_side(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[tuple[list[str], dict[str, Any]]] = []

    def bleu(texts: list[str], references: list[list[str]], **options: Any) -> metrics.Score:
        judged.append((texts, options))
        return metrics.bleu(texts, references, **options)

    monkeypatch.setattr(validation, "bleu", bleu)
    config = dataclasses.replace(
        config,
        # BPE, since a unigram model has not as many pieces for one side of so small a corpus
        tokenizer=dataclasses.replace(
            config.tokenizer, joint=False, vocab_size=320, kind=TokenizerKind.bpe
        ),
        model=dataclasses.replace(config.model, tying=Tying.none),
        trainer=dataclasses.replace(config.trainer, ema_decay=0.0, validation_beam_size=4),
    )
    train(config)
    run = RunDirectory.open(config.run)
    src, tgt = (Tokenizer((run.path / f"{side}.model").read_bytes()) for side in ("src", "tgt"))
    data = load_evaluation_set(config.data, "valid")
    sources, references = src.encode(data.sources), [group[0] for group in data.references]
    found = search_ids([run.load_model("last").model], sources, config.search)
    texts = [tgt.decode(best.tokens) for [best] in found]
    assert judged[-1] == (texts, {"language": "yy"})
    translations = Translator.from_run(run.path, checkpoint="last").translate(data.sources)
    assert [one.text for one in translations] == texts
    assert [one.tokens for one in translations] == [tgt.pieces(best.tokens) for [best] in found]
    assert [one.source_tokens for one in translations] == [src.pieces(ids) for ids in sources]
    pairs = zip(sources, tgt.encode(references), strict=True)
    assert encode_pairs(run.load_tokenizers(), data) == [Pair(*ids) for ids in pairs]
