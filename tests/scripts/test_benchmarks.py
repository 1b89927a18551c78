"""The benchmarks run, at the smallest sizes, and write what they print."""

import gzip
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch

from mt.device import select_precision

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PRECISIONS = list(dict.fromkeys(("fp32", select_precision("auto", torch.device("cpu")))))


def _run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def multi30k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the first pairs of Multi30k, enough for 8,000 pieces."""
    if "MT_CORPORA" not in os.environ:
        pytest.skip(
            "needs Multi30k: set MT_CORPORA to a folder that holds multi30k/train.en.gz and .de.gz"
        )
    folder = tmp_path_factory.mktemp("multi30k")
    for name in ("train.en.gz", "train.de.gz"):
        with gzip.open(Path(os.environ["MT_CORPORA"], "multi30k", name)) as file:
            (folder / name).write_bytes(gzip.compress(b"".join(islice(file, 6_000))))
    return folder


@pytest.mark.parametrize("name", ["training", "data", "translation"])
def test_mistakes_are_one_line(name: str) -> None:
    command = [sys.executable, str(SCRIPTS / f"benchmark_{name}"), "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = [line for line in done.stderr.splitlines() if "error" in line]
    assert line.startswith(f"benchmark_{name}: error: ") and "nowhere" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["training", "translation"])
def test_the_peer_on_another_device_is_refused(name: str) -> None:
    command = [sys.executable, str(SCRIPTS / f"benchmark_{name}"), "nowhere"]
    options = ["--joeynmt", "python", "--device", "cuda"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--joeynmt is measured on the CPU, so its ratios need --device cpu" in done.stderr


def test_training(multi30k: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    small = ["--updates=2", "--repeats=1", "--sentences=2", "--threads=1"]
    table = _run("benchmark_training", str(multi30k), *small, f"--json={result}")
    rows = json.loads(result.read_text(encoding="utf-8"))["rows"]
    names = [row["name"] for row in rows]
    assert names == [line[:35].strip() for line in table.splitlines()[1 : len(rows) + 1]]
    assert [sum(precision in name for name in names) for precision in ("fp32", "bf16")] == [
        3,
        5 if "bf16" in PRECISIONS else 0,
    ]
    assert all(0 < row["of_product_limit"] < 1 for row in rows)
    assert all(row["slowest"] <= row["tokens_per_s"] <= row["fastest"] for row in rows)
    assert all((row["loss"] is None) == ("2 processes" in row["name"]) for row in rows)


def test_data(multi30k: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    small = ["--repeats=1", "--pairs=7000", "--updates=2", f"--scratch={tmp_path}"]
    table = _run("benchmark_data", str(multi30k), *small, f"--json={result}")
    written = json.loads(result.read_text(encoding="utf-8"))
    assert [row["kind"] for row in written["encoding"]] == ["unigram", "bpe"]
    assert [row["name"] for row in written["start"]] == ["first", "second"]
    assert all(row["until_updates_s"] > 0 < row["at_the_end"] for row in written["start"])
    assert "7,000 pairs" in table
    assert list(tmp_path.iterdir()) == [result]


def test_translation(attention_run: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    small = ["--sentences=4", "--repeats=1", "--threads=1"]
    table = _run("benchmark_translation", str(attention_run), *small, f"--json={result}")
    rows = json.loads(result.read_text(encoding="utf-8"))
    each = 2 * len(PRECISIONS) + 1
    assert [row["beam_size"] for row in rows] == [1] * each + [5] * each
    assert [row["name"] for row in rows if "pipe" in row["name"]] == [
        f"mt-translate, cold, from a pipe, {precision}" for precision in PRECISIONS
    ] * 2
    assert all(row["seconds"] > 0 for row in rows)
    assert "sentences of test" in table
