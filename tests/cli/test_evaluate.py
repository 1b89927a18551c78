"""`mt-evaluate` from the outside: what it prints, what it writes, and how it fails."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import unittest.mock
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mt.alignment_quality import AlignmentQuality
from mt.checkpoint import RunDirectory
from mt.cli.evaluate import _describe, main
from mt.decoding import TeacherForced, search_ids
from mt.evaluation import Evaluation, load_system
from mt.evaluation_set import EvaluationSet
from mt.faults import Faults
from mt.metrics import Score


def test_the_table_names_scores_files_and_the_command(attention_run, capsys, tmp_path):
    output = tmp_path / "out.txt"
    assert main([str(attention_run), "--output", str(output), "--paper-style"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("test: 20 sentences, ")
    for word in ("BLEU ", "chrF2", "TER", "BLEU lc.norm.tok", "loss", "perplexity", "sentences a"):
        assert word in text
    for word in ("repeated", "identical", "empty", "copied", "unfinished", "length"):
        assert f"\n  {word} " in text
    assert "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp" in text
    assert f"hypotheses: {output}" in text
    assert f"-i {output}" in text
    assert len(output.read_text("utf-8").splitlines()) == 20


@pytest.mark.parametrize(("language", "unit"), [("yy", "words"), ("zh", "characters")])
def test_every_row_of_the_table_holds_what_its_name_says(attention_run, language, unit):
    """No two values are alike, so that none can stand in another's place."""
    system = load_system(attention_run, device="cpu")
    corpus = replace(system.config.data, tgt=language)
    system = replace(system, config=replace(system.config, data=corpus))
    names = ("BLEU", "chrF2", "TER", "BLEU lc.norm.tok")
    data = EvaluationSet("news", ["a"] * 30, [["b"]] * 30)
    evaluation = Evaluation(
        name="news",
        checkpoint=system.checkpoint,
        others=(),
        step=system.step,
        precision="bf16",
        beam_size=7,
        length_penalty=0.25,
        hypotheses=["c"] * 30,
        scores=[Score(name, 30.0 + n, f"signed-{n}") for n, name in enumerate(names)],
        faults=Faults(1.0, 2.0, 3.0, 4.0, 0.95),
        reference_faults=Faults(5.0, 6.0, 7.0, 8.0, 1.05),
        unfinished=9.0,
        teacher_forced=TeacherForced(2.0, 99),
        alignment=AlignmentQuality(0.125, 0.75, 0.5, 0.0625),
        seconds=12.0,
    )
    text = _describe(system, data, evaluation, Path("out.txt"), "sacrebleu r.txt")
    title, *lines = text.splitlines()
    assert title == (
        f"news: 30 sentences, {attention_run}, best.pt (update {system.step}), "
        "beam 7, length penalty 0.25, bf16"
    )
    assert [re.split("  +", line.strip()) for line in lines] == [
        ["BLEU", "30.00", "signed-0"],
        ["chrF2", "31.00", "signed-1"],
        ["TER", "32.00", "signed-2"],
        ["BLEU lc.norm.tok", "33.00", "signed-3"],
        ["loss", "2.000", "nats a token, 99 tokens"],
        ["perplexity", "7.39", "a token, teacher-forced"],
        [
            "alignment error",
            "0.125",
            "diagonal links: 0.500, best possible with one link per word: 0.062",
        ],
        ["attention", "75.0%", "on the gold words, teacher-forced on the references"],
        ["speed", "2.5", "sentences a second, 12.0 s in all"],
        ["repeated", "1.0", "% repeat a phrase (references: 5.0 %)"],
        [
            "identical",
            "2.0",
            "% are also the translation of another source (references: 6.0 %)",
        ],
        ["empty", "3.0", "% are empty (references: 7.0 %)"],
        ["copied", "4.0", "% are the source itself (references: 8.0 %)"],
        ["unfinished", "9.0", "% reached the length limit"],
        ["length", "0.950", f"times the {unit} of the references"],
        ["hypotheses: out.txt"],
        ["to score the raw text again: sacrebleu r.txt"],
    ]


def test_splits_are_written_into_the_run(attention_run, capsys):
    assert main([str(attention_run), "--split", "valid", "--split", "test"]) == 0
    assert main([str(attention_run), "--checkpoint", "last"]) == 0
    assert capsys.readouterr().out.count("sacrebleu ") == 3
    names = [path.name for path in (attention_run / "hypotheses").iterdir()]
    (step,) = {
        name.split(".")[1] for name in names if name.startswith("valid") and "ref" not in name
    }
    assert {
        f"{name}.{step}.{kind}" for name in ("valid", "test") for kind in ("txt", "json")
    } <= set(names)
    last = RunDirectory.open(attention_run).load_model("last").step
    assert {f"test.{last}.last.txt", "test.reference.txt"} <= set(names)


