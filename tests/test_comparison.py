"""A comparison shows two systems on the same sentences: table, report and figures."""

import re
import shutil
import unittest.mock
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from mt import metrics
from mt.alignment_quality import AlignmentQuality
from mt.checkpoint import RunDirectory
from mt.comparison import compare, run_names
from mt.comparison_report import duration, plain_table, write_report
from mt.decoding import TeacherForced, search_ids
from mt.evaluation import load_system
from mt.evaluation_set import EvaluationSet, encode_pairs, load_evaluation_set
from mt.gradient_reach import GradientReach, measure_reach
from mt.sentence_views import (
    BUCKETS,
    Example,
    LengthBucket,
    bleu_by_length,
    bucket_width,
    differing_examples,
    length_buckets,
    length_unit,
    sentence_lengths,
)


@pytest.fixture(scope="module")
def comparison(attention_run, baseline_run):
    return compare([attention_run, baseline_run], splits=["test", "valid", "test"], device="cpu")


@given(st.lists(st.integers(0, 60)), st.integers(1, 9), st.integers(1, 30))
def test_every_sentence_is_in_one_bucket_and_buckets_are_ordered(lengths, width, fewest):
    groups = length_buckets(lengths, width=width, fewest=fewest)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    ranges = [[lengths[row] for row in group] for group in groups]
    assert all(max(a) < min(b) for a, b in pairwise(ranges))
    assert all(len(group) >= fewest for group in groups) or len(groups) == 1


def test_buckets_are_as_wide_as_asked_where_there_are_enough_sentences():
    lengths = [1, 5, 6, 10, 11] * 20
    groups = length_buckets(lengths, width=5, fewest=20)
    assert [sorted({lengths[row] for row in group}) for group in groups] == [[1, 5], [6, 10], [11]]


@given(st.lists(st.integers(0, 200), min_size=1))
def test_the_width_gives_a_curve_of_some_points(lengths):
    width = bucket_width(lengths)
    assert 1 <= width <= (max(lengths) - min(lengths)) / BUCKETS + 1


def test_six_buckets_hold_the_middle_nine_tenths():
    assert bucket_width(range(61)) == 9  # of 3 to 57


def test_length_is_in_the_unit_of_the_source():
    data = EvaluationSet("x", ["我们去", "我"] * 20, [["a b c d"]] * 40)
    buckets = bleu_by_length(data, [["a b c d"] * 40], src="zh", tgt="en")
    assert [bucket.label for bucket in buckets] == ["1", "3"]


def test_bleu_by_length_is_the_bleu_of_those_sentences():
    short, long = ["a b c d"] * 20, ["a b c d e f g"] * 20
    data = EvaluationSet("x", short + long, [[text] for text in short + long])
    broken = short + ["x " + text[4:] for text in long]
    buckets = bleu_by_length(data, [data.sources, broken], src="en", tgt="en")
    assert [bucket.label for bucket in buckets] == ["4", "7"]
    assert [bucket.sentences for bucket in buckets] == [20, 20]
    assert buckets[0].bleu == pytest.approx([100, 100])
    expected = metrics.bleu(broken[20:], data.references[20:]).value
    assert buckets[1].bleu == pytest.approx([100, expected])


def test_length_is_in_characters_where_words_are_not_set_apart():
    assert sentence_lengths(["two words", ""], language="de") == [2, 0]
    assert sentence_lengths(["我们 去"], language="zh") == [3]
    assert (length_unit("de"), length_unit("zh")) == ("words", "characters")


def test_examples_are_the_sentences_that_differ_most():
    data = EvaluationSet("x", ["s", "t", "u", "t"], [["a dog"], ["a cat"], ["a cow"], ["a cat"]])
    outputs = [["a dog", "a cat", "a cow", "a cat"], ["a dig", "zzz", "a cow", "zzz"]]
    examples = differing_examples(data, outputs)
    assert [example.source for example in examples] == ["t", "s"]  # u is alike, t shown once
    assert examples[0].outputs == ["a cat", "zzz"]
    assert examples[0].chrf[0] == pytest.approx(100)
    assert len(differing_examples(data, outputs, count=1)) == 1


