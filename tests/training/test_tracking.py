"""The record of a run: every update once, in `metrics.jsonl` and in TensorBoard."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mt.checkpoint import RunDirectory
from mt.plotting import alignment_figure
from mt.training import tracking
from mt.training.tracking import Sample, Silence, Tracker


def _tensorboard(run: RunDirectory) -> EventAccumulator:
    accumulator = EventAccumulator(str(run.tensorboard))
    accumulator.Reload()
    return accumulator


def _scalars(run: RunDirectory, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in _tensorboard(run).Scalars(name)]


def test_numbers_stand_in_both_records(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with Tracker(run, step=0, total_steps=2) as tracker:
        tracker.event("start", 0, {"parameters": 10})
        for step in (1, 2):
            values = {"loss": 4.0 / step, "lr": 0.5, "seconds": 1.0 * step, "epoch": 0}
            tracker.event("train", step, values)
        tracker.event("valid", 2, {"loss": 3.0, "bleu": 12.5, "signature": "nrefs:1"})
        tracker.event("end", 2, {"reason": "finished"})
    assert run.read_metrics() == [
        {"event": "start", "step": 0, "parameters": 10},
        {"event": "train", "step": 1, "loss": 4.0, "lr": 0.5, "seconds": 1.0, "epoch": 0},
        {"event": "train", "step": 2, "loss": 2.0, "lr": 0.5, "seconds": 2.0, "epoch": 0},
        {"event": "valid", "step": 2, "loss": 3.0, "bleu": 12.5, "signature": "nrefs:1"},
        {"event": "end", "step": 2, "reason": "finished"},
    ]
    assert _scalars(run, "train/loss") == [(1, 4.0), (2, 2.0)]
    assert _scalars(run, "valid/bleu") == [(2, 12.5)]
    names = set(_tensorboard(run).Tags()["scalars"])
    assert names == {"train/loss", "train/lr", "valid/loss", "valid/bleu"}


def test_samples_reach_tensorboard(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    figure = alignment_figure(["a"], ["b"], [[1.0]])
    with Tracker(run, step=0, total_steps=1) as tracker:
        tracker.samples([Sample("ein Mann", figure), Sample("eine Frau", None)], 1)
    board = _tensorboard(run)
    assert board.Tags()["images"] == ["sample_0/attention"]
    texts = [f"sample_{number}/translation/text_summary" for number in range(2)]
    assert board.Tags()["tensors"] == texts
    found = [board.Tensors(name)[0] for name in texts]
    assert [(one.step, one.tensor_proto.string_val[0]) for one in found] == [
        (1, b"ein Mann"),
        (1, b"eine Frau"),
    ]


@pytest.mark.filterwarnings("error")
def test_characters_without_a_font_are_named_by_the_log_alone(tmp_path: Path) -> None:
    figure = alignment_figure(["\U0001f9ff\u1781"], ["a"], [[1.0]])
    with Tracker(RunDirectory(tmp_path), step=0, total_steps=1) as tracker:
        tracker.samples([Sample("a", figure)], 1)


def test_a_silent_process_draws_no_samples() -> None:
    def draw() -> Iterator[Sample]:
        raise AssertionError("a sample was asked for")
        yield

    with Silence() as silence:
        silence.samples(draw(), 1)


def test_a_killed_run_goes_on_with_every_update_recorded_once(tmp_path: Path) -> None:
    """What was written after the last checkpoint is done again and must not stand there twice."""
    run = RunDirectory(tmp_path)
    with Tracker(run, step=0, total_steps=6) as tracker:
        for step in range(1, 6):
            tracker.event("train", step, {"loss": 1.0 * step})
    with run.metrics_path.open("a", encoding="utf-8") as file:
        file.write('{"event": "train", "st')  # killed while writing
    with Tracker(run, step=3, total_steps=6) as tracker:
        for step in range(4, 7):
            tracker.event("train", step, {"loss": 10.0 * step})
    found = [(event["step"], event["loss"]) for event in run.read_metrics()]
    assert found == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0), (5, 50.0), (6, 60.0)]
    assert _scalars(run, "train/loss") == found


def test_an_event_is_in_the_file_at_once(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with Tracker(run, step=0, total_steps=9) as tracker:
        for number, kind in enumerate(("train", "valid", "train"), start=1):
            tracker.event(kind, number, {"loss": 1.0})
            assert [event["step"] for event in run.read_metrics()] == list(range(1, number + 1))


def test_progress_without_a_terminal_is_a_line_now_and_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(tracking.time, "perf_counter", lambda: clock[0])
    with (
        caplog.at_level(logging.INFO),
        Tracker(RunDirectory(tmp_path), step=10, total_steps=110) as tracker,
    ):
        for step in range(11, 31):
            clock[0] += 6.0
            tracker.progress(step, loss=2.3456, tokens_per_s=12345.6)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[1] for line in lines] == ["15/110", "20/110", "25/110", "30/110"]
    # 20 updates took 2 minutes, and 80 are left.
    assert lines[-1] == "update 30/110  loss 2.346  12,346 tokens/s  about 8 min left"


def test_on_a_terminal_a_bar_moves_below_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(sys.stderr)])
    before = logging.getLogger().handlers
    with Tracker(RunDirectory(tmp_path), step=2, total_steps=4) as tracker:
        tracker.progress(3, loss=2.5, tokens_per_s=12345.6)
        logging.getLogger("mt").warning("a word")
        tracker.progress(4, loss=1.5, tokens_per_s=12345.6)
    shown = capsys.readouterr().err
    assert "\ra word\n" in shown  # the bar is wiped off before it
    last = shown.rstrip().split("\r")[-1]
    assert "4/4" in last and "loss 1.500, 12,346 tokens/s" in last
    assert logging.getLogger().handlers == before
