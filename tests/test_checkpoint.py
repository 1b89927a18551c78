"""The run directory: nothing overwritten, nothing half written, nothing foreign believed."""

import os
import pickle
import resource
import shutil
import signal
import unittest.mock
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mt import checkpoint
from mt.checkpoint import RunDirectory, average_checkpoints, load_checkpoint, save_checkpoint
from mt.choices import (
    DecoderKind,
    Device,
    Format,
    Keep,
    Metric,
    Normalization,
    OptimizerKind,
    Precision,
    ScheduleKind,
    ScoreKind,
    TokenizerKind,
    Tying,
)
from mt.config import (
    Config,
    DataConfig,
    HoldoutConfig,
    ModelConfig,
    OptimConfig,
    SearchConfig,
    TokenizerConfig,
    TrainerConfig,
    to_plain,
)
from mt.data.tokenizer import train_tokenizers

CONTENT: dict[str, Any] = {"model": {"weight": torch.arange(6.0)}, "step": 7}


def _unusual(run: str) -> Config:
    """Return a configuration in which nearly nothing is at its default."""
    return Config(
        run=run,
        seed=5,
        data=DataConfig(
            name="Über 語",
            src="zh",
            tgt="en",
            format=Format.tsv,
            home="https://example.org/a: b # c",
            root="/a folder/with 'quotes'",
            columns={"zh": "1", "en": "no"},
            splits={"train": "train", "test": "2016"},
            split_languages={"test": ["en", "de"]},
            holdout=HoldoutConfig(by="zh", valid=0.02, test=0.0),
            multi_reference=True,
        ),
        tokenizer=TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=777, joint=False),
        model=ModelConfig(
            decoder=DecoderKind.fixed_context,
            score=ScoreKind.tanh_dot,
            tying=Tying.output,
        ),
        optim=OptimConfig(kind=OptimizerKind.adamw, lr=1e-4, schedule=ScheduleKind.inverse_sqrt),
        trainer=TrainerConfig(
            max_steps=10,
            precision=Precision.bf16,
            device=Device.cpu,
            metric=Metric.loss,
            keep_by=Keep.best,
        ),
        search=SearchConfig(beam_size=3, length_penalty=0.0),
    )


def _plain(run: str) -> Config:
    return Config(run=run, data=DataConfig(name="x", src="de", tgt="en"))


def _create(config: Config) -> RunDirectory:
    run = RunDirectory.new(config.run)
    run.create(config)
    return run


def test_a_configuration_comes_back_as_it_was(tmp_path: Path) -> None:
    numbers = _plain(str(tmp_path / "c"))  # texts that might be read as numbers
    numbers.data.name, numbers.data.root = "1e5", "12e45"
    numbers.data.splits, numbers.data.columns = {"train": "5e2", "valid": "1_0"}, {"de": "1e3"}
    for config in (_unusual(str(tmp_path / "a")), _plain(str(tmp_path / "b")), numbers):
        run = _create(config)
        assert RunDirectory.open(run.path).load_config() == config


@pytest.mark.parametrize(
    ("section", "option", "kind"),
    [
        ("data", "format", Format),
        ("tokenizer", "kind", TokenizerKind),
        ("tokenizer", "normalization", Normalization),
        ("model", "decoder", DecoderKind),
        ("model", "score", ScoreKind),
        ("model", "tying", Tying),
        ("optim", "kind", OptimizerKind),
        ("optim", "schedule", ScheduleKind),
        ("trainer", "precision", Precision),
        ("trainer", "device", Device),
        ("trainer", "keep_by", Keep),
        ("trainer", "metric", Metric),
    ],
)
def test_every_choice_comes_back(tmp_path: Path, section: str, option: str, kind: Any) -> None:
    for choice in kind:
        config = _plain(str(tmp_path / choice.name))
        setattr(getattr(config, section), option, choice)
        assert _create(config).load_config() == config