def test_a_repeated_source_is_shown_where_it_differs_most():
    data = EvaluationSet("x", ["s"] * 3, [["zzz"], ["a cat"], ["a cow"]])
    outputs = [["bb", "a cat", "a cot"], ["cc", "zzz", "a cow"]]
    [example] = differing_examples(data, outputs)  # the first is as bad of both
    assert (example.references, example.outputs) == (["a cat"], ["a cat", "zzz"])


class TestNames:
    def test_names_are_the_shortest_that_differ(self):
        assert run_names([Path("runs/a"), Path("runs/b")]) == ["a", "b"]
        assert run_names([Path("x/run"), Path("y/run")]) == ["x/run", "y/run"]

    def test_fewer_than_two_or_the_same_run_is_an_error(self):
        with pytest.raises(ValueError, match="1 run to compare: give two"):
            run_names([Path("a")])
        with pytest.raises(ValueError, match="is given twice"):
            run_names([Path("a"), Path("./a")])


class TestComparison:
    def test_each_split_once_each_system_in_order(self, comparison, attention_run, baseline_run):
        assert [split.data.name for split in comparison.splits] == ["test", "valid"]
        assert [system.name for system in comparison.systems] == ["attention", "baseline"]
        assert comparison.same_vocabulary
        for system, run in zip(comparison.systems, (attention_run, baseline_run), strict=True):
            end = RunDirectory.open(run).read_metrics()[-1]
            assert system.seconds == end["seconds"]
            assert system.tokens_per_second == end["tokens_per_s"]

    def test_the_numbers_agree_with_each_other(self, comparison):
        for split in comparison.splits:
            for score, evaluation in zip(split.paired.systems, split.evaluations, strict=True):
                assert score.value == pytest.approx(evaluation.bleu.value)
            assert sum(bucket.sentences for bucket in split.buckets) == len(split.data.sources)

    def test_each_system_has_its_own_reach_on_each_split(
        self, comparison, attention_run, baseline_run
    ):
        for split in comparison.splits:
            for run, reach in zip((attention_run, baseline_run), split.reach, strict=True):
                translator = load_system(run, device="cpu").translator
                pairs = encode_pairs(translator.tokenizers, split.data)
                assert reach == measure_reach(translator.models[0], pairs)

    def test_the_checkpoint_asked_for_is_compared(self, attention_run, baseline_run):
        with unittest.mock.patch("mt.comparison.load_system", wraps=load_system) as spy:
            compare([attention_run, baseline_run], checkpoint="last", device="cpu", beam_size=1)
        assert [call.kwargs["checkpoint"] for call in spy.call_args_list] == ["last", "last"]

    def test_the_gradient_is_measured_on_so_many_pairs_at_most(
        self, attention_run, baseline_run, monkeypatch
    ):
        monkeypatch.setattr("mt.comparison.REACH_PAIRS", 3)
        with unittest.mock.patch("mt.comparison.measure_reach", wraps=measure_reach) as spy:
            compare([attention_run, baseline_run], device="cpu", beam_size=1)
        for run, call in zip((attention_run, baseline_run), spy.call_args_list, strict=True):
            translator = load_system(run, device="cpu").translator
            data = load_evaluation_set(RunDirectory.open(run).load_config().data, "test")
            pairs = encode_pairs(translator.tokenizers, data)
            assert len(pairs) == 20
            assert call.args[1] == [pairs[0], pairs[7], pairs[14]]

    def test_other_vocabularies_are_seen(self, attention_run, baseline_run):
        def load(path, **options):
            system = load_system(path, **options)
            if path == baseline_run:
                system.translator.tokenizers = unittest.mock.Mock(
                    wraps=system.translator.tokenizers, fingerprint="another"
                )
            return system

        with unittest.mock.patch("mt.comparison.load_system", load):
            compared = compare([attention_run, baseline_run], device="cpu", beam_size=1)
        assert not compared.same_vocabulary

    def test_the_same_seed_gives_the_same_numbers(self, comparison, attention_run, baseline_run):
        again = compare([attention_run, baseline_run], device="cpu")
        assert again.splits[0].paired == comparison.splits[0].paired
        assert again.splits[0].reach == comparison.splits[0].reach

    def test_the_table_has_a_row_per_system(self, comparison):
        text = plain_table(comparison, comparison.splits[0])
        lines = text.splitlines()
        assert lines[0] == "test: 20 sentences"
        assert lines[2].split()[:2] == ["system", "BLEU"]
        assert [line.split()[0] for line in lines[3:5]] == ["attention", "baseline"]
        assert f"{comparison.systems[0].parameters:,}" in lines[3]
        assert lines[-2].startswith("baseline against attention: ")
        assert "paired bootstrap" in lines[-2]
        assert lines[-1].startswith("BLEU|nrefs:1|bs:1000|seed:12345|")

    def test_names_of_wide_letters_leave_the_columns_in_line(self, comparison):
        [first, second], split = comparison.systems, comparison.splits[0]
        named = [replace(first, name="中文"), replace(second, name="e\u0301a\u0301")]
        lines = plain_table(replace(comparison, systems=named), split).splitlines()[3:5]
        assert [line[len(system.name)] for line, system in zip(lines, named, strict=True)] == [
            " "
        ] * 2
        assert len({wcswidth(line) for line in lines}) == 1

    def test_the_verdict_names_the_difference_and_whether_it_counts(self, comparison):
        [first, second], split = comparison.systems, comparison.splits[0]
        for second_score, verdict in (
            (metrics.SystemScore(40.5, 1.25, 0.001), "-9.50 BLEU, p = 0.001 (significant"),
            (metrics.SystemScore(51.25, 1.25, 0.3), "+1.25 BLEU, p = 0.300 (not significant"),
            (metrics.SystemScore(52.0, 1.25, 0.024), "+2.00 BLEU, p = 0.024 (significant"),
            (metrics.SystemScore(50.0, 1.25, 0.025), "+0.00 BLEU, p = 0.025 (not significant"),
            (metrics.SystemScore(50.0, 1.25, 25 / 1001), "+0.00 BLEU, p = 0.025 (not significant"),
            (metrics.SystemScore(50.0, 1.25, 0.05), "+0.00 BLEU, p = 0.050 (not significant"),
        ):
            scores = [metrics.SystemScore(50.0, 0.75, None), second_score]
            changed = replace(split, paired=metrics.PairedScores("signature", scores))
            text = plain_table(comparison, changed)
            names = f"{second.name} against {first.name}"
            line = f"{names}: {verdict}: paired bootstrap, one-sided, threshold 0.025)"
            assert line in text.splitlines()
            rows = [line.split()[1:4] for line in text.splitlines()[3:5]]
            assert rows == [["50.00", "±", "0.75"], [f"{second_score.value:.2f}", "±", "1.25"]]

    def test_few_sentences_are_not_resampled(self, comparison, tmp_path):
        split = comparison.splits[0]
        few = replace(split.data, sources=split.data.sources[:19])
        scores = [metrics.SystemScore(50.0, 0.0, None), metrics.SystemScore(60.0, 0.0, 0.001)]
        changed = replace(split, data=few, paired=metrics.PairedScores("signature", scores))
        [first, second], text = comparison.systems, plain_table(comparison, changed)
        verdict = (
            f"{second.name} against {first.name}: +10.00 BLEU, not tested: 20 sentences at least "
            "are needed"
        )
        assert verdict in text.splitlines()
        assert "±" not in text and "p =" not in text
        report = write_report(replace(comparison, splits=[changed]), tmp_path).read_text("utf-8")
        assert f"- {verdict}" in report.splitlines()
        assert "±" not in report and "p =" not in report

    def test_every_cell_holds_what_its_heading_says(self, comparison, tmp_path):
        """No two values are alike, so that none can stand in another's place."""
        split = comparison.splits[0]
        systems, evaluations = [], []
        for system, evaluation, n in zip(
            comparison.systems, split.evaluations, (1, 2), strict=True
        ):
            systems.append(
                replace(system, parameters=1000 + n, seconds=60.0 * n, tokens_per_second=500.0 + n)
            )
            bleu, chrf, *others = evaluation.scores
            evaluations.append(
                replace(
                    evaluation,
                    scores=[bleu, replace(chrf, value=70.0 + n), *others],
                    teacher_forced=TeacherForced(float(n), 9),
                    alignment=AlignmentQuality(n / 10, n / 8, 0.75, 0.05),
                    seconds=20 / (10 * n),
                )
            )
        scores = [metrics.SystemScore(31.0, 0.5, None), metrics.SystemScore(32.0, 0.75, 0.01)]
        changed = replace(
            split,
            evaluations=evaluations,
            paired=metrics.PairedScores("signature", scores),
            buckets=[LengthBucket(1, 4, 12, [41.0, 42.0]), LengthBucket(5, 7, 8, [43.0, 44.0])],
            reach=[GradientReach([1.0], [0.5, 1.5]), GradientReach([1.0], [1.75, 0.25])],
            examples=[Example("s", ["r"], ["first", "second"], [61.0, 62.0])],
        )
        compared = replace(comparison, systems=systems, splits=[changed])
        headings = (
            "system  BLEU (95 %)  chrF2  perplexity  AER  parameters  training  tokens/s  "
            "sentences/s"
        )
        first = "attention  31.00 ± 0.50  71.00  2.72  0.100  1,001  1 min 00 s  501  10.0"
        second = "baseline  32.00 ± 0.75  72.00  7.39  0.200  1,002  2 min 00 s  502  20.0"
        lines = plain_table(compared, changed).splitlines()[2:5]
        assert [re.sub("  +", "  ", line) for line in lines] == [headings, first, second]
        note = (
            "AER: alignment error rate of attention against the gold word alignment; diagonal "
            "links have 0.750, and the best possible with one link per word is 0.050"
        )
        assert note in plain_table(compared, changed).splitlines()
        report = write_report(compared, tmp_path).read_text("utf-8").splitlines()
        assert f"- {note}" in report
        for row in (headings, first, second):
            assert f"| {row.replace('  ', ' | ')} |" in report
        for line in (
            "| source words | sentences | attention | baseline |",
            "| 1-4 | 12 | 41.0 | 42.0 |",
            "| 5-7 | 8 | 43.0 | 44.0 |",
            "1. Source: s",
            "   - reference: r",
            "   - **attention** (chrF 61.0): first",
            "   - **baseline** (chrF 62.0): second",
        ):
            assert line in report
        assert any("attention 50 %, baseline 25 %." in line for line in report)

    def test_the_report_shows_its_figures(self, comparison, tmp_path):
        path = write_report(comparison, tmp_path / "deep" / "report")
        text = path.read_text("utf-8")
        for picture in (
            "bleu_by_length.png",
            "gradient_reach.png",
            "bleu_by_length_valid.png",
            "gradient_reach_valid.png",
        ):
            assert f"]({picture})" in text
            assert (path.parent / picture).read_bytes().startswith(b"\x89PNG")
        assert text.startswith("# attention / baseline\n")
        assert comparison.splits[0].paired.signature in text
        assert "have different vocabularies" not in text

    def test_any_name_of_a_split_makes_pictures_that_a_link_finds(self, comparison, tmp_path):
        first, second = comparison.splits
        second = replace(second, data=replace(second.data, name="news/one (2016)"))
        text = write_report(replace(comparison, splits=[first, second]), tmp_path).read_text(
            "utf-8"
        )
        links = re.findall(r"!\[[^]]+\]\((\S+)\)\n", text)
        assert len(links) == text.count("![") == 4
        assert {tmp_path / link for link in links} == set(tmp_path.glob("*.png"))
        assert "## news/one (2016): 20 sentences" in text

    def test_splits_whose_names_look_alike_have_pictures_of_their_own(self, comparison, tmp_path):
        names = ("test", "news/one", "news-one")
        splits = [
            replace(split, data=replace(split.data, name=name))
            for split, name in zip([*comparison.splits, comparison.splits[0]], names, strict=True)
        ]
        write_report(replace(comparison, splits=splits), tmp_path)
        assert len(list(tmp_path.glob("*.png"))) == 6

    def test_runs_without_a_record_of_training_and_other_vocabularies(self, comparison, tmp_path):
        unknown = [replace(s, seconds=None, tokens_per_second=None) for s in comparison.systems]
        changed = replace(comparison, systems=unknown, same_vocabulary=False)
        text = write_report(changed, tmp_path).read_text("utf-8")
        assert "have different vocabularies" in text
        assert "have different vocabularies" in plain_table(changed, changed.splits[0])
        assert "have different vocabularies" not in plain_table(comparison, comparison.splits[0])
        assert "| - | - |" in text

    def test_markdown_in_sentences_shows_as_it_is(self, comparison, tmp_path):
        split = comparison.splits[0]
        source = "a | *b*\n<i> [x](y) &quot; $1$"
        example = split.examples[0]._replace(source=source)
        changed = replace(comparison, splits=[replace(split, examples=[example])])
        text = write_report(changed, tmp_path).read_text("utf-8")
        assert r"a \| \*b\* \<i\> \[x\](y) \&quot; \$1\$" in text

    def test_systems_that_never_differ(self, comparison, tmp_path):
        split = replace(comparison.splits[0], examples=[])
        text = write_report(replace(comparison, splits=[split]), tmp_path).read_text("utf-8")
        assert "The systems differ on no sentence." in text


