"""The training loop: exact resumption, checkpoints, stopping, what is written down."""

import dataclasses
import math
import os
import shutil
import signal
import unittest.mock
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mt.checkpoint import RunDirectory, load_checkpoint, save_checkpoint
from mt.choices import Device, Keep, Metric, Normalization, Precision, ScheduleKind
from mt.config import Config, HoldoutConfig, SearchConfig, TrainerConfig
from mt.cores import available_cores
from mt.data.batching import BatchLoader
from mt.data.encoding import encode_split
from mt.data.sampling import BatchSampler
from mt.decoding import score_ids, search_ids
from mt.evaluation import evaluate, load_system
from mt.evaluation_set import load_evaluation_set
from mt.models.loss import SequenceLoss, sequence_loss
from mt.training import trainer as trainer_module
from mt.training.keeper import CheckpointKeeper
from mt.training.optim import Schedule, build_optimizer
from mt.training.progress import DivergenceError, Progress
from mt.training.run import _set_up_device, train
from mt.training.tracking import Tracker
from mt.training.trainer import Trainer
from mt.training.world import World

# Other tests train with the checks of shapes, which take half the time.
pytestmark = pytest.mark.usefixtures("unchecked_shapes")


def change(config: Config, run: Path | None = None, **trainer: Any) -> Config:
    """Return the configuration with other trainer options, and perhaps another run directory."""
    return dataclasses.replace(
        config,
        run=str(run) if run else config.run,
        trainer=dataclasses.replace(config.trainer, **trainer),
    )