def test_the_configuration_is_plain_text(tmp_path: Path) -> None:
    run = _create(_unusual(str(tmp_path / "run")))
    text = run.config_path.read_text(encoding="utf-8")
    assert "!!python" not in text
    assert "Über 語" in text
    assert yaml.safe_load(text) == to_plain(_unusual(str(tmp_path / "run")))


def test_something_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    config = Config(run=str(tmp_path / "a, run"))
    _create(config)
    message = (
        "not overwritten: choose another .*, or delete this one, which holds nothing to resume from"
    )
    with pytest.raises(FileExistsError, match=message):
        _create(config)
    (tmp_path / "a, run" / "checkpoints" / "previous.pt").touch()
    before = (tmp_path / "a, run" / "config.yaml").read_bytes()
    config.seed = 99
    message = (
        "run exists already and is not overwritten: resume it with run='.*a\\\\, run' resume=true"
    )
    with pytest.raises(FileExistsError, match=message):
        _create(config)
    assert (tmp_path / "a, run" / "config.yaml").read_bytes() == before
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="not overwritten: choose another directory"):
        _create(Config(run=str(tmp_path / "file")))


def test_a_run_that_cannot_be_made_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file, not a folder: name another by run=DIR"):
        RunDirectory.new(tmp_path / "file" / "runs" / "mine")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ValueError, match=f"nothing can be written to {tmp_path}: name another"):
        RunDirectory.new(tmp_path / "runs" / "mine")


def test_of_two_trainings_that_begin_at_once_one_is_refused(tmp_path: Path) -> None:
    first, second = (Config(run=str(tmp_path / "run"), seed=seed) for seed in (1, 2))
    runs = [RunDirectory.new(config.run) for config in (first, second)]
    runs[0].create(first)
    with pytest.raises(FileExistsError, match="run exists already and is not overwritten"):
        runs[1].create(second)
    assert yaml.safe_load(runs[1].config_path.read_text("utf-8"))["seed"] == 1


def test_a_configuration_that_cannot_be_written_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", unittest.mock.Mock(side_effect=OSError("the disk is full")))
        with pytest.raises(OSError, match="full"):
            _create(Config(run=str(tmp_path)))
    assert not list(tmp_path.iterdir())  # or the next try would find a run


def test_an_empty_directory_may_become_a_run(tmp_path: Path) -> None:
    assert _create(Config(run=str(tmp_path))).config_path.is_file()


def test_what_is_no_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not a run directory: it does not exist"):
        RunDirectory.open(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"not a run directory: it has no config\.yaml"):
        RunDirectory.open(tmp_path)
    file = tmp_path / "best.pt"
    file.touch()
    with pytest.raises(FileNotFoundError, match=r"is a file \(a checkpoint is named by --che"):
        RunDirectory.open(file)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model: [", "while parsing"),
        ("{model: {size: 3}}", "size"),
        ("{seed: many}", "many"),
        ("{model: {decoder: transformer}}", "transformer"),
        ("", "it is empty"),
        ("null", "it is empty"),
        ("3", "Invalid loaded object type: int"),
        ("- 1", "Cannot merge DictConfig with ListConfig"),
        ("{model: {embedding_size: -4}}", "model.embedding_size=-4: expected"),
        ("{run: 'http://host/${oc.env:HOME}'}", r"it has \$\{, which would be filled in from this"),
    ],
)
def test_a_damaged_configuration_is_a_clear_error(tmp_path: Path, text: str, reason: str) -> None:
    run = _create(_plain(str(tmp_path / "run")))
    whole = yaml.safe_load(run.config_path.read_text(encoding="utf-8"))
    if text.startswith("{"):  # a part of the whole
        whole.update(yaml.safe_load(text))
        text = yaml.safe_dump(whole)
    run.config_path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=reason) as caught:
        run.load_config()
    assert "cannot be read as a configuration" in str(caught.value)
    assert str(run.config_path) in str(caught.value)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, CONTENT)
    loaded = load_checkpoint(path)
    assert torch.equal(loaded["model"]["weight"], CONTENT["model"]["weight"])
    assert loaded["step"] == 7
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_run_that_is_being_trained_is_not_to_be_deleted(tmp_path: Path) -> None:
    run = _create(Config(run=str(tmp_path / "run")))
    with (
        run.held(),
        pytest.raises(FileExistsError, match=r"^another process is training in .*/run"),
    ):
        RunDirectory.new(run.path)
    with pytest.raises(
        FileExistsError, match="or delete this one, which holds nothing to resume from"
    ):
        RunDirectory.new(run.path)


