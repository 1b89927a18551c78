"""Scores agree with sacreBLEU's own, keep references apart, and name their mistakes."""

import gzip
import os
import unittest.mock
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu import corpus_bleu, corpus_chrf, corpus_ter
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest

from mt import metrics

HYPOTHESES = ["The dog barks at the man.", "A cat sleeps on the sofa now.", "Two men walk."]
REFERENCES = [
    ["The dog barks at the man."],
    ["A cat is sleeping on the sofa.", "A cat sleeps on a sofa now."],
    ["Two men walk along.", "Two men are walking.", "Two men walk!"],
]

sentences = st.lists(
    st.text(alphabet="abc .,", min_size=1, max_size=20).map(lambda text: text + "a"),
    min_size=1,
    max_size=6,
)


@given(sentences)
@settings(max_examples=30, deadline=None)
def test_a_perfect_translation_gets_the_best_scores(lines):
    references = [[line] for line in lines]
    assert metrics.chrf(lines, references).value == pytest.approx(100)
    assert metrics.ter(lines, references).value == 0


def test_bleu_of_equal_text_is_100_and_of_other_text_is_0():
    lines = ["the quick brown fox jumps over it"] * 3
    assert metrics.bleu(lines, [[line] for line in lines]).value == pytest.approx(100)
    assert metrics.bleu(lines, [["nothing of that"]] * 3).value == 0


def test_scores_are_those_of_sacrebleu_on_one_reference():
    references = [group[0] for group in REFERENCES]
    groups = [[line] for line in references]
    for ours, theirs in (
        (metrics.bleu, corpus_bleu),
        (metrics.chrf, corpus_chrf),
        (metrics.ter, corpus_ter),
    ):
        assert ours(HYPOTHESES, groups).value == theirs(HYPOTHESES, [references]).score


def test_a_varying_number_of_references_is_used_and_said_in_the_signature():
    score = metrics.bleu(HYPOTHESES, REFERENCES)
    assert "nrefs:var" in score.signature
    first_only = metrics.bleu(HYPOTHESES, [group[:1] for group in REFERENCES])
    assert "nrefs:1" in first_only.signature
    assert score.value > first_only.value
    # The perfect reference counts in whatever place of its list it stands.
    swapped = metrics.bleu(HYPOTHESES, [group[::-1] for group in REFERENCES])
    assert swapped.value == pytest.approx(score.value)


def test_a_missing_reference_is_not_an_empty_one():
    references = [["a b", "a b"], ["a b"]]  # an empty one would shorten the mean: 66.7
    assert metrics.ter(["a c"] * 2, references).value == pytest.approx(50)


def test_a_score_has_its_signature():
    score = metrics.bleu(HYPOTHESES, REFERENCES)
    assert score.name == "BLEU"
    assert score.signature.startswith("nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:")


def test_case_counts():
    assert metrics.bleu(["THE QUICK BROWN FOX"], [["the quick brown fox"]]).value == 0


def test_line_breaks_inside_a_sentence_do_not_change_the_score():
    broken = [line.replace(" ", "\n", 1).replace(" ", "\r", 1) for line in HYPOTHESES]
    for score in (metrics.bleu, metrics.chrf, metrics.ter):
        assert score(broken, REFERENCES) == score(HYPOTHESES, REFERENCES)


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("de", "13a"),
        ("", "13a"),
        ("zh", "zh"),
        ("zh_CN", "zh"),
        ("zh-Hans", "zh"),
        ("cmn", "zh"),
        ("th", "char"),
        ("tha", "char"),
        ("TH", "char"),
    ],
)
def test_the_tokenizer_follows_the_language(language, name):
    assert metrics.bleu_tokenizer(language) == name
    score = metrics.bleu(HYPOTHESES, REFERENCES, language=language)
    assert f"|tok:{name}" in score.signature


def test_edits_of_text_without_spaces_are_of_characters():
    hypotheses, references = ["我喜欢狗"], [["我喜欢猫"]]
    score = metrics.ter(hypotheses, references, language="zh")
    assert (score.value, "asian:yes" in score.signature) == (25, True)
    assert metrics.ter(hypotheses, references, language="de").value == 100


@pytest.mark.parametrize("language", ["th", "th-TH", "lao", "km", "mya"])
def test_a_language_whose_words_cannot_be_told_apart_has_no_ter(language):
    assert not metrics.has_ter(language)
    assert metrics.ter(["ฉันรักแมวมาก"], [["ฉันรักหมามาก"]], language=language).value == 100
    for other in ("de", "zh", "ja", "ko", ""):
        assert metrics.has_ter(other)


