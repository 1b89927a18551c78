"""Evaluation keeps lines aligned, its files score alike with sacrebleu, mistakes are named."""

import gzip
import json
import math
import shlex
import shutil
import subprocess
import sys
import unittest.mock
from dataclasses import asdict, replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from tiny_run import write_tiny_corpus

from mt import metrics
from mt.checkpoint import RunDirectory
from mt.config import DataConfig, SearchConfig
from mt.data.batching import Pair, collate
from mt.decoding import score_ids, search_ids
from mt.evaluation import evaluate, load_system
from mt.evaluation_files import hypotheses_path, sacrebleu_command, write_evaluation
from mt.evaluation_set import (
    EvaluationSet,
    default_split,
    encode_pairs,
    load_evaluation_set,
    read_evaluation_set,
)
from mt.faults import count_faults
from mt.translator import Translator


@pytest.fixture(scope="module")
def system(attention_run):
    return load_system(attention_run, device="cpu")


@pytest.fixture(scope="module")
def test_set(system):
    return load_evaluation_set(system.config.data, "test")


@pytest.fixture(scope="module")
def evaluation(system, test_set):
    return evaluate(system, test_set, paper_style=True)


def sacrebleu_scores(command: str) -> dict[str, float]:
    words = shlex.split(command)
    assert words[0] == "sacrebleu"
    run = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=True, timeout=60
    )
    return {entry["name"]: entry["score"] for entry in json.loads(run.stdout)}


def references(command: str) -> list[Path]:
    words = shlex.split(command)
    return [Path(word) for word in words[1 : words.index("-i")]]


def test_every_source_line_has_a_hypothesis_and_all_scores(system, test_set, evaluation):
    assert len(evaluation.hypotheses) == len(test_set.sources) == 20
    assert [score.name for score in evaluation.scores] == [
        "BLEU",
        "chrF2",
        "TER",
        "BLEU lc.norm.tok",
    ]
    assert evaluation.step == system.step > 0
    assert evaluation.checkpoint.name == "best.pt"
    assert evaluation.beam_size == system.config.search.beam_size
    assert evaluation.sentences_per_second > 0


def test_the_runs_own_search_and_language_count(attention_run, test_set, tmp_path):
    run = RunDirectory.open(shutil.copytree(attention_run, tmp_path / "run"))
    config = run.load_config()
    search = SearchConfig(beam_size=2, length_penalty=0.3, batch_size=7, max_length_ratio=1.5)
    run.write_config(replace(config, search=search))
    with (
        unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as searched,
        unittest.mock.patch("mt.evaluation.metrics.bleu", wraps=metrics.bleu) as bleu,
        unittest.mock.patch("mt.evaluation.metrics.ter", wraps=metrics.ter) as ter,
        unittest.mock.patch("mt.evaluation.metrics.paper_bleu", wraps=metrics.paper_bleu) as paper,
    ):
        found = evaluate(load_system(run.path, device="cpu"), test_set, paper_style=True)
    assert searched.call_args.args[2] == search
    assert (found.beam_size, found.length_penalty) == (2, 0.3)
    for score in (bleu, ter, paper):
        assert score.call_args.kwargs["language"] == config.data.tgt


def test_no_more_pairs_at_once_than_asked_for(system, test_set):
    with unittest.mock.patch("mt.decoding.collate", wraps=collate) as spy:
        evaluate(system, test_set, batch_size=3)
    assert {len(call.args[0]) for call in spy.call_args_list} == {3, 2}  # of 20 pairs


def test_parts_of_a_set_are_scored_as_the_whole(system, test_set, evaluation, monkeypatch):
    monkeypatch.setattr("mt.translator._AT_ONCE", 7)
    parts = evaluate(system, test_set)
    assert parts.hypotheses == evaluation.hypotheses
    assert parts.unfinished == evaluation.unfinished


def test_a_system_that_learned_beats_one_that_reads_other_sources(system, test_set, evaluation):
    shifted = replace(test_set, references=test_set.references[1:] + test_set.references[:1])
    worse = evaluate(system, shifted)
    assert evaluation.chrf.value > worse.chrf.value + 5
    assert evaluation.teacher_forced.loss < worse.teacher_forced.loss


def test_the_sacrebleu_command_reproduces_the_scores(evaluation, test_set, tmp_path):
    path = tmp_path / "a" / "test.1.txt"
    command = write_evaluation(evaluation, test_set, path, language="yy")
    assert path.read_text("utf-8").split("\n")[:-1] == evaluation.hypotheses
    assert references(command) == [path.with_name("test.reference.txt")]
    scores = sacrebleu_scores(command)
    for score in evaluation.scores[:3]:
        assert scores[score.name] == round(score.value, 2)