def assert_same(first: Any, second: Any, where: str = "checkpoint") -> None:
    """Compare nested checkpoints bit for bit; times are left out."""
    assert type(first) is type(second), where
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            if key != "seconds":
                assert_same(first[key], second[key], f"{where}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for number, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    else:
        assert first == second, where


def last(config: Config) -> dict[str, Any]:
    return load_checkpoint(Path(config.run) / "checkpoints" / "last.pt")


def updates(config: Config) -> list[tuple[str, int, float | None]]:
    """Return what is on record of every update and validation."""
    return [
        (event["event"], event["step"], event.get("loss"))
        for event in RunDirectory(config.run).read_metrics()
        if event["event"] in ("train", "valid")
    ]


class CrashError(Exception):
    """Stands for a machine that dies."""


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let training die in the middle of update `step`."""
    update = Trainer._update

    def dying(self: Trainer, *args: Any) -> None:
        if self.progress.step == step:
            raise CrashError
        update(self, *args)

    monkeypatch.setattr(Trainer, "_update", dying)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate": 3},
        {"precision": Precision.bf16, "ema_decay": 0.0, "keep_by": Keep.best, "average": True},
    ],
    ids=["plain", "accumulate", "bf16"],
)
def test_resumed_run_equals_an_uninterrupted_one(
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    whole = change(config, tmp_path / "whole", **options)
    train(whole)
    for died_at in (4, 6, 11):
        broken = change(config, tmp_path / f"broken-{died_at}", **options)
        with monkeypatch.context() as patch:
            crash_at(patch, died_at)
            with pytest.raises(CrashError):
                train(broken)
        torch.manual_seed(987)  # whatever the state of the process, the saved one counts
        outcome = train(dataclasses.replace(broken, resume=True))

        assert outcome.reason == "finished"
        assert_same(last(whole), last(broken), f"last, died at {died_at}")
        best = [load_checkpoint(Path(c.run) / "checkpoints" / "best.pt") for c in (whole, broken)]
        assert_same(*best, f"best, died at {died_at}")
        assert updates(whole) == updates(broken)  # every update once, none twice


def test_resuming_with_subword_regularisation_is_exact(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = dataclasses.replace(config.tokenizer, sample_alpha=0.1)
    config = dataclasses.replace(config, tokenizer=tokenizer)
    whole, broken = change(config, tmp_path / "whole"), change(config, tmp_path / "broken")
    train(whole)
    with monkeypatch.context() as patch:
        crash_at(patch, 7)
        with pytest.raises(CrashError):
            train(broken)
    train(dataclasses.replace(broken, resume=True))
    assert_same(last(whole), last(broken))


def test_damaged_last_checkpoint_falls_back_on_the_previous(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    train(config)
    expected = last(config)
    path = Path(config.run) / "checkpoints" / "last.pt"
    path.write_bytes(path.read_bytes()[:1000])
    train(dataclasses.replace(config, resume=True))
    assert "last.pt cannot be read: it is cut short" in caplog.text
    assert "previous.pt" in caplog.text
    assert_same(expected, last(config))


def test_a_damaged_checkpoint_never_takes_the_place_of_a_whole_one(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    keeper = CheckpointKeeper(RunDirectory(tmp_path), TrainerConfig(), vocabulary="")
    path = tmp_path / "checkpoints" / "last.pt"
    for step in (1, 2):
        keeper.save_last({"step": step})
    path.write_bytes(path.read_bytes()[:100])
    assert keeper.load_last()["step"] == 1
    assert keeper.load_last()["step"] == 1  # stopped before anything was saved
    keeper.save_last({"step": 3})
    path.write_bytes(path.read_bytes()[:100])
    assert keeper.load_last()["step"] == 1


def test_a_checkpoint_of_parameters_alone_is_nothing_to_go_on_from(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    train(config)
    expected, folder = last(config), Path(config.run) / "checkpoints"
    shutil.copy(folder / "best.pt", folder / "last.pt")
    train(dataclasses.replace(config, resume=True))
    assert "last.pt holds parameters alone, and nothing to go on from; going on" in caplog.text
    assert_same(expected, last(config))


def test_the_parameters_of_another_model_are_no_place_to_go_on_from(config: Config) -> None:
    train(change(config, max_steps=1))
    run = RunDirectory(config.run)
    model = dataclasses.replace(config.model, decoder_size=2 * config.model.decoder_size)
    run.write_config(dataclasses.replace(run.load_config(), model=model))
    with pytest.raises(ValueError, match=r"last\.pt holds the parameters of another model than"):
        train(dataclasses.replace(run.load_config(), resume=True))


def test_what_dies_while_it_records_leaves_best_and_last_together(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(change(config, max_steps=4))
    best = load_checkpoint(Path(config.run) / "checkpoints" / "best.pt")
    monkeypatch.setattr(Trainer, "_is_better", lambda *_: True)
    monkeypatch.setattr(
        "mt.training.trainer.draw_samples", unittest.mock.Mock(side_effect=CrashError)
    )
    with pytest.raises(CrashError):
        train(dataclasses.replace(config, resume=True))
    assert_same(load_checkpoint(Path(config.run) / "checkpoints" / "best.pt"), best)
    assert last(config)["progress"]["best_step"] == best["step"]


@pytest.mark.parametrize("saved", [0, 1])
def test_a_save_that_is_cut_off_loses_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: int
) -> None:
    (tmp_path / "checkpoints").mkdir()
    keeper = CheckpointKeeper(RunDirectory(tmp_path), TrainerConfig(), vocabulary="")
    for step in range(saved + 1):
        keeper.save_last({"step": step})

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("mt.training.keeper.save_checkpoint", fail)
        with pytest.raises(OSError, match="full"):
            keeper.save_last({"step": 9})
    assert load_checkpoint(tmp_path / "checkpoints" / "last.pt")["step"] == saved
    assert keeper.load_last()["step"] == saved
    keeper.save_last({"step": 9})
    folder = tmp_path / "checkpoints"
    (folder / "last.pt").rename(folder / "next.pt")  # killed before the last rename
    assert keeper.load_last()["step"] == 9
    keeper.save_last({"step": 10})
    assert sorted(path.name for path in folder.iterdir()) == ["last.pt", "previous.pt"]
    assert keeper.load_last()["step"] == 10


def test_where_no_checkpoint_is_whole_the_message_names_all(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    keeper = CheckpointKeeper(RunDirectory(tmp_path), TrainerConfig(), vocabulary="")
    for name in ("last.pt", "previous.pt"):
        (folder / name).write_bytes(b"no checkpoint")
    message = (
        r"the run cannot go on: .*last\.pt cannot .*previous\.pt cannot .*Train anew in another"
    )
    with pytest.raises(ValueError, match=message):
        keeper.load_last()
    assert len(list(folder.iterdir())) == 2


def test_resume_before_anything_was_saved_says_so(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_at(monkeypatch, 2)
    with pytest.raises(CrashError):
        train(config)
    with pytest.raises(FileNotFoundError, match=r"no last\.pt to go on from.*Delete .*train again"):
        train(dataclasses.replace(config, resume=True))


def test_resuming_a_finished_run_changes_nothing(config: Config) -> None:
    train(config)
    finished = last(config)
    assert train(dataclasses.replace(config, resume=True)).step == 12
    assert_same(finished, last(config))


def test_a_resumed_run_goes_on_from_what_it_was_told_last(config: Config) -> None:
    train(config)
    train(dataclasses.replace(change(config, max_steps=16), resume=True))
    saved = RunDirectory.open(config.run).load_config()
    assert (saved.trainer.max_steps, saved.resume) == (16, False)
    assert saved == change(config, max_steps=16)


def test_the_speed_shown_is_that_of_this_process(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the run did before it was resumed, on a slow machine perhaps, does not enter."""
    train(config)
    saved = last(config)
    saved["progress"]["seconds"] += 1e6
    save_checkpoint(Path(config.run) / "checkpoints" / "last.pt", saved)
    shown = []
    monkeypatch.setattr(
        Tracker, "progress", lambda self, step, *, loss, tokens_per_s: shown.append(tokens_per_s)
    )
    train(dataclasses.replace(change(config, max_steps=16), resume=True))
    events = [e for e in RunDirectory(config.run).read_metrics() if e["event"] == "train"][12:]
    times = [saved["progress"]["seconds"], *(event["seconds"] for event in events)]
    tokens = sum(
        event["tokens_per_s"] * (after - before)
        for event, (before, after) in zip(events, pairwise(times), strict=True)
    )
    assert shown[0] == pytest.approx(events[0]["tokens_per_s"], rel=1e-6)
    assert shown[-1] == pytest.approx(tokens / (times[-1] - times[0]), rel=1e-6)


def test_an_empty_test_split_is_told_before_the_training(config: Config) -> None:
    holdout = HoldoutConfig(by="both", valid=0.1, test=1e-9)
    data = dataclasses.replace(config.data, path="train.{lang}", holdout=holdout)
    with pytest.raises(
        ValueError,
        match=r"split test of tiny is empty: .*data\.holdout\.test, or set that to 0 for",
    ):
        train(dataclasses.replace(config, data=data))
    assert not Path(config.run).exists()


def test_what_is_left_out_is_counted(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mt")
    root = shutil.copytree(str(config.data.root), tmp_path / "copy")
    for side, text in (
        ("xx", " \n" + "bado " * 50 + "\n" + "fena " * 60 + "\n"),
        ("yy", "x\n" * 3),
    ):
        with (root / f"train.{side}").open("a", encoding="utf-8") as file:
            file.write(text)
    data = dataclasses.replace(config.data, root=str(root), max_length=40)
    train(change(dataclasses.replace(config, data=data), max_steps=1))
    counts = "1 training pairs with an empty side, 2 with more than 40 pieces"
    assert f"dropped     {counts}" in caplog.text


def test_device_and_threads_are_those_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "1")  # which it would set for good
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("mt.training.run.keep_freed_memory", lambda: None)
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    config = Config(trainer=TrainerConfig(device=Device.cpu, threads=3))
    assert _set_up_device(config, World()) == torch.device("cpu")
    assert threads == [3]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    config = Config(trainer=TrainerConfig(device=Device.cuda))
    with pytest.raises(ValueError, match="2 processes on this machine have 1 CUDA devices: start"):
        _set_up_device(config, World(1, 2, local_rank=1, local_size=2))


def test_the_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    assert available_cores() == 3


def test_one_training_at_a_time_in_a_run(config: Config) -> None:
    train(config)
    message = f"^another process is training in {config.run}: wait for its end"
    with RunDirectory.open(config.run).held(), pytest.raises(ValueError, match=message):
        train(dataclasses.replace(config, resume=True))
    assert train(dataclasses.replace(config, resume=True)).step == 12


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_run_does_not_go_on_with_other_sentences_of_the_same_lengths(
    config: Config, tmp_path: Path, split: str
) -> None:
    root = shutil.copytree(str(config.data.root), tmp_path / "copy")
    train(change(config, max_steps=4))
    data = dataclasses.replace(config.data, root=str(root))
    resumed = dataclasses.replace(change(config, max_steps=5), data=data, resume=True)
    assert train(resumed).step == 5  # the same, elsewhere
    pairs = (
        (root / f"{split}.yy").read_text("utf-8").replace("alben", "?").replace("ortig", "alben")
    )
    (root / f"{split}.yy").write_text(pairs.replace("?", "ortig"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"the sentences of training or validation, .* changed"):
        train(resumed)


def test_very_long_validation_pairs_are_cut(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lengths = []

    def watch(model: Any, pairs: Any, **options: Any) -> Any:
        lengths.extend(max(map(len, pair)) for pair in pairs)
        return score_ids(model, pairs, **options)

    monkeypatch.setattr("mt.data.batching.MAX_PIECES", 3)
    monkeypatch.setattr("mt.training.validation.score_ids", watch)
    train(change(config, max_steps=1))
    assert max(lengths) == 3
    assert "validation: " in caplog.text and "more than 3 pieces on a side are cut" in caplog.text


def test_blank_lines_count_in_validation_as_in_an_evaluation(
    config: Config, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(str(config.data.root), tmp_path / "copy"))
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, root=str(root)))
    for side, blank in (("xx", 3), ("yy", 5)):
        lines = (root / f"valid.{side}").read_text("utf-8").splitlines()
        lines[blank] = ""
        (root / f"valid.{side}").write_text("\n".join([*lines, ""]), encoding="utf-8")
    train(change(config, max_steps=4, samples=20))
    [validated] = [e for e in RunDirectory(config.run).read_metrics() if e["event"] == "valid"]
    system = load_system(Path(config.run))
    beam_size = config.trainer.validation_beam_size
    judged = evaluate(system, load_evaluation_set(config.data, "valid"), beam_size=beam_size)
    assert judged.teacher_forced is not None
    assert validated["loss"] == pytest.approx(judged.teacher_forced.loss)
    assert validated["bleu"] == pytest.approx(judged.bleu.value)
    assert judged.hypotheses[3] == "" != judged.hypotheses[5]

    (root / "valid.yy").write_text("\n" * 20, encoding="utf-8")
    with pytest.raises(ValueError, match=r"none of 20 validation pairs has text on both sides"):
        train(change(config, tmp_path / "blank"))


def test_validation_has_a_beam_of_its_own(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []

    def watch(models: Any, sources: Any, search: SearchConfig, **options: Any) -> Any:
        searches.append(search)
        return search_ids(models, sources, search, **options)

    monkeypatch.setattr("mt.training.validation.search_ids", watch)
    own = SearchConfig(beam_size=4, length_penalty=0.3, max_length_ratio=1.5, batch_size=7)
    config = dataclasses.replace(config, search=own)
    train(change(config, validation_beam_size=3, max_steps=1))
    assert searches == [dataclasses.replace(own, beam_size=3)]


def test_the_last_checkpoint_is_the_model_that_was_judged(config: Config) -> None:
    train(config)
    run = RunDirectory.open(config.run)
    judged = run.load_model(str(run.checkpoints / "step-0000012.pt")).model.state_dict()
    trained = last(config)["model"]
    for name, parameter in run.load_model("last").model.state_dict().items():
        assert torch.equal(parameter, judged[name])
        assert not torch.equal(parameter, trained[name])


@pytest.mark.parametrize("accumulate", [1, 7])  # 22 batches
def test_an_epoch_ends_with_its_last_update(config: Config, accumulate: int) -> None:
    config = change(
        config, accumulate=accumulate, max_epochs=2, max_steps=None, validate_every=None
    )
    outcome = train(config)
    events = RunDirectory(config.run).read_metrics()
    epochs = [event["epoch"] for event in events if event["event"] == "train"]
    assert epochs == sorted([0, 1] * (outcome.step // 2))
    assert events[0]["total_steps"] == outcome.step
    assert [event["epoch"] for event in events if event["event"] == "valid"] == [0, 1]


@pytest.mark.parametrize(("normalization", "warned"), [("nmt_nfkc", True), ("identity", False)])
def test_references_that_no_translation_can_equal_are_warned_of(
    config: Config,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    normalization: str,
    warned: bool,
) -> None:
    corpus = shutil.copytree(config.data.root, tmp_path / "corpus")
    lines = (corpus / "valid.yy").read_text("utf-8").splitlines()
    changed = [f"{line}…" if row % 5 == 0 else line for row, line in enumerate(lines)]
    (corpus / "valid.yy").write_text("".join(f"{line}\n" for line in changed), "utf-8")
    tokenizer = dataclasses.replace(config.tokenizer, normalization=Normalization[normalization])
    data = dataclasses.replace(config.data, root=str(corpus))
    train(change(dataclasses.replace(config, data=data, tokenizer=tokenizer), max_steps=1))
    n_changed = math.ceil(len(lines) / 5)
    message = (
        f"{n_changed} of {len(lines)} validation references have characters that tokenizer.norm"
    )
    assert (message in caplog.text) is warned
    assert ("no translation can equal" in caplog.text) is warned


def test_existing_run_is_not_overwritten(config: Config) -> None:
    train(change(config, max_steps=1))
    with pytest.raises(FileExistsError, match=r"not overwritten.*resume=true"):
        train(config)


@pytest.mark.parametrize(
    ("signal_number", "interrupted_at"), [(signal.SIGINT, 5), (signal.SIGTERM, 7)]
)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    signal_number: signal.Signals,
    interrupted_at: int,  # the update after 7 is validated
) -> None:
    update = Trainer._update

    def interrupted(self: Trainer, *args: Any) -> None:
        if self.progress.step == interrupted_at:
            os.kill(os.getpid(), signal_number)
        update(self, *args)

    broken = change(config, Path(config.run + "-broken"))
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", interrupted)
        outcome = train(broken)
    assert (outcome.reason, outcome.step) == ("interrupted", interrupted_at + 1)
    assert last(broken)["step"] == interrupted_at + 1
    train(dataclasses.replace(broken, resume=True))
    train(config)
    assert_same(last(config), last(broken))


def test_a_run_that_is_told_to_end_where_it_stands_goes_on_with_the_next_batch(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Trainer._update

    def interrupted(self: Trainer, *args: Any) -> None:
        update(self, *args)
        if self.progress.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    broken = change(config, Path(config.run + "-broken"))
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", interrupted)
        assert train(broken).reason == "interrupted"
    for max_steps in (5, 12):
        changed = change(broken, max_steps=max_steps)
        outcome = train(dataclasses.replace(changed, resume=True))
        assert (outcome.reason, outcome.step) == ("finished", max_steps)
    train(config)
    for part in ("model", "ema", "optimizer", "sampler"):
        assert_same(last(config)[part], last(broken)[part], part)


def test_loss_that_is_not_finite_stops_and_keeps_the_best(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Trainer._forward

    def diverging(self: Trainer, batch: Any) -> SequenceLoss:
        result = forward(self, batch)
        return result._replace(loss=result.loss * (math.nan if self.progress.step == 6 else 1))

    monkeypatch.setattr(Trainer, "_forward", diverging)
    with pytest.raises(
        DivergenceError,
        match=r"at update 7: the loss is nan.*Lower optim\.lr.*1\.0\)\. best\.pt of update 4",
    ):
        train(config)
    assert RunDirectory.open(config.run).load_model("best").step == 4
    assert last(config)["step"] == 4


def test_a_gradient_that_is_not_finite_stops_as_well(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = torch.nn.utils.clip_grad_norm_

    def diverging(*args: Any) -> torch.Tensor:
        norms.append(clip(*args))
        return norms[-1] * (math.inf if len(norms) == 7 else 1)

    norms: list[torch.Tensor] = []
    monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", diverging)
    with pytest.raises(DivergenceError, match=r"at update 7: .* norm of its gradient inf"):
        train(config)
    assert last(config)["step"] == 4


def test_what_is_configured_reaches_the_data(config: Config) -> None:
    config = dataclasses.replace(
        change(config, max_steps=1, accumulate=3), seed=5,
        data=dataclasses.replace(config.data, max_length=12),
    )  # fmt: skip
    with (
        unittest.mock.patch("mt.training.run.encode_split", wraps=encode_split) as encoding,
        unittest.mock.patch("mt.training.run.BatchSampler", wraps=BatchSampler) as sampling,
    ):
        train(config)
    assert [call.kwargs["max_length"] for call in encoding.call_args_list] == [12, None]
    options = sampling.call_args.kwargs
    assert (options["seed"], options["batch_tokens"], options["together"]) == (5, 200, 3)


def test_validation_that_finds_nothing_is_divergence(config: Config) -> None:
    optim = dataclasses.replace(config.optim, lr=1e30, warmup_steps=0)
    config = change(
        dataclasses.replace(config, optim=optim), validate_every=1, precision=Precision.bf16
    )
    with pytest.raises(
        DivergenceError,
        match=r"^training diverged at update 1: no translation.*\. Lower optim\.lr \(now 1e\+30\)"
        r".*clip_norm \(now 1\.0\); trainer\.precision=fp32 may help too\. There is no best",
    ):
        train(config)


def test_early_stop_counts_validations_without_progress(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        trainer_module.Trainer, "_is_better", lambda self, *_: self.progress.best_value is None
    )
    config = change(config, max_steps=40, validate_every=2, patience=3)
    for resume in (False, True):  # what has stopped stays so
        outcome = train(dataclasses.replace(config, resume=resume))
        assert (outcome.reason, outcome.step, outcome.best_step) == ("early stop", 8, 2)
        assert RunDirectory(config.run).load_model("best").step == 2
    assert train(dataclasses.replace(change(config, patience=4), resume=True)).step == 10


@pytest.mark.parametrize("metric", list(Metric))
def test_best_checkpoint_is_the_best_by_the_metric(
    config: Config, monkeypatch: pytest.MonkeyPatch, metric: Metric
) -> None:
    monkeypatch.setattr(trainer_module, "_LEAST_BLEU", 0.0)  # this tiny model has no more
    config = change(config, metric=metric, max_steps=30, validate_every=5)
    outcome = train(config)
    events = [e for e in RunDirectory(config.run).read_metrics() if e["event"] == "valid"]
    pick = max if metric.higher_is_better else min
    best = pick(events, key=lambda event: event[metric.name])
    assert outcome.best_value == pytest.approx(best[metric.name])
    assert RunDirectory(config.run).load_model("best").step == outcome.best_step


@pytest.mark.parametrize(
    ("keep_by", "metric", "expected"),
    [
        (Keep.last, Metric.bleu, [4, 5]),
        (Keep.last, Metric.loss, [4, 5]),
        (Keep.best, Metric.bleu, [1, 4]),
        (Keep.best, Metric.loss, [2, 3]),
    ],
)
def test_what_is_kept(tmp_path: Path, keep_by: Keep, metric: Metric, expected: list[int]) -> None:
    run = RunDirectory(tmp_path)
    run.checkpoints.mkdir()
    options = TrainerConfig(keep=2, keep_by=keep_by, metric=metric)
    keeper = CheckpointKeeper(run, options, vocabulary="")
    for step, value in enumerate([9.0, 1.0, 2.0, 8.0, 5.0], 1):
        keeper.save_judged({}, step=step, value=value, best=False)
    kept = [int(path.stem.split("-")[1]) for path in run.checkpoints.glob("step-*.pt")]
    assert sorted(kept) == expected


def test_equal_values_are_told_apart_by_the_loss(config: Config) -> None:
    progress = Progress(best_value=1.5, best_loss=2.0)
    for metric, better, worse in ((Metric.bleu, 1.6, 1.4), (Metric.loss, 1.4, 1.6)):
        trainer = unittest.mock.Mock(config=change(config, metric=metric), progress=progress)
        cases = {(better, 9.0): True, (worse, 0.0): False, (1.5, 1.9): True, (1.5, 2.0): False}
        for (value, loss), expected in cases.items():
            assert Trainer._is_better(trainer, value, loss) is expected
    assert Trainer._is_better(unittest.mock.Mock(progress=Progress()), 0.0, 9.0)


def test_keep_and_average(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    config = change(config, keep=2, average=True)
    train(config)
    run = RunDirectory(config.run)
    kept = sorted(run.checkpoints.glob("step-*.pt"))
    assert [path.stem for path in kept] == ["step-0000008", "step-0000012"]
    models = [load_checkpoint(path)["model"] for path in kept]
    averaged = load_checkpoint(run.checkpoints / "averaged.pt")["model"]
    for name, tensor in averaged.items():
        torch.testing.assert_close(tensor, (models[0][name] + models[1][name]) / 2)
    kept[1].unlink()
    train(dataclasses.replace(change(config, max_steps=13), resume=True))
    assert f"{kept[1]} is gone: averaged.pt is made without it" in caplog.text
    model = load_checkpoint(run.checkpoints / "step-0000013.pt")["model"]
    assert_same(dict(load_checkpoint(run.checkpoints / "averaged.pt")["model"]), dict(model))


def test_accumulated_batches_give_the_gradient_of_the_tokens_together(config: Config) -> None:
    """Two batches accumulated equal one batch of both, whatever the number of tokens in each."""
    dry = dataclasses.replace(
        config,
        model=dataclasses.replace(
            config.model, embedding_dropout=0, state_dropout=0, output_dropout=0, word_dropout=0
        ),
    )
    small = change(
        dry,
        Path(dry.run + "-small"),
        batch_tokens=200,
        accumulate=10_000,
        max_epochs=2,
        max_steps=2,
        validate_every=1,
    )
    large = change(
        dry,
        Path(dry.run + "-large"),
        batch_tokens=10**6,
        max_epochs=2,
        max_steps=2,
        validate_every=1,
    )
    train(small)
    train(large)
    for first, second in zip(
        last(small)["model"].values(), last(large)["model"].values(), strict=True
    ):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=2e-5)


def test_same_seed_same_run_and_another_seed_another(config: Config, tmp_path: Path) -> None:
    runs = [
        dataclasses.replace(config, run=str(tmp_path / str(n)), seed=max(1, n)) for n in range(3)
    ]
    for run in runs:
        train(run)
    assert_same(last(runs[0])["model"], last(runs[1])["model"])
    first, other = last(runs[1])["model"], last(runs[2])["model"]
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_dropout_and_segmentation_follow_the_seed(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def watch(*arguments: Any, **options: Any) -> SequenceLoss:
        drawn.append(torch.initial_seed())
        return sequence_loss(*arguments, **options)

    monkeypatch.setattr(trainer_module, "sequence_loss", watch)
    with unittest.mock.patch("mt.training.run.BatchLoader", wraps=BatchLoader) as loader:
        for seed in (1, 2):
            run = str(tmp_path / str(seed))
            train(change(dataclasses.replace(config, run=run, seed=seed), max_steps=4))
    assert [call.kwargs["seed"] for call in loader.call_args_list] == [1, 2]
    assert len(set(drawn)) == len(drawn) == 8


def test_everything_is_written_down(config: Config) -> None:
    train(change(config, samples=1))
    run = RunDirectory(config.run)
    events = run.read_metrics()
    assert [e["step"] for e in events if e["event"] == "train"] == list(range(1, 13))
    assert {"loss", "grad_norm", "lr", "tokens_per_s"} <= events[1].keys()
    assert events[-1]["event"] == "end"
    progress = last(config)["progress"]
    assert events[-1]["tokens_per_s"] == pytest.approx(progress["tokens"] / progress["seconds"])
    board = EventAccumulator(str(run.tensorboard)).Reload()
    assert {
        "train/loss", "train/grad_norm", "train/lr", "train/tokens_per_s",
        "valid/loss", "valid/ppl", "valid/bleu",
    } <= set(board.Tags()["scalars"])  # fmt: skip
    assert len(board.Scalars("train/loss")) == 12
    assert board.Tags()["images"] == ["sample_0/attention"]


def test_no_pair_left_is_an_error_before_anything_is_built(config: Config) -> None:
    data = dataclasses.replace(config.data, max_length=1)
    with pytest.raises(ValueError, match=r"none of 600 pairs is left: .*raise data\.max_length"):
        train(dataclasses.replace(config, data=data))
    assert not Path(config.run).exists()


def test_what_is_missing_is_said_before_the_vocabulary_is_learned(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mt.training.run.train_tokenizers", unittest.mock.Mock(side_effect=KeyError)
    )
    root = Path(str(config.data.root))
    for side in ("xx", "yy"):
        (Path(config.run).parent / f"train.{side}").write_bytes(
            (root / f"train.{side}").read_bytes()
        )
    data = dataclasses.replace(config.data, root=str(Path(config.run).parent))
    with pytest.raises(FileNotFoundError, match=r"has no valid\.xx or valid\.xx\.gz: put the file"):
        train(dataclasses.replace(config, data=data))


def test_processes_with_other_data_are_found_out(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "gather", lambda self, share: [*share, "what another process has"])
    with pytest.raises(ValueError, match=r"do not see the same data: .* data\.root"):
        train(config)
    assert not Path(config.run).exists()


def test_a_tiny_model_learns(attention_run: Path) -> None:
    """A word-for-word code is learned almost perfectly; chance would be near zero BLEU."""
    validations = [e for e in RunDirectory(attention_run).read_metrics() if e["event"] == "valid"]
    assert validations[0]["bleu"] < 40
    assert max(event["bleu"] for event in validations) > 80


def test_a_resumed_plateau_goes_on_waiting(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate is halved after two validations without progress, one of them before the stop."""
    monkeypatch.setattr(Trainer, "_is_better", lambda self, *_: self.progress.best_value is None)
    plateau = dataclasses.replace(
        config.optim, lr=0.01, warmup_steps=0, schedule=ScheduleKind.plateau, plateau_patience=2
    )
    config = change(dataclasses.replace(config, optim=plateau), validate_every=2)
    train(change(config, max_steps=8))
    train(dataclasses.replace(config, resume=True))
    events = RunDirectory(config.run).read_metrics()
    rates = [event["lr"] for event in events if event["event"] == "train"]
    assert rates == [0.01] * 6 + [0.005] * 4 + [0.0025] * 2


@pytest.mark.parametrize(
    ("metric", "before", "after", "better"),
    [
        (Metric.bleu, (20.0, 2.0), (20.1, 3.0), True),
        (Metric.bleu, (20.0, 2.0), (19.9, 1.0), False),
        (Metric.bleu, (20.0, 2.0), (20.0, 1.9), True),
        (Metric.bleu, (0.4, 6.0), (0.2, 3.5), True),  # noise: the loss tells
        (Metric.bleu, (0.2, 3.5), (0.4, 6.0), False),
        (Metric.bleu, (0.9, 3.0), (1.1, 3.5), True),
        (Metric.bleu, (1.1, 3.5), (0.9, 3.0), False),
        (Metric.loss, (0.4, 0.4), (0.2, 0.2), True),
        (Metric.loss, (0.2, 0.2), (0.4, 0.4), False),
    ],
)
def test_what_is_better(
    metric: Metric, before: tuple[float, float], after: tuple[float, float], better: bool
) -> None:
    trainer: Any = SimpleNamespace(
        config=Config(trainer=TrainerConfig(metric=metric)),
        progress=Progress(best_value=before[0], best_loss=before[1]),
    )
    assert Trainer._is_better(trainer, *after) is better


def test_patience_begins_anew_with_progress(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = iter([True, False, False, True, False, False, False])
    monkeypatch.setattr(Trainer, "_is_better", lambda *_: next(verdicts))
    outcome = train(change(config, max_steps=40, validate_every=2, patience=3))
    assert (outcome.reason, outcome.step, outcome.best_step) == ("early stop", 14, 8)
    assert RunDirectory(config.run).load_model("best").step == 8


def test_the_loss_of_the_best_is_kept_for_ties(config: Config) -> None:
    train(config)
    progress = last(config)["progress"]
    events = RunDirectory(config.run).read_metrics()
    [best] = [e for e in events if (e["event"], e["step"]) == ("valid", progress["best_step"])]
    assert progress["best_loss"] == best["loss"]


def test_the_moving_average_is_of_all_updates(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[torch.Tensor]] = []

    def build(*arguments: Any) -> torch.optim.Optimizer:
        optimizer = build_optimizer(*arguments)

        def note(*_: Any) -> None:
            seen.append([one.detach().clone() for one in optimizer.param_groups[0]["params"]])

        note()
        optimizer.register_step_post_hook(note)
        return optimizer

    monkeypatch.setattr(trainer_module, "build_optimizer", build)
    train(change(config, ema_decay=0.3))  # which holds from the fourth update on
    average, *after = seen
    for step, parameters in enumerate(after):
        decay = min(0.3, (1 + step) / (10 + step))
        average = [
            decay * old + (1 - decay) * new for old, new in zip(average, parameters, strict=True)
        ]
    assert len(after) == 12
    torch.testing.assert_close(last(config)["ema"], average)


def test_no_two_batches_share_a_seed_and_the_record_says_what_was_done(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    results: list[SequenceLoss] = []

    def watch(*arguments: Any, **options: Any) -> SequenceLoss:
        seeds.append(torch.initial_seed())
        results.append(sequence_loss(*arguments, **options))
        return results[-1]

    monkeypatch.setattr(trainer_module, "sequence_loss", watch)
    optim = dataclasses.replace(config.optim, label_smoothing=0.3)
    config = change(dataclasses.replace(config, optim=optim), accumulate=3, max_steps=6)
    train(config)
    assert len(set(seeds)) == len(seeds) == 18
    schedule = Schedule(config.optim, total_steps=6)
    events = RunDirectory(config.run).read_metrics()
    for number, event in enumerate(event for event in events if event["event"] == "train"):
        mine = results[3 * number : 3 * number + 3]
        n_tokens = sum(one.n_tokens for one in mine)
        assert event["nll"] == pytest.approx(sum(float(one.nll) for one in mine) / n_tokens)
        losses = [float(one.loss.detach()) * one.n_tokens for one in mine]
        assert event["loss"] == pytest.approx(sum(losses) / n_tokens)
        assert event["lr"] == schedule.lr(number)
    for event in events:
        if event["event"] == "valid":
            assert event["ppl"] == pytest.approx(math.exp(event["loss"]))