@pytest.mark.parametrize("language", ["cn", "yue_Hant", "lzh", "jp", "bo", "dzo"])
def test_other_codes_of_languages_without_spaces_are_known(language):
    assert not metrics.sets_spaces(language)


def test_text_without_spaces_under_another_name_is_warned_of_once(caplog):
    metrics._warn_of_no_spaces.cache_clear()
    hypotheses, references = ["我们喜欢猫。", "今天天气好"], [["我们喜欢狗。"], ["今天天气很好"]]
    for _ in range(2):
        metrics.bleu(hypotheses, references, language="chinese")
    [message] = caplog.messages
    assert "'chinese' counts words between spaces, which the references hardly have" in message
    metrics.bleu(hypotheses, references, language="zh")
    metrics.bleu(HYPOTHESES, REFERENCES, language="xx")
    metrics.bleu(["그는 집에 간다"], [["그는 집에 간다"]], language="ko")
    metrics.bleu(["ကညီ ကျိာ် လၢ အဘျး"], [["ကညီ ကျိာ် လၢ အဘျး"]], language="ksw")  # with spaces
    assert len(caplog.messages) == 1


def test_languages_that_need_a_program_fall_back_to_characters(monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    assert metrics.bleu_tokenizer("ja") == metrics.bleu_tokenizer("ko") == "char"
    monkeypatch.setattr(metrics, "find_spec", lambda name: object())
    assert metrics.bleu_tokenizer("ja") == "ja-mecab"
    monkeypatch.setattr(metrics, "find_spec", lambda name: None if "dic" in name else object())
    assert metrics.bleu_tokenizer("ja") == metrics.bleu_tokenizer("ko") == "char"


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ("abc", [["a"], ["b"], ["c"]], "bare string was given"),
        (["a"], "a", "bare string was given"),
        (["a", "b"], [["a"]], "2 hypotheses for 1 reference lists"),
        ([], [], "no sentences to score"),
        (["a", "b"], [["a"], "b"], "references of sentence 2 are a bare string"),
        (["a", "b"], [["a"], []], "sentence 2 has no reference"),
    ],
)
def test_mistakes_are_named(hypotheses, references, message):
    for score in (metrics.bleu, metrics.chrf, metrics.ter):
        with pytest.raises(ValueError, match=message):
            score(hypotheses, references)
    with pytest.raises(ValueError, match=message):
        metrics.paper_bleu(hypotheses, references, language="de")
    with pytest.raises(ValueError, match=message):
        metrics.paired_bootstrap([hypotheses], references)


def test_paper_style_takes_every_reference_of_its_sentence():
    references = [["x y z u v", "A b c d e"], ["F g h i j"]]
    score = metrics.paper_bleu(["a b c d e", "f g h i j"], references, language="en")
    assert score.value == pytest.approx(100)


@pytest.mark.parametrize("language", ["zh", "ja", "jpn", "th", "lo", "km", "my"])
def test_languages_without_spaces(language):
    assert not metrics.sets_spaces(language)


def test_the_language_of_paper_style_is_that_of_both_sides():
    with unittest.mock.patch("mt.metrics.paper_tokenize", wraps=metrics.paper_tokenize) as spy:
        metrics.paper_bleu(["a b c d"], [["a b c d"]], language="fr")
    assert [call.kwargs for call in spy.call_args_list] == [{"language": "fr"}] * 2


@pytest.mark.parametrize(
    ("language", "warned"), [("de", False), ("de-DE", False), ("DE", False), ("xx", True)]
)
def test_paper_style_knows_its_language_or_says_so(language, warned, caplog):
    text = "Geht ca. 1.500 m."
    assert metrics.paper_bleu([text] * 2, [[text]] * 2, language=language).value > 99
    message = "Moses does not know the language xx, and uses English abbreviations"
    assert (message in caplog.text) is warned
    tokens = "geht ca . 1.500 m ." if warned else "geht ca. 1.500 m."
    assert metrics.paper_tokenize([text], language=language) == [tokens]


def test_paper_style_of_a_language_without_spaces_is_warned_of(caplog):
    metrics.paper_bleu(["我喜欢吃苹果，真的。"], [["我喜欢吃苹果，真的。"]], language="zh")
    assert "Moses does not split the language zh into words" in caplog.text


