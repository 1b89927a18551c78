"""The Python API: text in, translations out, whatever the text."""

import copy
import logging
import math
import re
import threading
import unittest.mock
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_run import tiny_corpus

from mt.data.batching import MAX_PIECES, Pair
from mt.decoding import score_ids, search_ids
from mt.translator import Translation, Translator

_SENTENCES = [source for source, _ in tiny_corpus()["test"]]


@pytest.fixture(scope="module")
def translator(attention_run: Path) -> Translator:
    return Translator.from_run(attention_run, device="cpu")


@pytest.fixture(scope="module")
def baseline(baseline_run: Path) -> Translator:
    return Translator.from_run(baseline_run, device="cpu")


def test_a_trained_run_translates(translator: Translator) -> None:
    pairs = tiny_corpus()["train"][:20]
    texts = [translation.text for translation in translator.translate([src for src, _ in pairs])]
    right = sum(text == target for text, (_, target) in zip(texts, pairs, strict=True))
    assert right >= 12, texts


def test_the_alignment_of_a_word_by_word_language_is_mostly_the_diagonal(
    translator: Translator,
) -> None:
    links = [
        link
        for translation in translator.translate(_SENTENCES)
        for link in translation.words().links  # type: ignore[union-attr]
    ]
    assert sum(source == target for source, target in links) >= 0.6 * len(links), links


def test_order_length_and_blanks_are_kept(translator: Translator) -> None:
    mixed = ["", _SENTENCES[0], "  \t ", _SENTENCES[1], "\u200b", "\u2028"]
    found = translator.translate(mixed)
    assert [bool(translation.text) for translation in found] == [0, 1, 0, 1, 0, 0]
    assert [translation.source for translation in found] == mixed
    alone = [translator.translate([sentence])[0].text for sentence in _SENTENCES[:2]]
    assert [found[1].text, found[3].text] == alone
    assert found[0] == Translation("", "", 0.0, 0.0, [], [], [])


def test_what_is_not_given_is_the_runs_own(translator: Translator) -> None:
    own = replace(translator.search, beam_size=2, length_penalty=0.3, batch_size=7)
    other = Translator(translator.models, translator.tokenizers, search=own)
    with unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as spy:
        other.translate(["bado"])
    assert spy.call_args.args[2] == own


def test_nothing_gives_nothing(translator: Translator) -> None:
    assert translator.translate([]) == []
    assert translator.translate([" "])[0].words().links == []  # type: ignore[union-attr]


def test_blank_sentences_never_reach_the_model(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        translator.models[0], "start", lambda *_: pytest.fail("the model saw a blank sentence")
    )
    assert translator.translate(["", "   "])[1].text == ""


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_changes_nothing(translator: Translator, batch_size: int) -> None:
    reference = translator.translate(_SENTENCES)
    other = translator.translate(_SENTENCES, batch_size=batch_size)
    assert [t.text for t in other] == [t.text for t in reference]
    assert [t.score for t in other] == pytest.approx([t.score for t in reference], abs=1e-4)


def test_shapes_and_scores_belong_together(translator: Translator) -> None:
    for translation in translator.translate(_SENTENCES):
        weights = translation.alignment
        assert weights is not None
        assert len(weights) == len(translation.tokens)
        assert all(len(row) == len(translation.source_tokens) for row in weights)
        assert all(0 < sum(row) <= 1 + 1e-5 for row in weights)
    tokenizers = translator.tokenizers
    source = tokenizers.src.encode(_SENTENCES[:1])[0]
    [[best]] = translator.translate_n_best(_SENTENCES[:1], n_best=1)
    target = [_id_of(translator, piece) for piece in best.tokens]
    [scored] = score_ids(translator.models[0], [Pair(source, target)])
    assert best.log_prob == pytest.approx(scored, abs=1e-3)


def _id_of(translator: Translator, piece: str) -> int:
    pieces = translator.tokenizers.tgt.pieces(list(range(translator.tokenizers.tgt.vocab_size)))
    return pieces.index(piece)


def test_n_best_is_ranked_and_begins_with_the_best(translator: Translator) -> None:
    best = translator.translate(_SENTENCES, beam_size=6)
    for first, several in zip(best, translator.translate_n_best(_SENTENCES, n_best=6), strict=True):
        scores = [translation.score for translation in several]
        assert scores == sorted(scores, reverse=True)
        assert 1 < len(several) <= 6
        assert len({tuple(translation.tokens) for translation in several}) == len(several)
        assert several[0].text == first.text