def edited_run(run: Path, folder: Path, **data: str) -> Path:
    """Copy a run's files by links, and change its data configuration."""
    folder.mkdir()
    for item in run.iterdir():
        if item.name != "config.yaml":
            (folder / item.name).symlink_to(item)
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    config["data"].update(data)
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


def warn_only(runs: list[Path]) -> None:
    """Begin a comparison: warnings come before anything is loaded."""
    with (
        unittest.mock.patch("mt.comparison.load_system", side_effect=KeyError),
        pytest.raises(KeyError),
    ):
        compare(runs, device="cpu")


@pytest.mark.parametrize(("option", "value"), [("format", "tsv"), ("columns", {"xx": "1"})])
def test_what_was_read_in_another_way_is_warned_about(
    attention_run, tmp_path, caplog, option, value
):
    other = edited_run(attention_run, tmp_path / "other", **{option: value})
    warn_only([attention_run, other])
    assert f"other was trained with data.{option}={value}; it is compared" in caplog.text


def test_other_language_pairs_are_refused(attention_run, tmp_path):
    other = edited_run(attention_run, tmp_path / "reverse", src="yy", tgt="xx")
    with pytest.raises(ValueError, match=r"different language pairs \(attention: xx-yy, reverse"):
        compare([attention_run, other], device="cpu")


