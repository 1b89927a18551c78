"""The table of the ladder says what the runs' records say, row above row."""

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from mt.cli.train import CONFIGS
from mt.models.seq2seq import build_model

LADDER = Path(__file__).resolve().parents[2] / "scripts" / "ladder"
ROWS = sorted(path.stem for path in (CONFIGS / "experiment" / "ladder").glob("*.yaml"))


def _ladder(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(LADDER), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _write_run(folder: Path, bleu: list[float], *, reason: str = "finished") -> None:
    folder.mkdir(parents=True)
    events: list[dict[str, object]] = [{"event": "start", "step": 0}]
    for step, value in enumerate(bleu, start=1):
        events.append({"event": "valid", "step": step, "bleu": value, "ppl": 100 / value})
    end = {"reason": reason, "seconds": 120.0, "parameters": 1_420_000}
    events.append({"event": "end", "step": len(bleu), **end})
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")


def test_the_table_holds_means_spreads_and_steps(tmp_path: Path) -> None:
    _write_run(tmp_path / "conditional-1", [20.0, 34.0, 33.0])
    _write_run(tmp_path / "conditional-2", [35.0])
    _write_run(tmp_path / "base-1", [25.0])
    _write_run(tmp_path / "base-2", [90.0], reason="interrupted")  # does not count
    _write_run(tmp_path / "base-3", [])  # resumed when it was finished, without its record
    _write_run(tmp_path / "adamw-1", [36.0], reason="early stop")
    _write_run(tmp_path / "short-1", [37.0])
    _write_run(tmp_path / "another-1", [90.0])
    _write_run(tmp_path / "base-1.old", [90.0])
    done = _ladder(tmp_path, "--plot", tmp_path / "ladder.png")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "building the font cache" not in line]
    assert told == [f"ladder: {tmp_path}/base-3 is left out: no validation is on record"]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    assert [row[0] for row in rows[2:]] == ["base", "conditional", "short", "adamw"]
    assert rows[2][3:] == ["1", "25.00", "", "4.00", "1.42 M", "2.0"]
    assert rows[3][1] == "base" and "conditional GRU" in rows[3][2]
    assert rows[3][3:6] == ["2", "34.50 ± 0.71", "+9.50"]
    assert rows[3][6] == f"{(100 / 34 + 100 / 35) / 2:.2f}"  # at the best validation
    assert (tmp_path / "ladder.png").stat().st_size > 5000


def test_the_picture_has_a_dot_for_every_seed(tmp_path: Path) -> None:
    _write_run(tmp_path / "base-1", [25.0])
    _write_run(tmp_path / "conditional-1", [34.0])
    _write_run(tmp_path / "conditional-2", [36.0])
    [axes] = _script()["draw"](_script()["read_rows"](tmp_path)).axes
    dots = [dots.get_offsets().tolist() for dots in axes.collections]
    assert dots == [[[25.0, 0.0]], [[34.0, 1.0], [36.0, 1.0]]]
    places = [label.get_text() for label in axes.get_yticklabels()]
    assert places == ["base", "conditional"]
    lines = [line.get_xydata().tolist() for line in axes.lines[2:]]
    assert lines == [[[25.0, 1.0], [35.0, 1.0]], [[35.0, 0.7], [35.0, 1.3]]]


def test_a_folder_without_finished_rows_is_an_error(
    tmp_path: Path, run_here: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, message in (
        (tmp_path, f"{tmp_path} holds no finished run of a row: expected"),
        (tmp_path / "none", "none is not a folder: give the one that holds the runs"),
    ):
        assert run_here(LADDER, folder) == 1
        error = capsys.readouterr().err
        assert error.startswith("ladder: error: ") and message in error


@cache
def _script() -> dict[str, Any]:
    return runpy.run_path(str(LADDER))


@cache
def _composed(row: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", [f"experiment=ladder/{row}"])


@pytest.mark.parametrize("row", ROWS)
def test_every_row_says_what_it_changes_and_differs_from_the_row_below(row: str) -> None:
    script = _script()
    path = CONFIGS / "experiment" / "ladder" / f"{row}.yaml"
    below = script["_stands_on"](path)
    assert len(script["_change"](path)) > 10
    assert (below is None) == (row == "base")
    assert below is None or _composed(row) != _composed(below)
    page = (CONFIGS.parent / "docs" / "ladder.md").read_text("utf-8")
    # A row that others stand on stands in the second table too, with fewer columns.
    [cells] = re.findall(rf"^\| ({row}) \|" + r" ([^|]*) \|" * 8 + "$", page, re.M)
    config = _composed(row)
    n_pieces = config.tokenizer.vocab_size
    model = build_model(
        OmegaConf.to_object(config.model), src_vocab_size=n_pieces, tgt_vocab_size=n_pieces
    )
    size = f"{model.n_parameters / 1e6:.2f} M"
    assert (cells[1], cells[2], cells[7]) == (below or "", script["_change"](path), size)