def test_several_references_are_reproduced_too(system, test_set, tmp_path):
    references = [
        [*group, "something else"][: 1 + row % 2] for row, group in enumerate(test_set.references)
    ]
    data = replace(test_set, references=references)
    evaluation = evaluate(system, data)
    assert "nrefs:var" in evaluation.bleu.signature
    command = write_evaluation(evaluation, data, tmp_path / "many.txt", language="yy")
    scores = sacrebleu_scores(command)
    assert scores["BLEU"] == round(evaluation.bleu.value, 2)
    assert scores["chrF2"] == round(evaluation.chrf.value, 2)
    assert "TER" not in scores  # it depends on the number of references, which files even out


def test_the_results_are_written_as_json(evaluation, test_set, tmp_path):
    command = write_evaluation(evaluation, test_set, tmp_path / "test.7.txt", language="yy")
    plain = json.loads((tmp_path / "test.7.json").read_text("utf-8"))
    assert plain["sentences"] == 20
    assert plain["target_tokens"] == evaluation.teacher_forced.n_tokens > 20
    assert (plain["beam_size"], plain["length_penalty"]) == (evaluation.beam_size, 1.0)
    assert plain["scores"][0] == {
        "name": "BLEU",
        "value": evaluation.bleu.value,
        "signature": evaluation.bleu.signature,
    }
    assert plain["reference_faults"] == asdict(evaluation.reference_faults)
    assert plain["faults"] == asdict(evaluation.faults) | {"unfinished": evaluation.unfinished}
    assert plain["perplexity"] == pytest.approx(math.exp(plain["loss"]))
    assert plain["sacrebleu"] == command


def test_faults_and_scores_of_a_language_without_spaces_are_of_characters(system, test_set):
    config = replace(system.config, data=replace(system.config.data, tgt="zh"))
    data = replace(test_set, references=[["哈哈哈"]] * 20)
    one, other = (evaluate(each, data) for each in (replace(system, config=config), system))
    assert (one.reference_faults.repeated, other.reference_faults.repeated) == (100, 0)
    assert other.faults.length_ratio == pytest.approx(3 * one.faults.length_ratio)
    for each, tokenizer, asian in ((one, "zh", "norm:yes"), (other, "13a", "norm:no")):
        bleu, _, ter = (score.signature for score in each.scores)
        assert f"|tok:{tokenizer}|" in bleu and f"|{asian}|" in ter


def test_the_faults_are_those_of_the_hypotheses_and_of_the_references(system, test_set):
    references = [["bado bado bado"], *test_set.references[1:]]
    data = replace(test_set, references=references)
    evaluation = evaluate(system, data)
    assert evaluation.faults == count_faults(evaluation.hypotheses, data.sources, references)
    own = count_faults([group[0] for group in references], data.sources, references)
    assert evaluation.reference_faults == own
    assert own.repeated == 5 != evaluation.faults.repeated
    assert evaluation.unfinished == 0
    short = replace(system.config.search, max_length_ratio=0.01, max_length_offset=1)
    translator = Translator(
        system.translator.models, system.translator.tokenizers, search=short, device="cpu"
    )
    assert evaluate(replace(system, translator=translator), data).unfinished == 100


def test_blank_lines_keep_their_place(system, test_set):
    sources = ["", *test_set.sources[:3], "   ", test_set.sources[3]]
    data = EvaluationSet("blank", sources, [["x"], *test_set.references[:3], ["y"], [""]])
    evaluation = evaluate(system, data)
    plain = evaluate(system, EvaluationSet("p", test_set.sources[:4], test_set.references[:4]))
    assert evaluation.hypotheses == ["", *plain.hypotheses[:3], "", plain.hypotheses[3]]
    assert len(encode_pairs(system.translator.tokenizers, data)) == 3


def test_very_long_pairs_are_cut_with_a_warning(system, caplog, monkeypatch):
    monkeypatch.setattr("mt.data.batching.MAX_PIECES", 4)
    sources, references = ["bado " * 30, "bado"], [["alben"], ["alben " * 30]]
    pairs = encode_pairs(system.translator.tokenizers, EvaluationSet("long", sources, references))
    assert [len(pairs[0].src), len(pairs[1].tgt)] == [4, 4]
    assert [pairs[0].tgt, pairs[1].src] == [
        *system.translator.tokenizers.tgt.encode(["alben"]),
        *system.translator.tokenizers.src.encode(["bado"]),
    ]
    assert "long: 2 pairs with more than 4 pieces on a side are cut there" in caplog.text
    caplog.clear()
    encode_pairs(system.translator.tokenizers, EvaluationSet("short", ["bado"], [["alben"]]))
    assert caplog.text == ""