def test_another_corpus_of_the_same_pair_is_warned_about(attention_run, tmp_path, caplog):
    other = edited_run(attention_run, tmp_path / "other", name="elsewhere")
    comparison = compare([attention_run, other], device="cpu", beam_size=1)
    message = (
        "other was trained with data.name=elsewhere; it is compared on the splits of attention, "
        "parts of which it may have seen"
    )
    assert caplog.messages.count(message) == 1
    assert "attention was trained with" not in caplog.text
    score = comparison.splits[0].paired.systems[1]
    assert score.p_value == 1.0
    assert comparison.splits[0].examples == []


def test_a_corpus_of_the_same_name_elsewhere_is_warned_about(attention_run, tmp_path, caplog):
    root = shutil.copytree(attention_run / "corpus", tmp_path / "corpus")
    other = edited_run(attention_run, tmp_path / "other", root=str(root))
    warn_only([attention_run, other])
    assert (
        f"other was trained with data.root={root}; it is compared on the splits of" in caplog.text
    )


def test_the_options_of_the_search_reach_every_system(attention_run, baseline_run):
    options = {"beam_size": 2, "length_penalty": 0.5, "batch_size": 3}
    with unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as spy:
        comparison = compare([attention_run, baseline_run], device="cpu", **options)
    for call in spy.call_args_list:
        assert {name: getattr(call.args[2], name) for name in options} == options
    assert len(spy.call_args_list) == 2
    [split] = comparison.splits
    assert [e.beam_size for e in split.evaluations] == [2, 2]
    table = plain_table(comparison, split).splitlines()
    for run, evaluation in zip((attention_run, baseline_run), split.evaluations, strict=True):
        update = f"update {evaluation.step:,}"
        line = f"{run.name}: best.pt ({update}), beam 2, length penalty 0.5, fp32"
        assert line in table


