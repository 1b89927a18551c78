"""The benchmarks run, at the smallest sizes, and write what they print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mt.device import select_precision

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


@pytest.mark.skipif(
    "MT_CORPORA" not in os.environ,
    reason="needs Multi30k: set MT_CORPORA to a folder that holds multi30k/train.en.gz and .de.gz",
)
def test_training(tmp_path: Path) -> None:
    corpus, result = Path(os.environ["MT_CORPORA"], "multi30k"), tmp_path / "result.json"
    small = ["--updates=2", "--repeats=1", "--sentences=2", "--threads=1"]
    table = _run("benchmark_training", str(corpus), *small, f"--json={result}")
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


@pytest.mark.skipif(
    "MT_CORPORA" not in os.environ,
    reason="needs Multi30k: set MT_CORPORA to a folder that holds multi30k/train.en.gz and .de.gz",
)
def test_data(tmp_path: Path) -> None:
    corpus, result = Path(os.environ["MT_CORPORA"], "multi30k"), tmp_path / "result.json"
    small = ["--repeats=1", "--pairs=30000", "--updates=2", f"--scratch={tmp_path}"]
    table = _run("benchmark_data", str(corpus), *small, f"--json={result}")
    written = json.loads(result.read_text(encoding="utf-8"))
    assert [row["kind"] for row in written["encoding"]] == ["unigram", "bpe"]
    assert [row["name"] for row in written["start"]] == ["first", "second"]
    assert all(row["first_update_s"] > 0 < row["at_the_end"] for row in written["start"])
    assert "30,000 pairs" in table
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