def test_nothing_but_blanks_has_no_loss(system):
    evaluation = evaluate(system, EvaluationSet("blank", [" "], [["x"]]))
    assert evaluation.hypotheses == [""]
    assert evaluation.teacher_forced is None
    assert evaluation.as_json()["perplexity"] is None


def test_the_loss_is_that_of_the_scorer_per_token_with_eos(system, test_set, evaluation):
    pairs = encode_pairs(system.translator.tokenizers, test_set)
    forced = evaluation.teacher_forced
    n_tokens = sum(len(pair.tgt) + 1 for pair in pairs)
    assert forced.n_tokens == n_tokens
    expected = -sum(score_ids(system.translator.models[0], pairs)) / n_tokens
    assert forced.loss == pytest.approx(expected, rel=1e-4)
    assert forced.perplexity == pytest.approx(math.exp(expected), rel=1e-3)


def test_every_reference_makes_a_pair_of_the_loss(system):
    data = EvaluationSet("two", ["bado kira", "fena"], [["alben", "alben oldan"], ["ortig"]])
    pairs = encode_pairs(system.translator.tokenizers, data)
    assert len(pairs) == 3
    assert pairs[0].src == pairs[1].src != pairs[2].src
    assert isinstance(pairs[0], Pair)


def test_search_options_replace_those_of_the_run(system, test_set):
    options = {"beam_size": 2, "length_penalty": 0.0, "batch_size": 3}
    with unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as spy:
        evaluation = evaluate(system, test_set, **options)
    search = spy.call_args.args[2]
    assert {name: getattr(search, name) for name in options} == options
    assert (evaluation.beam_size, evaluation.length_penalty) == (2, 0.0)


def test_pairs_of_one_source_are_its_references(tmp_path):
    for name, lines in (("xx", "a b\nc\na b\n"), ("yy", "one\ntwo\nthree\n")):
        (tmp_path / f"test.{name}").write_text(lines, encoding="utf-8")
    config = DataConfig(name="several", src="xx", tgt="yy", root=str(tmp_path))
    alone = load_evaluation_set(config, "test")
    assert alone.references == [["one"], ["two"], ["three"]]
    together = load_evaluation_set(replace(config, multi_reference=True), "test")
    assert together.sources == ["a b", "c"]
    assert together.references == [["one", "three"], ["two"]]


def test_hypotheses_go_to_text_files_only(evaluation, test_set, tmp_path):
    with pytest.raises(ValueError, match=r"a file that ends in \.txt"):
        write_evaluation(evaluation, test_set, tmp_path / "a.json", language="yy")


def test_the_command_names_another_tokenizer():
    data = EvaluationSet("x", ["a"], [["b"]])
    files = [Path("my ref.txt")]
    command = sacrebleu_command(Path("h.txt"), files, data, language="de")
    assert command == "sacrebleu 'my ref.txt' -i h.txt -m bleu chrf ter -w 2"
    command = sacrebleu_command(Path("h.txt"), files, data, language="zh")
    assert command.endswith("-w 2 --tokenize zh --ter-normalized --ter-asian-support")
    command = sacrebleu_command(Path("h.txt"), files, data, language="th")
    assert command.endswith("-m bleu chrf -w 2 --tokenize char")


def test_the_command_scores_text_without_spaces_as_we_do(evaluation, tmp_path):
    data = EvaluationSet("z", ["a", "b"], [["我喜欢猫。"], ["今天天气好"]])
    chinese = replace(evaluation, hypotheses=["我喜欢狗。", "今天天气很好"])
    command = write_evaluation(chinese, data, tmp_path / "z.txt", language="zh")
    score = metrics.ter(chinese.hypotheses, data.references, language="zh")
    assert sacrebleu_scores(command)["TER"] == round(score.value, 2) == 20


def test_an_unknown_split_lists_the_known_ones(system):
    with pytest.raises(ValueError, match="has no split 'tset'; it has train, valid, test"):
        load_evaluation_set(system.config.data, "tset")