def test_the_precision_reaches_every_system(attention_run, baseline_run):
    runs = [attention_run, baseline_run]
    [split] = compare(runs, device="cpu", beam_size=1, precision="bf16").splits
    [exact] = compare(runs, device="cpu", beam_size=1).splits
    for one, other in zip(split.evaluations, exact.evaluations, strict=True):
        assert (one.precision, other.precision) == ("bf16", "fp32")
        assert one.teacher_forced.loss != other.teacher_forced.loss
        assert one.teacher_forced.loss == pytest.approx(other.teacher_forced.loss, rel=0.02)
    assert split.reach == exact.reach


def test_texts_are_compared_on_without_a_word_on_corpora(attention_run, tmp_path, caplog):
    root = shutil.copytree(attention_run / "corpus", tmp_path / "corpus")
    other = edited_run(attention_run, tmp_path / "other", root=str(root))
    texts = EvaluationSet("mine", ["a b"] * 3, [["b a"]] * 3)
    comparison = compare([attention_run, other], texts=texts, device="cpu", beam_size=1)
    assert [split.data for split in comparison.splits] == [texts]
    assert (comparison.direction, comparison.corpus) == ("xx-yy", None)
    assert "was trained with" not in caplog.text


def test_another_data_root_is_used(attention_run, baseline_run, tmp_path):
    for side in ("xx", "yy"):
        text = (attention_run / "corpus" / f"test.{side}").read_text("utf-8")
        (tmp_path / f"test.{side}").write_text("".join(text.splitlines(True)[:5]), encoding="utf-8")
    runs = [attention_run, baseline_run]
    comparison = compare(runs, device="cpu", beam_size=1, data_root=str(tmp_path))
    assert len(comparison.splits[0].data.sources) == 5


