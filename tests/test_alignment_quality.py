"""Attention against gold alignments: counted right, read right, and shown by the commands."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_run import tiny_corpus

from mt.alignment import WordAlignment, read_pharaoh, word_of_piece
from mt.alignment_quality import compare_links, diagonal_links, measure_alignment
from mt.checkpoint import RunDirectory
from mt.choices import TokenizerKind
from mt.cli import compare, evaluate
from mt.config import DataConfig, TokenizerConfig
from mt.data.batching import Pair
from mt.data.tokenizer import train_tokenizers
from mt.decoding import forced_attention
from mt.evaluation import load_system
from mt.evaluation_set import load_evaluation_set


def phrasebook(**options: Any) -> DataConfig:
    languages = {"src": "en", "tgt": "de"} | options
    return DataConfig(
        name="phrasebook", home="embedded:phrasebook", path="{split}.{lang}.gz",
        alignment="{split}.align.gz", alignment_src="en", **languages,
    )  # fmt: skip


def test_links_and_mass_are_counted_by_hand():
    alignment = WordAlignment(
        ["a", "b", "c"], ["x", "y"], np.array([[0.7, 0.2, 0.0], [0.5, 0.1, 0.3]])
    )
    assert alignment.links == [(0, 0), (0, 1)]
    quality = compare_links([alignment], [[(0, 0), (1, 1), (2, 1)]])
    assert quality.error_rate == pytest.approx(1 - 2 * 1 / (2 + 3))
    assert quality.mass == pytest.approx((0.7 + 0.1 + 0.3) / 2)


def test_sentences_count_by_their_links_and_a_word_without_gold_has_no_mass():
    one = WordAlignment(["a"], ["x"], np.array([[0.9]]))
    two = WordAlignment(["a", "b"], ["x", "y"], np.array([[0.9, 0.1], [0.2, 0.8]]))
    quality = compare_links([one, two], [[(0, 0)], [(1, 1)]])
    assert quality.error_rate == pytest.approx(1 - 2 * 2 / (3 + 2))
    assert quality.mass == pytest.approx((0.9 + 0.8) / 2)
    assert compare_links([one], [[(0, 0), (0, 0)]]) == compare_links([one], [[(0, 0)]])
    assert compare_links([], []) == (1.0, 0.0, 1.0, 1.0)


def test_the_yardsticks_are_those_of_the_gold_links_whatever_attention_does():
    """Of four target words one is linked twice and one not at all; the diagonal finds two links."""
    gold = [(0, 0), (2, 1), (1, 2), (2, 2)]
    looking_nowhere = WordAlignment(["a", "b", "c"], list("wxyz"), np.zeros((4, 3)))
    blank = WordAlignment([], ["x"], np.zeros((1, 0)))
    quality = compare_links([looking_nowhere, blank], [gold, []])
    assert quality.error_rate == 1.0
    assert diagonal_links(4, 3) == [(0, 0), (1, 1), (1, 2), (2, 3)]
    assert quality.diagonal == pytest.approx(1 - 2 * 2 / (4 + 4))
    assert quality.least == pytest.approx(1 - 2 * 3 / (4 + 4))


@given(st.integers(1, 30), st.integers(1, 30))
def test_a_diagonal_never_turns_back_or_leaves_the_sentence(n: int, m: int):
    links = diagonal_links(n, m)
    assert [target for _, target in links] == list(range(n))
    sources = [source for source, _ in links]
    assert sources == sorted(sources) and min(sources) >= 0 and max(sources) < m
    if n == m:
        assert links == [(i, i) for i in range(n)]


def test_attention_that_learned_a_dictionary_finds_its_words(attention_run, baseline_run):
    system = load_system(attention_run, device="cpu")
    data = load_evaluation_set(system.config.data, "test")
    targets = [group[0] for group in data.references]
    straight = [[(word, word) for word in range(len(text.split()))] for text in targets]
    shifted = [[(word, (word + 1) % len(links)) for word, _ in links] for links in straight]
    model, tokenizers = system.translator.models[0], system.translator.tokenizers
    right, wrong = (
        measure_alignment(model, tokenizers, data.sources, targets, gold)
        for gold in (straight, shifted)
    )
    assert right.error_rate < wrong.error_rate - 0.2
    assert right.mass > wrong.mass + 0.2
    other = load_system(baseline_run, device="cpu").translator
    gold = (data.sources, targets, straight)
    assert measure_alignment(other.models[0], other.tokenizers, *gold) is None


def test_each_side_is_cut_by_its_own_vocabulary(tmp_path, monkeypatch):
    sources, targets = zip(*tiny_corpus()["train"], strict=True)
    config = TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=300, joint=False)
    tokenizers = train_tokenizers(sources, targets, config, cache_dir=tmp_path)

    def straight(model, pairs, **_):
        """Let every piece look at the pieces of the word that stands at its own place."""
        for pair, source, target in zip(pairs, sources, targets, strict=True):
            assert tokenizers.src.decode(pair.src) == source
            assert tokenizers.tgt.decode(pair.tgt) == target
            src = word_of_piece(tokenizers.src.pieces(pair.src), source)
            tgt = word_of_piece(tokenizers.tgt.pieces(pair.tgt), target)
            same = torch.tensor([[float(one == other) for other in src] for one in tgt])
            yield same / same.sum(dim=1, keepdim=True).clamp(min=1)

    monkeypatch.setattr("mt.alignment_quality.forced_attention", straight)
    gold = [[(word, word) for word in range(len(source.split()))] for source in sources]
    quality = measure_alignment(None, tokenizers, sources, targets, gold)
    assert (quality.error_rate, quality.mass) == (pytest.approx(0), pytest.approx(1))


def test_forced_attention_does_not_depend_on_the_neighbours(attention_run):
    model = load_system(attention_run, device="cpu").translator.models[0]
    pairs = [Pair([5, 6, 7, 8], [9, 10]), Pair([11], [12, 13, 14]), Pair([5, 9], [6])]
    together = forced_attention(model, pairs)
    alone = [forced_attention(model, [pair])[0] for pair in pairs]
    assert [tuple(weights.shape) for weights in together] == [(2, 4), (3, 1), (1, 2)]
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b)


def test_pairs_too_long_to_look_at_are_left_out(attention_run, caplog):
    translator = load_system(attention_run, device="cpu").translator
    pairs, gold = tiny_corpus()["test"][:4], [[(0, 0)]] * 4
    sources, targets = map(list, zip(*pairs, strict=True))

    def measure(sources, targets, gold):
        [model] = translator.models
        return measure_alignment(model, translator.tokenizers, sources, targets, gold)

    alone = measure(sources, targets, gold)
    long = " ".join(["bado"] * 2000)
    assert not caplog.messages
    assert measure([long, *sources], ["alben", *targets], [[(1999, 0)], *gold]) == alone
    assert caplog.messages == [
        "1 pairs with more than 1000 pieces on a side have no part in the alignment error rate"
    ]
    assert measure([long], ["alben"], [[(1999, 0)]]) is None


def test_the_phrasebook_brings_its_gold_links_in_both_directions():
    there = load_evaluation_set(phrasebook(), "test")
    back = load_evaluation_set(phrasebook(src="de", tgt="en"), "test")
    assert there.alignments[0][:4] == [(0, 0), (1, 1), (2, 2), (2, 7)]
    flipped = [[(j, i) for i, j in links] for links in there.alignments]
    assert back.alignments == flipped
    assert load_evaluation_set(replace(phrasebook(), alignment=None), "test").alignments is None
    renamed = phrasebook(splits={"final": "test"})
    assert load_evaluation_set(renamed, "final").alignments == there.alignments


@pytest.mark.parametrize("line", ["0-", "0 1", "0-1-2", "a-b", "-1-0", "²-0"])
def test_what_is_no_link_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"is no link: expected source-target, such as 0-0"):
        read_pharaoh(line)


@pytest.fixture
def aligned_run(attention_run: Path, tmp_path: Path) -> Path:
    """Give the tiny run a copy of its corpus that has gold links."""
    config = RunDirectory.open(attention_run).load_config()
    for split in ("train", "valid", "test"):
        for language in ("xx", "yy"):
            text = Path(config.data.root, f"{split}.{language}").read_text(encoding="utf-8")
            (tmp_path / f"{split}.{language}").write_text(text, encoding="utf-8")
    lines = (tmp_path / "test.xx").read_text(encoding="utf-8").splitlines()
    links = [" ".join(f"{i}-{i}" for i in range(len(line.split()))) for line in lines]
    (tmp_path / "test.links").write_text("\n".join(links) + "\n", encoding="utf-8")
    config.run = str(tmp_path / "run")
    config.data = replace(
        config.data, root=str(tmp_path), alignment="{split}.links", alignment_src="xx"
    )
    run = RunDirectory.new(config.run)
    run.create(config)
    for name in ("tokenizer.model", "checkpoints/best.pt"):
        (run.path / name).write_bytes((attention_run / name).read_bytes())
    return run.path


def test_mt_evaluate_shows_the_error_rate(aligned_run, capsys):
    assert evaluate.main([str(aligned_run), "--device=cpu"]) == 0
    table = capsys.readouterr().out
    assert "alignment error" in table
    assert re.search(r"attention +[\d.]+% +on the gold words", table)
    assert evaluate.main([str(aligned_run), "--device=cpu", "--precision=bf16", "--json"]) == 0
    [result] = json.loads(capsys.readouterr().out)
    assert 0 <= result["alignment"]["error_rate"] < 0.9
    assert 0 < result["alignment"]["mass"] <= 1


def test_mt_compare_shows_the_error_rate_where_there_is_attention(
    aligned_run, baseline_run, tmp_path, capsys
):
    folder = tmp_path / "comparison"
    assert compare.main([str(aligned_run), str(baseline_run), f"--output={folder}"]) == 0
    table = capsys.readouterr().out
    assert "AER: alignment error rate" in table
    column = table.splitlines()[2].split("  ")
    assert "AER" in [cell.strip() for cell in column]
    header, *rows = [line.split() for line in table.splitlines()[2:] if line.strip()]
    with_attention, without = (
        next(row for row in rows if row[0] == run.name) for run in (aligned_run, baseline_run)
    )
    assert 0 < float(with_attention[header.index("AER")]) < 1
    assert without[header.index("AER")] == "-"
    assert "AER" in (folder / "report.md").read_text(encoding="utf-8")


def test_faults_of_an_alignment_file_are_named(aligned_run, capsys):
    links = aligned_run.parent / "test.links"
    whole = links.read_text(encoding="utf-8")
    first, rest = whole.split("\n", 1)
    n_words = len(first.split())
    for text, message in (
        (whole + "0-0\n", "has 21 lines, but the split test has 20 pairs"),
        ("0-0 x\n" + rest, "line 1: 'x' is no link"),
        (f"{n_words}-0\n" + rest, f"line 1: xx word {n_words} and yy word 0 are linked, but"),
        (f"0-{n_words}\n" + rest, f"the sentences have {n_words} and {n_words} words: words are"),
    ):
        links.write_text(text, encoding="utf-8")
        assert evaluate.main([str(aligned_run), "--device=cpu"]) == 1
        assert message in capsys.readouterr().err


def test_links_the_other_way_round_are_told_from_links_counted_from_1(tmp_path):
    for name, text in (("test.xx", "a b c\n"), ("test.yy", "d\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    data = DataConfig(
        name="x", src="xx", tgt="yy", root=str(tmp_path), path="{split}.{lang}",
        alignment="{split}.links", alignment_src="xx", splits={"train": "train", "test": "test"},
    )  # fmt: skip
    for links, is_swapped in (("0-2", True), ("1-1", False), ("3-1", False)):
        (tmp_path / "test.links").write_text(f"{links}\n", encoding="utf-8")
        with pytest.raises(ValueError, match="words are counted from 0") as raised:
            load_evaluation_set(data, "test")
        assert ("data.alignment_src=xx must be the language" in str(raised.value)) == is_swapped


def test_a_split_without_gold_links_has_no_error_rate(aligned_run, capsys, caplog):
    splits = ["--split=valid", "--split=test"]
    assert evaluate.main([str(aligned_run), "--device=cpu", "--json", *splits]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [result["alignment"] is not None for result in results] == [False, True]
    [warning] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warning.startswith("no alignment error rate of the split valid: ")
    assert "has no valid.links or valid.links.gz" in warning