def test_a_folder_may_be_named_like_the_home_of_somebody(system, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = "~nobody-here/corpus"
    Path(root).parent.mkdir()
    write_tiny_corpus(Path(root))
    found = load_evaluation_set(replace(system.config.data, root=root), "test")
    assert found.origin == str(tmp_path / root)


def test_grouped_references_have_no_alignments(system, caplog):
    data = replace(
        system.config.data, multi_reference=True, alignment="{split}.links", alignment_src="xx"
    )
    assert load_evaluation_set(data, "test").alignments is None
    assert "no alignment error rate of the split test: data.multi_reference=true" in caplog.text


def test_the_default_split_is_a_test_split(system, caplog):
    data = system.config.data
    assert default_split(data) == "test"
    named = replace(data, splits={"train": "train", "valid": "valid", "test_b": "test"})
    assert default_split(named) == "test_b"
    without = replace(data, splits={"train": "train", "valid": "valid", "news": "test"})
    assert default_split(without) == "news"
    assert not caplog.text
    assert default_split(replace(data, splits={"train": "train", "valid": "dev"})) == "valid"
    assert "tiny has no test split: taking the split valid, which training" in caplog.text


def test_a_missing_run_or_checkpoint_is_named(attention_run, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run directory"):
        load_system(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        load_system(attention_run, checkpoint="averaged", device="cpu")
    last = RunDirectory.open(attention_run).checkpoints / "last.pt"
    assert load_system(attention_run, checkpoint=str(last), device="cpu").checkpoint == last


class TestFiles:
    def test_plain_and_compressed_files_are_read_line_by_line(self, tmp_path):
        source, plain, packed = (tmp_path / name for name in ("in.en", "a.de", "b.de.gz"))
        source.write_bytes("one\u2028more\r\n\n\x0cthree\tx".encode())
        plain.write_text("eins\n\ndrei\n", encoding="utf-8")
        packed.write_bytes(gzip.compress(b"1\n2\n3\n"))
        data = read_evaluation_set(source, [plain, packed])
        assert data.name == "in.en"
        assert data.sources == ["one\u2028more", "", "\x0cthree\tx"]
        assert data.references == [["eins", "1"], ["2"], ["drei", "3"]]
        assert data.reference_files == (plain, packed)

    def test_the_given_reference_files_are_those_of_the_command(self, system, tmp_path):
        source, reference = tmp_path / "s.xx", tmp_path / "r.yy"
        source.write_text("bado kira\nfena\n", encoding="utf-8")
        reference.write_text("alben oldan egrad amtos\nortig\n", encoding="utf-8")
        data = read_evaluation_set(source, [reference])
        evaluation = evaluate(system, data)
        command = write_evaluation(evaluation, data, tmp_path / "out.txt", language="yy")
        assert references(command) == [reference]
        assert sacrebleu_scores(command)["BLEU"] == round(evaluation.bleu.value, 2)

    def test_a_blank_line_is_no_reference_where_there_is_another(self, system, tmp_path):
        source, first, second = (tmp_path / name for name in ("s.xx", "one.yy", "two.yy"))
        source.write_text("bado kira\nfena\nfena\n", encoding="utf-8")
        first.write_text("alben oldan egrad amtos\nortig\n\n", encoding="utf-8")
        second.write_text("alben oldan amtos\n \n\n", encoding="utf-8")
        data = read_evaluation_set(source, [first, second])
        both = ["alben oldan egrad amtos", "alben oldan amtos"]
        assert data.references == [both, ["ortig"], [""]]
        evaluation = evaluate(system, data)
        command = write_evaluation(evaluation, data, tmp_path / "out.txt", language="yy")
        names = [f"s.xx.reference{number}.txt" for number in (1, 2)]
        assert references(command) == [tmp_path / name for name in names]
        assert sacrebleu_scores(command)["BLEU"] == round(evaluation.bleu.value, 2)

    @pytest.mark.parametrize("suffix", ["", ".gz"])
    def test_a_byte_order_mark_of_references_is_not_counted(self, system, tmp_path, suffix):
        source, reference = tmp_path / "s.xx", tmp_path / f"r.yy{suffix}"
        source.write_text("bado kira\nfena\n", encoding="utf-8")
        text = "alben oldan egrad amtos\nortig\n".encode("utf-8-sig")
        reference.write_bytes(gzip.compress(text) if suffix else text)
        data = read_evaluation_set(source, [reference])
        evaluation = evaluate(system, data)
        command = write_evaluation(evaluation, data, tmp_path / "out.txt", language="yy")
        assert references(command) == [tmp_path / "s.xx.reference.txt"]
        scores = sacrebleu_scores(command)
        assert scores["TER"] == round(metrics.ter(evaluation.hypotheses, data.references).value, 2)

    @pytest.mark.parametrize(("name", "compressed"), [("r.yy", True), ("r.gz", False)])
    def test_references_with_the_name_of_another_format_are_written_anew(
        self, system, tmp_path, name, compressed
    ):
        source, reference = tmp_path / "s.xx", tmp_path / name
        source.write_text("bado kira\nfena\n", encoding="utf-8")
        text = b"alben oldan egrad amtos\nortig\n"
        reference.write_bytes(gzip.compress(text) if compressed else text)
        data = read_evaluation_set(source, [reference])
        evaluation = evaluate(system, data)
        command = write_evaluation(evaluation, data, tmp_path / "out.txt", language="yy")
        assert references(command) == [tmp_path / "s.xx.reference.txt"]
        assert sacrebleu_scores(command)["BLEU"] == round(evaluation.bleu.value, 2)

    def test_results_of_other_references_are_kept(self, system, tmp_path):
        source, first, second = (tmp_path / name for name in ("s.xx", "r.yy", "t.yy"))
        for path in (source, first, second):
            path.write_text(f"{path.name}\n", encoding="utf-8")
        paths = []
        for reference in (first, second, first):
            data = read_evaluation_set(source, [reference])
            evaluation = evaluate(system, data)
            paths.append(hypotheses_path(system, evaluation, data, tmp_path / "hypotheses"))
            write_evaluation(evaluation, data, paths[-1], language="yy")
        assert paths[0] == paths[2] != paths[1]

    def test_results_of_a_split_whose_name_looks_alike_are_kept(self, system, tmp_path):
        paths = []
        for name in ("news/one", "news-one", "news/one"):
            data = EvaluationSet(name, ["bado kira"], [["alben oldan"]])
            evaluation = evaluate(system, data)
            paths.append(hypotheses_path(system, evaluation, data, tmp_path))
            write_evaluation(evaluation, data, paths[-1], language="yy")
        assert paths[0] == paths[2] != paths[1]

    def test_the_score_of_papers_is_kept(self, system, tmp_path):
        data = EvaluationSet("news", ["bado kira"], [["alben oldan"]])
        names = []
        for paper_style in (True, False):
            evaluation = evaluate(system, data, paper_style=paper_style)
            names.append(hypotheses_path(system, evaluation, data, tmp_path).name)
        assert names == [f"news.{system.step}.paper-style.txt", f"news.{system.step}.txt"]

    def test_a_split_in_a_folder_needs_no_folder_for_its_results(self, system, tmp_path):
        data = EvaluationSet("news/one", ["bado kira"], [["alben oldan"]])
        evaluation = evaluate(system, data)
        path = hypotheses_path(system, evaluation, data, tmp_path)
        command = write_evaluation(evaluation, data, path, language="yy")
        step = system.step
        assert path.name == f"news-one.{step}.txt"
        assert references(command) == [tmp_path / "news-one.reference.txt"]
        assert len(list(tmp_path.iterdir())) == 3

    def test_mistakes_are_named(self, tmp_path):
        source, short, bad, empty = (tmp_path / name for name in ("s", "short", "bad", "empty"))
        source.write_text("a\nb\n", encoding="utf-8")
        short.write_text("a\n", encoding="utf-8")
        bad.write_bytes(b"a\n\xff\n")
        empty.write_text("", encoding="utf-8")
        with pytest.raises(ValueError, match=r"s has 2 lines but .*short has 1: line N"):
            read_evaluation_set(source, [short])
        with pytest.raises(ValueError, match="bad, line 2: invalid UTF-8"):
            read_evaluation_set(source, [bad])
        with pytest.raises(ValueError, match="empty: the file is empty"):
            read_evaluation_set(source, [empty])
        with pytest.raises(FileNotFoundError, match="none: no such file"):
            read_evaluation_set(source, [tmp_path / "none"])
        archive = tmp_path / "archive.zip"
        with ZipFile(archive, "w") as file:
            file.writestr("a.txt", "a\nb\n")
        for other in (archive, tmp_path):
            with pytest.raises(ValueError, match=f"{other}: expected a file of lines, plain or"):
                read_evaluation_set(source, [other])


def test_line_breaks_in_references_do_not_break_the_files(system, tmp_path):
    data = EvaluationSet("b", ["bado kira", "fena"], [["alben\noldan"], ["ortig\rufern"]])
    evaluation = evaluate(system, data)
    command = write_evaluation(evaluation, data, tmp_path / "b.txt", language="yy")
    [reference] = references(command)
    assert reference.read_bytes() == b"alben oldan\nortig ufern\n"
    scores = sacrebleu_scores(command)
    assert scores["TER"] == round(metrics.ter(evaluation.hypotheses, data.references).value, 2)