def test_the_target_language_chooses_the_tokenizer_of_bleu(attention_run, baseline_run, tmp_path):
    runs = [
        edited_run(run, tmp_path / name, tgt="zh")
        for run, name in ((attention_run, "a"), (baseline_run, "b"))
    ]
    for name in ("train", "valid", "test"):
        path = attention_run / "corpus" / f"{name}.zh"
        path.unlink(missing_ok=True)
        path.symlink_to(f"{name}.yy")
    with unittest.mock.patch("mt.sentence_views.metrics.bleu", wraps=metrics.bleu) as spy:
        [split] = compare(runs, device="cpu", beam_size=1).splits
    assert {call.kwargs["language"] for call in spy.call_args_list} == {"zh"}
    assert split.length_unit == "words"  # of the source
    assert "|tok:zh|" in split.paired.signature
    assert "|tok:zh|" in split.evaluations[0].bleu.signature


def test_each_figure_is_of_its_systems_numbers(comparison, tmp_path):
    split = comparison.splits[0]
    changed = replace(
        split,
        buckets=[LengthBucket(1, 4, 12, [41.0, 42.0]), LengthBucket(5, 7, 8, [43.0, 44.0])],
        reach=[GradientReach([1.0], [2.0]), GradientReach([3.0], [4.0])],
    )
    with (
        unittest.mock.patch("mt.comparison_report.bleu_by_length_figure") as by_length,
        unittest.mock.patch("mt.comparison_report.gradient_reach_figure") as reach,
        unittest.mock.patch("mt.comparison_report.save_figure"),
    ):
        write_report(replace(comparison, splits=[changed]), tmp_path)
    assert by_length.call_args.args == (
        ["1-4", "5-7"], {"attention": [41.0, 43.0], "baseline": [42.0, 44.0]},
    )  # fmt: skip
    assert by_length.call_args.kwargs["counts"] == [12, 8]
    assert by_length.call_args.kwargs["title"] == "BLEU by source length, tiny xx-yy, test"
    assert reach.call_args.kwargs["title"].endswith("at the source embeddings, tiny xx-yy, test")
    assert reach.call_args.args == (
        {"attention": [1.0], "baseline": [3.0]}, {"attention": [2.0], "baseline": [4.0]},
    )  # fmt: skip


def test_a_damaged_log_is_told_before_anything_is_translated(attention_run, tmp_path):
    other = edited_run(attention_run, tmp_path / "other")
    lines = (attention_run / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    (other / "metrics.jsonl").unlink()
    (other / "metrics.jsonl").write_text("".join(["{half\n", *lines]), encoding="utf-8")
    with (
        unittest.mock.patch("mt.comparison.load_system") as load,
        pytest.raises(ValueError, match=r"other/metrics\.jsonl, line 1"),
    ):
        compare([attention_run, other], device="cpu")
    assert not load.called


def test_an_unknown_split_is_named(attention_run, baseline_run):
    with pytest.raises(ValueError, match="has no split 'tset'"):
        compare([attention_run, baseline_run], splits=["tset"], device="cpu")


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.4, "7 s"), (61, "1 min 01 s"), (3725, "1 h 02 min")]
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text