def test_the_baseline_has_no_alignment(baseline: Translator) -> None:
    translation = baseline.translate(_SENTENCES[:1])[0]
    assert translation.text
    assert translation.alignment is None
    assert translation.words() is None


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(st.characters(), max_size=12), max_size=4))
def test_any_text_gives_one_printable_line(translator: Translator, sentences: list[str]) -> None:
    found = translator.translate(sentences, beam_size=2)
    assert len(found) == len(sentences)
    for translation in found:
        assert len(translation.text.splitlines()) <= 1
        translation.text.encode("utf-8")
        translation.source.encode("utf-8")
        assert translation.words() is not None


def test_a_very_long_source_is_cut_with_a_warning(
    translator: Translator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mt.translator.MAX_PIECES", 8)
    sentence = "bado fena " * 50
    with caplog.at_level(logging.WARNING):
        [translation] = translator.translate([sentence])
    assert "cut to its first 8; split it" in caplog.text
    assert len(translation.source_tokens) == 8
    assert sentence.startswith(translation.source)
    assert len(translation.words().source_words) == len(translation.source.split())  # type: ignore[union-attr]
    assert MAX_PIECES == 1000


def test_one_string_is_refused(translator: Translator) -> None:
    for sentences in ("bado", b"bado"):
        with pytest.raises(ValueError, match=r"'bado' is one string; expected a list of them"):
            translator.translate(sentences)  # type: ignore[arg-type]


@pytest.mark.parametrize("sentence", [None, math.nan, b"bado", ["bado"]])
def test_what_is_no_string_is_named(translator: Translator, sentence: object) -> None:
    message = re.escape(f"sentences[1]={sentence!r} is not a string; expected a list of strings")
    with pytest.raises(ValueError, match=message):
        translator.translate(["bado", sentence])  # type: ignore[list-item]


def test_a_model_without_finite_scores_is_told(translator: Translator) -> None:
    [model] = map(copy.deepcopy, translator.models)
    with torch.no_grad():
        model.output_layer.bias.fill_(math.nan)
    broken = Translator([model], translator.tokenizers, search=translator.search)
    with pytest.raises(ValueError, match=r"finite probability, .* damaged: take another checkpoi"):
        broken.translate(["", "bado"])
    assert broken.translate([""])[0].text == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_best": 0}, "n_best=0: expected 1 or more"),
        ({"n_best": 4, "beam_size": 3}, "n_best=4 needs a beam of 4 or more, but beam_size=3"),
        ({"n_best": 1, "beam_size": 0}, r"search\.beam_size=0"),
        ({"n_best": 1, "length_penalty": -1.0}, r"search\.length_penalty=-1"),
        ({"n_best": 1, "batch_size": 0}, r"search\.batch_size=0"),
    ],
)
def test_options_out_of_range_are_refused(
    translator: Translator, options: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        translator.translate_n_best(["bado"], **options)  # type: ignore[arg-type]


def test_n_best_widens_a_narrow_beam_alone(translator: Translator) -> None:
    own = translator.search.beam_size
    assert own > 2
    for n_best, beam_size in ((2, own), (own + 1, own + 1)):
        with unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as spy:
            translator.translate_n_best(["bado"], n_best=n_best)
        assert spy.call_args.args[2].beam_size == beam_size


def test_the_device_is_the_one_asked_for(
    attention_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="no usable CUDA device here"):
        Translator.from_run(attention_run, device="cuda")
    assert str(Translator.from_run(attention_run, device="auto").device) == "cpu"


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing is not a run directory: it does not ex"):
        Translator.from_run(tmp_path / "nothing")


def test_threads_may_share_one(translator: Translator) -> None:
    alone = [one.text for one in translator.translate(_SENTENCES)]
    found: list[list[str]] = []

    def work() -> None:
        found.append([one.text for one in translator.translate(_SENTENCES, batch_size=4)])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone, alone]


def test_unfinished_is_what_the_length_limit_ended(translator: Translator) -> None:
    short = replace(translator.search, max_length_ratio=0.01, max_length_offset=2)
    limited = Translator(translator.models, translator.tokenizers, search=short)
    [cut, blank] = limited.translate(["bado kira fena bado", " "])
    assert len(cut.tokens) == 1
    assert limited.is_unfinished(cut)
    assert not limited.is_unfinished(blank)
    one_piece = replace(short, max_length_offset=1)
    assert not Translator(translator.models, translator.tokenizers, search=one_piece).is_unfinished(
        blank
    )
    assert not translator.is_unfinished(cut)