def test_paper_style_is_lowercased_normalised_and_tokenised():
    assert metrics.paper_tokenize(["„Hallo“, sagt der Mann’s Hund."], language="de") == [
        "&quot; hallo &quot; , sagt der mann &apos; s hund ."
    ]
    quoted = metrics.paper_tokenize(['Dessus est écrit "32 De Neude."'], language="fr")
    assert quoted == ["dessus est écrit &quot; 32 de neude &quot; ."]
    score = metrics.paper_bleu(["THE QUICK BROWN FOX."], [["the quick brown fox ."]], language="en")
    assert score.value == pytest.approx(100)
    assert "tok:none" in score.signature
    assert score.name == "BLEU lc.norm.tok"


def test_sentence_chrf_orders_translations():
    good = metrics.sentence_chrf("A dog runs.", ["A dog runs fast.", "The dog is running."])
    assert 0 < metrics.sentence_chrf("Many cats.", ["A dog runs fast."]) < good < 100
    assert metrics.sentence_chrf("A dog.", ["x", "A dog."]) == pytest.approx(100)


class TestPairedBootstrap:
    references = tuple([f"this is sentence {n} about number {n * 7}"] for n in range(40))
    good = tuple(group[0] for group in references)
    bad = tuple(text.replace("about", "x") if len(text) % 2 else text[:9] for text in good)
    middle = (*good[:20], *bad[20:])

    def test_the_first_system_is_the_one_compared_to(self):
        result = metrics.paired_bootstrap(
            [self.bad, self.good, self.bad, self.middle], self.references, samples=200
        )
        first, better, same, other = result.systems
        assert first.p_value is None
        assert better.p_value < 0.05
        assert same.p_value == 1.0  # an equal system is not a different one
        assert better.value == pytest.approx(100)
        assert first.value == metrics.bleu(self.bad, self.references).value
        assert other.value == metrics.bleu(self.middle, self.references).value
        assert 0 < first.half_width < 15
        assert better.half_width == 0
        assert "seed:12345" in result.signature and "bs:200" in result.signature

    def test_the_same_seed_gives_the_same_numbers(self, monkeypatch):
        def run():
            return metrics.paired_bootstrap([self.bad, self.good], self.references, samples=100)

        monkeypatch.setenv("SACREBLEU_SEED", "7")
        first = run()
        assert run() == first
        monkeypatch.setenv("SACREBLEU_SEED", "8")
        assert run() != first

    @pytest.mark.parametrize("seed", ["0", "-1", "x", "", "1.5"])
    def test_what_sacrebleu_takes_for_no_seed_is_an_error(self, monkeypatch, seed):
        monkeypatch.setenv("SACREBLEU_SEED", seed)
        message = f"^SACREBLEU_SEED={seed} in the environment: expected a whole number from 1"
        with pytest.raises(ValueError, match=message):
            metrics.paired_bootstrap([self.bad, self.good], self.references)
        monkeypatch.setenv("SACREBLEU_SEED", "None")
        assert "seed:none" in metrics.paired_bootstrap([self.bad], self.references).signature

    def test_interval_and_p_are_those_of_sacrebleu(self):
        """One half is better and one worse, so that p is neither 1 nor the least there is."""
        mixed = (*self.bad[:16], *self.good[16:32], *self.bad[32:])
        worse = (*self.good[:13], *self.bad[13:])
        [first, second] = metrics.paired_bootstrap(
            [mixed, worse], self.references, samples=200
        ).systems
        _, columns = PairedTest(
            [("0", mixed), ("1", worse)],
            {"BLEU": BLEU()},
            [[group[0] for group in self.references]],
            test_type="bs",
            n_samples=200,
        )()
        [one, other] = columns["BLEU"]
        assert (first.half_width, second.half_width) == (one.ci, other.ci)
        assert 0 < one.ci != other.ci
        assert second.p_value == other.p_value
        assert 0.01 < second.p_value < 0.9

    def test_no_system_is_an_error(self):
        with pytest.raises(ValueError, match="no systems to compare"):
            metrics.paired_bootstrap([], self.references)


@pytest.mark.skipif("MT_CORPORA" not in os.environ, reason="MT_CORPORA is not set")
@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_paper_tokenisation_reproduces_the_files_of_multi30k(language):
    folder = Path(os.environ["MT_CORPORA"]) / "multi30k"

    def read(path):
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            return [line.rstrip("\n") for line in lines]

    for split in ("test_2016_flickr", "test_2017_flickr", "test_2017_mscoco"):
        raw = read(folder / f"{split}.{language}.gz")
        expected = read(folder / "tok" / f"{split}.lc.norm.tok.{language}.gz")
        pairs = zip(metrics.paper_tokenize(raw, language=language), expected, strict=True)
        differing = sum(ours != theirs for ours, theirs in pairs)
        assert differing == 0, f"{split}.{language}: {differing} of {len(expected)} lines differ"