def test_no_training_goes_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()  # which no user may write, root included
    message = (
        rf"^no training can go on in {tmp_path} \(Is a directory\): copy it and resume the copy"
    )
    with pytest.raises(ValueError, match=message), RunDirectory(tmp_path).held():
        pass


def test_what_the_system_cannot_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "last.pt", CONTENT)
    failure = unittest.mock.Mock(side_effect=OSError(5, "Input/output error"))
    monkeypatch.setattr("torch.load", failure)
    with pytest.raises(OSError, match="Input/output error"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path: Path) -> None:
    path, (soft, hard) = tmp_path / "last.pt", resource.getrlimit(resource.RLIMIT_FSIZE)
    save_checkpoint(path, CONTENT)
    before = path.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match=r"last\.pt could not be written .* full\? .*resume=true"):
            save_checkpoint(path, {"model": {"weight": torch.zeros(10_000)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["torch.save", "os.fsync", "os.replace"])
def test_ctrl_c_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(where, lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "last.pt", CONTENT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["torch.save", "os.fsync", "os.replace"])
def test_a_crash_while_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, CONTENT)
    real = torch.save

    def crash(*arguments: Any) -> None:
        if where == "torch.save":
            real(*arguments)
            arguments[1].truncate(100)
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(where, crash)
        with pytest.raises(OSError, match="no space left"):
            save_checkpoint(path, {**CONTENT, "step": 8})
    assert load_checkpoint(path)["step"] == 7
    save_checkpoint(path, {**CONTENT, "step": 8})
    assert load_checkpoint(path)["step"] == 8


def test_the_content_reaches_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = {"fsync": os.fsync, "replace": os.replace}

    def spy(name: str) -> Any:
        def call(*arguments: Any) -> None:
            calls.append(name)
            real[name](*arguments)

        return call

    for name in real:
        monkeypatch.setattr(checkpoint.os, name, spy(name))
    save_checkpoint(tmp_path / "last.pt", CONTENT)
    assert calls == ["fsync", "replace", "fsync"]  # the file, its name, the directory


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.99])
def test_a_checkpoint_cut_short_is_a_clear_error(tmp_path: Path, share: float) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, CONTENT)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=r"last\.pt cannot be read: it is cut short, damaged or"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04rubbish", bytes(range(256)) * 10])
def test_rubbish_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not a checkpoint \([\d,]+ bytes\)\. Use another"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [torch.zeros(3), {"model": {}, "step": 1}, [1, 2]])
def test_a_file_of_another_program_is_a_clear_error(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match="is a file of PyTorch, but not a checkpoint of mt"):
        load_checkpoint(path)


