"""The diversified corpus: what of it is the corpus's, what the models', and its faults."""

import dataclasses
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import tiny_config, tiny_corpus

from mt import Translator
from mt.checkpoint import RunDirectory
from mt.data.corpus import load_split
from mt.evaluation_set import load_evaluation_set
from mt.training.run import train

DIVERSIFY = Path(__file__).resolve().parents[2] / "scripts" / "diversify"


def _diversify(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DIVERSIFY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def backward_run(attention_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run in the other direction, hardly trained."""
    run = tmp_path_factory.mktemp("runs") / "backward"
    config = tiny_config(run, attention_run / "corpus")
    data = dataclasses.replace(config.data, src="yy", tgt="xx")
    trainer = dataclasses.replace(config.trainer, max_steps=60, validate_every=60)
    train(dataclasses.replace(config, data=data, trainer=trainer))
    return run


def test_it_holds_the_corpus_and_the_translations_of_both_directions(
    attention_run: Path, backward_run: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(attention_run / "corpus", tmp_path / "copy")
    (copy / "test.yy").unlink()
    output = tmp_path / "diversified"
    runs = ["--forward", attention_run, "--backward", backward_run, "--data-root", copy]
    done = _diversify(*runs, "--output", output, "--precision=fp32")
    assert done.returncode == 0, done.stderr
    assert f"split test is left out: data.root={copy} has no test.yy" in done.stderr
    corpus = tiny_corpus()
    which = f"the corpus of {attention_run} (data.root={copy})"
    assert f"{len(corpus['train']):,} training pairs of tiny, {which}" in done.stderr
    data = dataclasses.replace(tiny_config(tmp_path, output).data)
    rows = load_split(data, "train")
    pairs = list(zip(rows["src"], rows["tgt"], strict=True))
    n = len(corpus["train"])
    assert f"{len(pairs):,} training pairs" in done.stdout
    assert pairs[:n] == corpus["train"]
    sources = [src for src, _ in corpus["train"]]
    translations = [t.text for t in Translator.from_run(attention_run).translate(sources)]
    assert pairs[n : 2 * n] == list(zip(sources, translations, strict=True))
    targets = [tgt for _, tgt in corpus["train"]]
    back = [t.text for t in Translator.from_run(backward_run).translate(targets)]
    back_translated = [pair for pair in zip(back, targets, strict=True) if pair[0]]
    assert pairs[2 * n :] == back_translated != []
    rows = load_split(data, "valid")
    assert list(zip(rows["src"], rows["tgt"], strict=True)) == corpus["valid"]
    assert not list(output.glob("test*"))
    assert output.stat().st_mode & 0o777 == 0o755


def test_gold_alignments_come_along(
    attention_run: Path, backward_run: Path, tmp_path: Path, run_here: Callable[..., int]
) -> None:
    root = shutil.copytree(attention_run / "corpus", tmp_path / "copy")
    (root / "links").mkdir()
    links = gzip.compress(b"0-0\n" * len(tiny_corpus()["test"]))
    (root / "links" / "test.gz").write_bytes(links)
    run = shutil.copytree(attention_run, tmp_path / "run")
    config = RunDirectory.open(run).load_config()
    config.data.root, config.data.alignment = str(root), "links/{split}"
    config.data.alignment_src = "xx"
    RunDirectory.open(run).write_config(config)
    output = tmp_path / "diversified"
    runs = ["--forward", run, "--backward", backward_run]
    assert run_here(DIVERSIFY, *runs, "--output", output) == 0
    assert (output / "links" / "test.gz").read_bytes() == links
    assert [path.name for path in (output / "links").iterdir()] == ["test.gz"]
    data = dataclasses.replace(config.data, root=str(output))
    assert load_evaluation_set(data, "test").alignments == [[(0, 0)]] * len(tiny_corpus()["test"])


def test_an_option_given_again_adds_another_models_translations(
    attention_run: Path, backward_run: Path, tmp_path: Path, run_here: Callable[..., int]
) -> None:
    again = ["--forward", attention_run, "--forward", attention_run, attention_run]
    rest = ["--backward", backward_run, "--output", tmp_path / "diversified"]
    assert run_here(DIVERSIFY, *again, *rest) == 0
    rows = load_split(tiny_config(tmp_path, tmp_path / "diversified").data, "train")
    pairs, n = list(zip(rows["src"], rows["tgt"], strict=True)), len(tiny_corpus()["train"])
    assert 3 * n < len(pairs) <= 4 * n
    sources = [src for src, _ in pairs[:n]]
    for start in (n, 2 * n):  # a model, and an ensemble of it with itself
        assert [src for src, _ in pairs[start : start + n]] == sources
    assert pairs[n : 2 * n] == pairs[2 * n : 3 * n]


def test_a_split_may_lie_in_a_folder(
    attention_run: Path,
    backward_run: Path,
    tmp_path: Path,
    run_here: Callable[..., int],
) -> None:
    corpus = shutil.copytree(attention_run / "corpus", tmp_path / "copy")
    (corpus / "dev").mkdir()
    for language in ("xx", "yy"):
        (corpus / f"valid.{language}").rename(corpus / "dev" / f"v.{language}")
    forward = RunDirectory(shutil.copytree(attention_run, tmp_path / "forward"))
    config = forward.load_config()
    splits = config.data.splits | {"valid": "dev/v"}
    forward.write_config(
        dataclasses.replace(config, data=dataclasses.replace(config.data, splits=splits))
    )
    output = tmp_path / "diversified"
    runs = ["--forward", forward.path, "--backward", backward_run, "--data-root", corpus]
    assert run_here(DIVERSIFY, *runs, "--output", output) == 0
    assert (output / "dev" / "v.xx").read_bytes() == (corpus / "dev" / "v.xx").read_bytes()


def test_files_from_elsewhere_stay_as_they_are(
    attention_run: Path,
    backward_run: Path,
    tmp_path: Path,
    run_here: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    elsewhere = shutil.copytree(attention_run / "corpus", tmp_path / "elsewhere")
    (elsewhere / "test.links").write_bytes(b"0-0\n" * len(tiny_corpus()["test"]))
    before = {path.name: path.read_bytes() for path in elsewhere.iterdir()}
    forward = RunDirectory(shutil.copytree(attention_run, tmp_path / "forward"))
    config = forward.load_config()
    config.data.splits = {
        "train": "~/elsewhere/train", "test": "test",
        "valid": os.path.relpath(elsewhere / "valid", str(config.data.root)),
    }  # fmt: skip
    config.data.alignment, config.data.alignment_src = f"{elsewhere}/{{split}}.links", "xx"
    forward.write_config(config)
    output = tmp_path / "diversified"
    runs = ["--forward", forward.path, "--backward", backward_run]
    assert run_here(DIVERSIFY, *runs, "--output", output) == 0
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == before
    assert sorted(path.name for path in output.iterdir()) == [
        "test.links", "test.xx", "test.yy", "train.xx", "train.yy", "valid.xx", "valid.yy",
    ]  # fmt: skip
    assert (output / "valid.xx").read_bytes() == before["valid.xx"]
    assert (output / "train.xx").read_bytes().startswith(before["train.xx"])


def test_a_fault_on_the_way_leaves_nothing_behind(
    attention_run: Path,
    backward_run: Path,
    tmp_path: Path,
    run_here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = ["--output", tmp_path / "out" / "diversified"]
    copy = shutil.copytree(attention_run / "corpus", tmp_path / "copy")
    (copy / "valid.yy").write_text("one\n")
    runs = ["--forward", attention_run, "--backward", backward_run, "--data-root", copy]
    assert run_here(DIVERSIFY, *runs, *output) == 1
    assert "the files are not aligned" in capsys.readouterr().err
    broken = shutil.copytree(backward_run, tmp_path / "broken")
    (broken / "checkpoints" / "best.pt").unlink()
    runs = ["--forward", attention_run, "--backward", broken]
    assert run_here(DIVERSIFY, *runs, *output) == 1
    assert "there is no checkpoint best" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_is_said_before_anything_is_translated(
    attention_run: Path,
    backward_run: Path,
    tmp_path: Path,
    run_here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = ["--forward", backward_run, "--backward", backward_run, "--output", tmp_path / "x"]
    assert run_here(DIVERSIFY, *runs) == 1
    message = "translates yy-xx; expected here is xx-yy: give runs of yy-xx to --fo"
    assert message in capsys.readouterr().err
    runs = ["--forward", attention_run, "--backward", backward_run, "--output", tmp_path / "x"]
    for again in (["--backward", attention_run], ["--forward", attention_run, backward_run]):
        assert run_here(DIVERSIFY, *runs, *again) == 1
        assert "; expected here is " in capsys.readouterr().err
    runs = ["--forward", attention_run, "--backward", backward_run, "--output", tmp_path]
    assert run_here(DIVERSIFY, *runs) == 1
    message = f"diversify: error: {tmp_path} is there already: give a new --output"
    assert message in capsys.readouterr().err
