"""`mt-compare` from the outside: the table, the folder it fills, and how it fails."""

import re
import shutil
import unittest.mock

import pytest
from tiny_run import copy_run

from mt.cli.compare import _parse, _report_name, main


def test_the_table_the_report_and_the_pictures(
    attention_run, baseline_run, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main([str(attention_run), str(baseline_run), "--beam-size", "1"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("test: 20 sentences\n")
    assert "baseline against attention" in text
    assert text.endswith("report and figures: comparison/attention_baseline.beam-1/report.md\n")
    folder = tmp_path / "comparison" / "attention_baseline.beam-1"
    assert {path.name for path in folder.iterdir()} == {
        "report.md",
        "bleu_by_length.png",
        "gradient_reach.png",
    }


def test_the_table_is_printed_though_the_report_cannot_be_written(
    attention_run, baseline_run, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mt.comparison.compare", lambda *_, **__: unittest.mock.Mock(splits=[1]))
    monkeypatch.setattr("mt.comparison_report.plain_table", lambda *_: "the table")
    failure = unittest.mock.Mock(side_effect=OSError("the disk is full"))
    monkeypatch.setattr("mt.comparison_report.write_report", failure)
    assert main([str(attention_run), str(baseline_run)]) == 1
    printed = capsys.readouterr()
    assert printed.out == "the table\n\n"
    assert "the disk is full" in printed.err


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("", "one_two-a"),
        ("--split test --split long --split test", "one_two-a.test+long"),
        ("--checkpoint last --length-penalty 0.60", "one_two-a.last.penalty-0.6"),
        ("--beam-size 1 --split test", "one_two-a.test.beam-1"),
        ("--split news/one", "one_two-a.news-one"),
        ("--batch-size 3 --threads 1 --device cpu --data-root there", "one_two-a"),
        ("--src texts/in.en.gz --ref ref.de --beam-size 1", "one_two-a.in.en.beam-1"),
    ],
)
def test_a_comparison_with_other_options_does_not_write_over_the_first(options, name):
    arguments = _parse(["one", "two/a", *options.split()])
    assert _report_name(["one", "two/a"], arguments, "fp32") == name
    assert _report_name(["one", "two/a"], arguments, "bf16") == f"{name}.bf16"


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_a_comparison_of_others_with_the_same_names_does_not_write_over_the_first(
    attention_run, baseline_run, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for source in (attention_run, baseline_run):
        shutil.copytree(source, tmp_path / "again" / source.name)
    first = [str(attention_run), str(baseline_run), "--beam-size", "1"]
    again = [f"again/{attention_run.name}", f"again/{baseline_run.name}", "--beam-size", "1"]
    shutil.copytree(attention_run / "corpus", tmp_path / "corpus")
    elsewhere = [*first, "--data-root", "corpus"]
    own = [*first, "--data-root", str(attention_run / "corpus")]
    for arguments, name in (
        (first, "beam-1"),
        (again, "beam-1.2"),
        (elsewhere, "beam-1.3"),
        (first, "beam-1"),
        (elsewhere, "beam-1.3"),
        (own, "beam-1"),
    ):
        assert main(arguments) == 0
        folder = f"comparison/attention_baseline.{name}"
        assert capsys.readouterr().out.endswith(f"report and figures: {folder}/report.md\n")
    assert len(list((tmp_path / "comparison").iterdir())) == 3


@pytest.mark.usefixtures("unchecked_shapes")
def test_files_can_be_compared_on_instead_of_a_split(
    attention_run, baseline_run, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    runs = [str(attention_run), str(baseline_run), "--beam-size", "1"]
    assert main(runs) == 0
    of_the_split = capsys.readouterr().out
    corpus = attention_run / "corpus"
    for name, source in (("in.xx", "test.xx"), ("ref.yy", "test.yy"), ("other.yy", "test.yy")):
        shutil.copyfile(corpus / source, tmp_path / name)
    for reference, number in (("ref.yy", ""), ("other.yy", ".2"), ("ref.yy", "")):
        assert main([*runs, "--src", "in.xx", "--ref", reference]) == 0
        out = capsys.readouterr().out
        folder = f"comparison/attention_baseline.in.xx.beam-1{number}"
        assert out.endswith(f"report and figures: {folder}/report.md\n")
        assert out.startswith("in.xx: 20 sentences\n")
        mine, own = (
            re.findall(r"\S+ ± \S+ +\S+ +\S+|.* BLEU, p = .*", text) for text in (out, of_the_split)
        )
        assert mine == own and len(own) == 3
        report = (tmp_path / folder / "report.md").read_text("utf-8")
        assert f"Corpus: `{tmp_path / 'in.xx'}`, `{tmp_path / reference}`.\n" in report
        assert "xx-yy. All systems translate the same sentences" in report
    assert "tiny xx-yy. All systems" in (
        tmp_path / "comparison" / "attention_baseline.beam-1" / "report.md"
    ).read_text("utf-8")


def test_the_folder_can_be_chosen_but_is_no_file(
    attention_run, baseline_run, capsys, tmp_path, monkeypatch
):
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    runs = [str(attention_run), str(baseline_run)]
    assert main([*runs, "--output", str(file)]) == 1
    assert f"{file} is a file, not a folder: name another by --output" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    (tmp_path / "comparison").touch()
    assert main(runs) == 1
    assert "comparison is a file, not a folder: name another by" in capsys.readouterr().err
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bleu_by_length.png").touch()
    assert main([*runs, "--output", "docs"]) == 1
    message = "docs/bleu_by_length.png is there already, without the report of a comparison: name a"
    assert message in capsys.readouterr().err
    folder = tmp_path / "new" / "one"
    assert main([*runs, "--output", str(folder), "--beam-size", "1"]) == 0
    assert (folder / "report.md").is_file()
    assert main([*runs, "--output", str(folder), "--beam-size", "1"]) == 0
    (folder / "report.md").write_text("my own", encoding="utf-8")
    assert main([*runs, "--output", str(folder), "--beam-size", "1"]) == 1
    message = f"{folder / 'report.md'} is there already and is not the report of a comparison: name"
    assert message in capsys.readouterr().err
    assert (folder / "report.md").read_text("utf-8") == "my own"


def test_the_options_reach_the_comparison(attention_run, baseline_run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = {
        "splits": ["valid"],
        "checkpoint": "last",
        "beam_size": 2,
        "length_penalty": 0.0,
        "batch_size": 3,
        "device": "cpu",
        "precision": "bf16",
        "data_root": "there",
    }
    threads = []
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    options = ["--split", "valid", "--threads", "7"]
    for name, value in given.items():
        if name != "splits":
            options += [f"--{name.replace('_', '-')}", str(value)]
    with unittest.mock.patch("mt.comparison.compare", side_effect=ValueError("enough")) as spy:
        assert main([str(attention_run), str(baseline_run), *options]) == 1
    assert spy.call_args.kwargs == given | {"texts": None}
    assert threads == [7]


def test_a_seed_that_is_none_is_told_before_anything_is_translated(
    attention_run, baseline_run, monkeypatch, capsys
):
    monkeypatch.setenv("SACREBLEU_SEED", "x")
    with unittest.mock.patch("mt.comparison.load_system") as load:
        assert main([str(attention_run), str(baseline_run)]) == 1
    assert not load.called
    assert "SACREBLEU_SEED=x in the environment: expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{attention}", "{attention}"], "is given twice: compare different runs"),
        (["{attention}", "none"], "none is not a run directory"),
        (["{attention}", "{baseline}", "--split", "tset"], "has no split 'tset'"),
        (["{attention}", "{baseline}", "--checkpoint", "averaged"], "there is no checkpoint"),
    ],
)
def test_failures_are_one_line(attention_run, baseline_run, capsys, arguments, message):
    names = {"attention": attention_run, "baseline": baseline_run}
    assert main([argument.format(**names) for argument in arguments]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mt-compare: error: ")
    assert message in error


def test_what_is_missing_is_said_before_anything_is_translated(
    attention_run, baseline_run, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run = copy_run(attention_run, tmp_path / "run")
    runs = [str(run), str(baseline_run)]
    corpus = shutil.copytree(attention_run / "corpus", tmp_path / "corpus")
    (corpus / "test.yy").write_text("\n" * 20, encoding="utf-8")
    shutil.copyfile(run / "checkpoints" / "best.pt", run / "checkpoints" / "averaged.pt")
    with unittest.mock.patch("mt.comparison.evaluate") as spy:
        assert main([*runs, "--checkpoint", "averaged"]) == 1
        assert "there is no checkpoint averaged" in capsys.readouterr().err
        assert main([*runs, "--split", "valid", "--split", "test", "--data-root", "corpus"]) == 1
        assert "test has no pair with text on both sides: compare on" in capsys.readouterr().err
    assert not spy.called


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one"], "give two run directories or more"),
        ([], "the following arguments are required: RUN"),
        (["a", "b", "--checkpoint", "x.pt"], "invalid choice: 'x.pt'"),
        (["a", "b", "--src", "in"], "--src and --ref go together"),
        (["a", "b", "--src", "in", "--ref", "r", "--split", "test"], "--split and --src exclude"),
        (["a", "b", "--src", "in", "--ref", "r", "--data-root", "d"], "--data-root and --src excl"),
    ],
)
def test_wrong_usage_exits_with_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err