def test_other_options_do_not_overwrite_the_results_of_the_usual_ones(
    attention_run, capsys, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    folder = attention_run / "hypotheses"
    for options, suffix in (
        ([], ""),
        (["--beam-size", "2", "--length-penalty", "0.5"], ".beam-2.penalty-0.5"),
        (["--precision", "bf16"], ".bf16"),
        (["--precision", "auto"], ".bf16"),
    ):
        assert main([str(attention_run), *options]) == 0
        step = RunDirectory.open(attention_run).load_model().step
        assert f"hypotheses: {folder}/test.{step}{suffix}.txt" in capsys.readouterr().out


def test_where_nothing_can_be_written_nothing_is_translated(
    attention_run, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("mt.translator.search_ids", None)
    assert main([str(attention_run), "--output", str(tmp_path / "new" / "out.txt")]) == 1
    assert f"nothing can be written to {tmp_path}: name another" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_options_of_loading_reach_it(attention_run, monkeypatch):
    threads = []
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    options = ["--checkpoint", "last", "--device", "cpu", "--precision", "bf16", "--threads", "7"]
    with unittest.mock.patch("mt.evaluation.load_system", side_effect=ValueError) as spy:
        assert main([str(attention_run), *options]) == 1
    assert spy.call_args.kwargs == {"checkpoint": "last", "device": "cpu", "precision": "bf16"}
    assert threads == [7]


def test_json_alone_is_on_stdout(attention_run, capsys):
    options = ["--beam-size", "1", "--length-penalty", "0.5", "--batch-size", "3"]
    with unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as spy:
        assert main([str(attention_run), "--json", "--precision", "bf16", *options]) == 0
    models, search = spy.call_args.args[0], spy.call_args.args[2]
    assert (search.beam_size, search.length_penalty, search.batch_size) == (1, 0.5, 3)
    assert {parameter.dtype for parameter in models[0].parameters()} == {torch.bfloat16}
    (result,) = json.loads(capsys.readouterr().out)
    assert result["name"] == "test"
    assert result["beam_size"] == 1
    assert [score["name"] for score in result["scores"]] == ["BLEU", "chrF2", "TER"]
    assert set(result["faults"]) == set(result["reference_faults"]) | {"unfinished"}


def test_files_in_place_of_a_split(attention_run, capsys, tmp_path):
    source, first, second = (tmp_path / name for name in ("in.xx", "1.yy", "2.yy"))
    source.write_text("bado kira\n\nfena\n", encoding="utf-8")
    first.write_text("alben oldan\nx\nortig\n", encoding="utf-8")
    second.write_text("alben\nx\nortig ortig\n", encoding="utf-8")
    arguments = [
        str(attention_run),
        "--src",
        str(source),
        "--ref",
        str(first),
        "--ref",
        str(second),
    ]
    assert main([*arguments, "--output", str(tmp_path / "out.txt")]) == 0
    assert "in.xx: 3 sentences" in capsys.readouterr().out
    assert (tmp_path / "out.txt").read_text("utf-8").split("\n")[1] == ""


def test_the_command_that_is_written_is_that_of_the_target_language(
    attention_run, capsys, tmp_path
):
    run = RunDirectory.open(shutil.copytree(attention_run, tmp_path / "run"))
    config = run.load_config()
    run.write_config(replace(config, data=replace(config.data, tgt="zh")))
    for name in ("in.xx", "ref.zh"):
        (tmp_path / name).write_text("bado kira\n", encoding="utf-8")
    files = ["--src", str(tmp_path / "in.xx"), "--ref", str(tmp_path / "ref.zh")]
    assert main([str(run.path), *files, "--json"]) == 0
    [result] = json.loads(capsys.readouterr().out)
    written = json.loads(Path(result["hypotheses"]).with_suffix(".json").read_text("utf-8"))
    assert " --tokenize zh " in written["sacrebleu"]


def test_another_file_of_the_same_name_does_not_overwrite_the_results(
    attention_run, capsys, tmp_path
):
    step = RunDirectory.open(attention_run).load_model().step
    first, second = (attention_run / "hypotheses" / f"same.xx.{step}{n}.txt" for n in ("", ".2"))
    for folder, text, path in (
        ("a", "bado\n", first),
        ("b", "fena\n", second),
        ("a", "kira\n", first),  # the same file, edited
        ("b", "kira\n", second),
    ):
        source = tmp_path / folder / "same.xx"
        source.parent.mkdir(exist_ok=True)
        source.write_text(text, encoding="utf-8")
        assert main([str(attention_run), "--src", str(source), "--ref", str(source)]) == 0
        assert f"  hypotheses: {path}\n" in capsys.readouterr().out
    first.with_suffix(".json").write_text('{"na', encoding="utf-8")
    assert main([str(attention_run), "--src", str(source), "--ref", str(source)]) == 0
    assert f"  hypotheses: {second}\n" in capsys.readouterr().out


def test_another_corpus_does_not_overwrite_the_results(attention_run, capsys, tmp_path):
    for side in ("xx", "yy"):
        text = (attention_run / "corpus" / f"test.{side}").read_text("utf-8")
        (tmp_path / f"test.{side}").write_text("".join(text.splitlines(True)[:5]), encoding="utf-8")
    for _ in range(2):
        for options, count, number in (([], 20, ""), (["--data-root", str(tmp_path)], 5, ".2")):
            assert main([str(attention_run), *options]) == 0
            printed = capsys.readouterr().out
            assert f"test: {count} sentences" in printed
            [command] = re.findall(r"sacrebleu .*", printed)
            [references, _, hypotheses] = shlex.split(command)[1:4]
            assert references.endswith(f"/test.reference{number}.txt")
            assert re.search(rf"/test\.[0-9]+{re.escape(number)}\.txt$", hypotheses)
            for path in (references, hypotheses):
                assert len(Path(path).read_text("utf-8").splitlines()) == count


def test_a_checkpoint_from_elsewhere_does_not_overwrite_the_results(
    attention_run, capsys, tmp_path
):
    step = RunDirectory.open(attention_run).load_model().step
    names = set()
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        shutil.copy(attention_run / "checkpoints" / "best.pt", folder)
        for _ in range(2):
            assert main([str(attention_run), "--checkpoint", str(folder / "best.pt")]) == 0
            [name] = re.findall(r"hypotheses: .*/(.*)", capsys.readouterr().out)
            assert re.fullmatch(rf"test\.{step}\.[0-9a-f]{{8}}\.txt", name)
            names.add(name)
    assert len(names) == 2
    own = str(attention_run / "checkpoints" / "best.pt")
    assert main([str(attention_run), "--checkpoint", own]) == 0
    assert f"/test.{step}.txt" in capsys.readouterr().out


def test_another_data_root_is_used(attention_run, capsys, tmp_path):
    for side in ("xx", "yy"):
        text = (attention_run / "corpus" / f"test.{side}").read_text("utf-8")
        (tmp_path / f"test.{side}").write_text("".join(text.splitlines(True)[:5]), encoding="utf-8")
    output = str(tmp_path / "out.txt")
    assert main([str(attention_run), "--data-root", str(tmp_path), "--output", output]) == 0
    assert "test: 5 sentences" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "tset"], "has no split 'tset'"),
        (["--checkpoint", "averaged"], "there is no checkpoint"),
        (["--src", "missing.txt", "--ref", "missing.txt"], "missing.txt: no such file"),
    ],
)
def test_failures_are_one_line(attention_run, capsys, arguments, message):
    assert main([str(attention_run), *arguments]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mt-evaluate: error: ")
    assert message in error


def test_no_run_is_a_failure(capsys, tmp_path):
    assert main([str(tmp_path / "none")]) == 1
    assert "is not a run directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: RUN"),
        (["run", "--src", "a"], "--src and --ref go together"),
        (["run", "--ref", "a"], "--src and --ref go together"),
        (["run", "--src", "a", "--ref", "b", "--split", "test"], "--split and --src exclude"),
        (["run", "--output", "a.png"], "--output a.png: expected a file name that ends in .txt"),
        (["run", "--output", "a.txt", "--split", "a", "--split", "b"], "of one --split"),
        (
            ["run", "--src", "a.txt", "--ref", "b", "--output", "./a.txt"],
            "--output ./a.txt would overwrite --src a.txt: give another",
        ),
        (
            ["run", "--src", "a", "--ref", "b", "--ref", "c.json", "--output", "c.txt"],
            "--output c.txt would overwrite --ref c.json: give another",
        ),
        (["run", "--output", "test.reference.txt"], "names with .reference are kept for the ref"),
        (["run", "--beam-size", "0"], "0: expected a whole number, 1 or more"),
        (["run", "--threads", "x"], "x: expected a whole number, 1 or more"),
        (["run", "--length-penalty", "-1"], "-1: expected a number from 0 to 10"),
        (["run", "--length-penalty", "x"], "x: expected a number from 0 to 10"),
        (["run", "--device", "tpu"], "invalid choice: 'tpu'"),
    ],
)
def test_wrong_usage_exits_with_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[1]", '{"hypotheses": 1}', "rubbish"])
def test_results_do_not_take_the_place_of_something_else(capsys, tmp_path, content):
    other = tmp_path / "out.json"
    other.write_text(content, "utf-8")
    with pytest.raises(SystemExit) as exit_info:
        main(["run", "--output", str(tmp_path / "out.txt")])
    assert exit_info.value.code == 2
    assert f"would overwrite {other}, which does not hold the results" in capsys.readouterr().err
    assert other.read_text("utf-8") == content


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_help_does_not_wait_for_torch(command):
    code = (
        f"import sys; from mt.cli.{command} import _parse\n"
        "try: _parse(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'matplotlib', 'sacrebleu') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