class _Trap:
    """Something that would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("plain_pickle", [True, False])
def test_code_in_a_checkpoint_never_runs(tmp_path: Path, plain_pickle: bool) -> None:
    path, sprung = tmp_path / "evil.pt", tmp_path / "sprung"
    content = {"format": checkpoint.FORMAT, "model": _Trap(sprung), "step": 1}
    if plain_pickle:
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(path)
    assert not sprung.exists()
    torch.load(path, weights_only=False) if not plain_pickle else pickle.loads(path.read_bytes())
    assert sprung.exists()  # the trap does work


def test_a_model_comes_back_in_evaluation_mode(attention_run: Path) -> None:
    run = RunDirectory.open(attention_run)
    loaded = run.load_model("last")
    assert not any(module.training for module in loaded.model.modules())
    saved = load_checkpoint(run.checkpoints / "last.pt")
    assert loaded.step == saved["step"] > 0
    assert loaded.checkpoint == run.checkpoints / "last.pt"
    for name, parameter in loaded.model.state_dict().items():
        assert torch.equal(parameter, saved["model"][name])
    by_path = run.load_model(str(run.checkpoints / "last.pt"))
    assert by_path.checkpoint == loaded.checkpoint


def test_a_missing_checkpoint_is_named_with_those_there(attention_run: Path) -> None:
    run = RunDirectory.open(attention_run)
    message = (
        "there is no checkpoint averaged: expected a file, or one of those that "
        r".* has: .*best, .*last"
    )
    with pytest.raises(FileNotFoundError, match=message):
        run.load_model("averaged")
    with pytest.raises(FileNotFoundError, match="there is no checkpoint wurst"):
        run.load_model("wurst")


def test_a_run_without_checkpoints_says_so(tmp_path: Path) -> None:
    run = _create(Config(run=str(tmp_path / "run")))
    with pytest.raises(FileNotFoundError, match="has: none yet"):
        run.load_model()


def test_the_checkpoint_of_another_model_is_refused(
    attention_run: Path, baseline_run: Path
) -> None:
    run = RunDirectory.open(attention_run)
    other = baseline_run / "checkpoints" / "best.pt"
    message = r"best\.pt holds the parameters of another model than .*config\.yaml describes: take"
    with pytest.raises(ValueError, match=message):
        run.load_model(str(other))


@pytest.mark.parametrize("name", ["best", "last"])
def test_the_checkpoint_of_another_vocabulary_is_refused(
    attention_run: Path, tmp_path: Path, name: str
) -> None:
    checkpoint = attention_run / "checkpoints" / f"{name}.pt"
    other = Path(shutil.copytree(attention_run, tmp_path / "other"))
    assert RunDirectory.open(other).load_model(str(checkpoint)).checkpoint == checkpoint
    letters = ["".join(text) for text in permutations("abcdefg", 4)]
    tokenizers = train_tokenizers(
        letters, letters, TokenizerConfig(vocab_size=313), cache_dir=tmp_path
    )
    tokenizers.save(other)
    message = r"\.pt was trained with another vocabulary than that of .*other: take a checkpoint of"
    with pytest.raises(ValueError, match=message):
        RunDirectory.open(other).load_model(str(checkpoint))


def test_an_average_is_the_mean(tmp_path: Path) -> None:
    models = [{"a": torch.randn(3, 2), "b": torch.randn(4).bfloat16()} for _ in range(3)]
    paths = [tmp_path / f"{number}.pt" for number in range(3)]
    for path, model in zip(paths, models, strict=True):
        save_checkpoint(path, {"model": model, "step": 1})
    average = average_checkpoints(paths)
    torch.testing.assert_close(average["a"], (models[0]["a"] + models[1]["a"] + models[2]["a"]) / 3)
    assert average["b"].dtype is torch.bfloat16
    by_hand = sum(model["b"].float() for model in models) / 3
    torch.testing.assert_close(average["b"].float(), by_hand, rtol=1e-2, atol=1e-2)


def test_metrics_come_back_without_a_line_cut_off(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert run.read_metrics() == []
    whole = '{"event": "train", "step": 1, "loss": NaN}\n{"event": "end", "text": "a\u2028b"}\n'
    for cut_off in ("", '{"event": "tr', '{"event": "train", "step": 2}'):
        run.metrics_path.write_text(whole + cut_off, encoding="utf-8")
        events = run.read_metrics()
        assert [event["event"] for event in events] == ["train", "end"]
        assert events[1]["text"] == "a\u2028b"


def test_a_damaged_line_of_the_metrics_is_named(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.metrics_path.write_bytes(b'{"event": "start", "step": 0}\n\x00\x00\xff\n{"step": 1}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2: this is no JSON: .* take the"):
        run.read_metrics()
