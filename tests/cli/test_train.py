"""mt-train as a user drives it: overrides, mistakes and sweeps, a pipe, Ctrl-C and kill -9."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import unittest.mock
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from waiting import wait_for

import mt
from mt.checkpoint import RunDirectory, load_checkpoint
from mt.cli.train import main, train_and_report
from mt.config import Config
from mt.training.world import ConnectionLostError

TINY = [
    "data=text", "data.src=xx", "data.tgt=yy", "tokenizer.vocab_size=313", "debug=smoke",
    "trainer.batch_tokens=200", "trainer.max_steps=12", "trainer.validate_every=4",
    "trainer.threads=1", "trainer.ema_decay=0.9", "trainer.samples=0",
]  # fmt: skip


def command(*overrides: str) -> list[str]:
    return [sys.executable, "-c", "from mt.cli.train import main; main()", *overrides]


def mt_train(directory: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Run mt-train in a directory of its own and wait for it."""
    return subprocess.run(
        command(*overrides), cwd=directory, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def mt_train_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what runs mt-train in the process of the tests: a new one takes seconds to start."""
    monkeypatch.chdir(tmp_path)

    def run(*overrides: str) -> None:
        monkeypatch.setattr(sys, "argv", ["mt-train", *overrides])
        main()

    return run


def tiny(corpus: Path, run: str) -> list[str]:
    return [*TINY, f"data.root={corpus}", f"run={run}"]


def parameters(run: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(run / "checkpoints" / "last.pt")["model"]


def test_training_ends_with_the_score_and_the_next_commands(
    corpus: Path,
    tmp_path: Path,
    mt_train_here: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = mt_train(tmp_path, *tiny(corpus, "a run"))
    assert done.returncode == 0, done.stderr
    for word in ("device", "threads", "600 training pairs", "parameters", "run         a run"):
        assert word in done.stderr
    trained = RunDirectory.open(tmp_path / "a run")
    judged = [event for event in trained.read_metrics() if event["event"] == "valid"]
    [best] = [event for event in judged if event["step"] == trained.load_model("best").step]
    said = (best["step"], f"{best['bleu']:.2f}", f"{best['ppl']:.2f}")
    assert "Best on valid, update {}: BLEU {}, perplexity {}".format(*said) in done.stdout
    assert best["signature"] in done.stdout
    assert "mt-evaluate 'a run'" in done.stdout and "mt-translate 'a run'" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a run"]  # Hydra leaves nothing
    with pytest.raises(SystemExit, match=r"^1$"):
        mt_train_here(*tiny(corpus, "a run"))
    again = capsys.readouterr().err
    assert "not overwritten" in again and "Traceback" not in again


@pytest.mark.parametrize(
    ("model", "said"), [("attention", "attention, lexical, "), ("baseline", r"fixed_context, \d")]
)
def test_training_says_whether_the_model_is_lexical(
    corpus: Path,
    mt_train_here: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    model: str,
    said: str,
) -> None:
    settings = [f"model={model}", "model.lexical=true", "trainer.max_steps=1"]
    mt_train_here(*tiny(corpus, "run"), *settings)
    assert any(re.match(f"model {{7}}{said}", message) for message in caplog.messages)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_killed_at_any_moment_and_resumed_equals_uninterrupted(
    corpus: Path, tmp_path: Path, mt_train_here: Callable[..., None]
) -> None:
    longer = ["trainer.max_steps=80", "trainer.validate_every=20"]
    whole, broken = ([*tiny(corpus, run), *longer] for run in ("whole", "broken"))
    mt_train_here(*whole)
    process = subprocess.Popen(
        command(*broken), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    saved = tmp_path / "broken" / "checkpoints"
    wait_for(saved / "last.pt")
    time.sleep(0.15)  # an arbitrary update later
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    newest = next(path for path in (saved / "last.pt", saved / "previous.pt") if path.exists())
    assert load_checkpoint(newest)["step"] < 80

    mt_train_here("run=broken", "resume=true")
    first, second = parameters(tmp_path / "whole"), parameters(tmp_path / "broken")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_interrupt_before_training_is_quiet(corpus: Path, tmp_path: Path) -> None:
    program = (
        "import signal, mt.cli.train as train\n"
        "train.train_and_report = lambda config: signal.raise_signal(signal.SIGINT)\n"
        "train.main()"
    )
    arguments = [sys.executable, "-c", program, *tiny(corpus, "run")]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_reader_that_leaves_is_no_failure(corpus: Path, tmp_path: Path) -> None:
    line = f"set -o pipefail; {shlex.join(command(*tiny(corpus, 'run')))} | true"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 141, done.stderr
    assert "Broken pipe" not in done.stderr and "Traceback" not in done.stderr
    assert RunDirectory.open(tmp_path / "run").read_metrics()[-1]["reason"] == "finished"


def test_interrupt_saves_and_says_how_to_go_on(corpus: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(*tiny(corpus, "run"), "trainer.max_steps=100000", "trainer.max_epochs=100000"),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(tmp_path / "run" / "checkpoints" / "last.pt")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "mt-train run=run resume=true" in stdout
    assert "Traceback" not in stderr
    assert RunDirectory.open(tmp_path / "run").load_model("last").step > 0


@pytest.mark.parametrize(
    ("code", "overrides", "message"),
    [
        (2, ["optim.lrr=1"], "did you mean optim.lr?"),
        (2, ["trainer.max_step=1"], "did you mean trainer.max_steps?"),
        (2, ["modle=baseline"], "did you mean model?"),
        (2, ["warmup_steps=5"], "did you mean optim.warmup_steps?"),
        (2, ["+optim.momentum=0.9"], "there is no option 'optim.momentum'"),
        (2, ["model=transformer"], "there is no model=transformer: expected attention, "),
        (2, ["optim.lr=fast"], "optim.lr=fast: expected a number"),
        (2, ["optim.lr=-1"], "optim.lr=-1.0: expected a number greater than 0"),
        (2, ["model.score=cosine"], "model.score=cosine: expected additive, dot, "),
        (2, ["data=text"], "no value for data.src, data.tgt: add data.src=VALUE"),
        (1, ["data.root=nowhere"], "data.root=nowhere has no train.en.gz or train.en: "),
        (2, ["resume=true", "run=nowhere"], "nowhere is not a run directory: it does not exist"),
        (
            2,
            ["resume=true", "run=x", "optim.lr=1"],
            "optim.lr=1 cannot be combined with resume=true",
        ),
        (
            1,
            ["data.root=nowhere", "data.alignment={split}.links", "data.member={lang}"],
            "data.root=nowhere has no train.en.gz or en: ",
        ),
        (1, ["trainer.device=cuda"], "no usable CUDA device"),
        (1, ["run=/dev/null/mine"], "/dev/null is a file, not a folder: name another by run=DIR"),
        (2, ["-m", "seed=1,2", "--cfg", "job"], "Only one of --run, --multirun, --cfg"),  # Hydra's
    ],
)
def test_mistakes_get_one_clear_message(
    tmp_path: Path,
    mt_train_here: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    code: int,
    overrides: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as stopped:
        mt_train_here(*overrides)
    assert stopped.value.code == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())  # nothing was built


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
            ),
            "out of memory: lower trainer.batch_tokens (now 2000) or data.max_length (now 128), "
            "and raise trainer.accumulate to keep the size of an update; if the model itself does "
            "not fit, lower its sizes in model or tokenizer.vocab_size (now 2000)",
        ),
        (OSError(28, "No space left on device", "runs/x"), "No space left on device: 'runs/x'"),
        (
            ConnectionLostError("Connection closed by peer"),
            "another process of this training is lost (Connection closed by peer): look for that "
            "process's own error. Go on with:\n  mt-train run=runs/x resume=true",
        ),
        (KeyboardInterrupt(), "stopped at once; what was saved before is kept"),  # the second
    ],
)
def test_what_is_no_fault_of_ours_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    failure: BaseException,
    message: str,
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.chdir(tmp_path)
    checkpoints = tmp_path / "runs" / "x" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "last.pt").touch()
    monkeypatch.setattr("mt.training.run.train", fail)
    with pytest.raises(SystemExit) as stopped:
        train_and_report(Config(run="runs/x"))
    assert stopped.value.code == (130 if isinstance(failure, KeyboardInterrupt) else 1)
    assert message in capsys.readouterr().err


def test_where_nothing_was_saved_there_is_nothing_to_go_on_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failure = unittest.mock.Mock(side_effect=ConnectionLostError("Connection closed by peer"))
    monkeypatch.setattr("mt.training.run.train", failure)
    with pytest.raises(SystemExit):
        train_and_report(Config(run=str(tmp_path / "x")))
    said = capsys.readouterr().err
    assert said.endswith("own error. Nothing has been saved to resume from: start the run again\n")


def test_a_resumed_run_takes_values_as_they_were_written(
    attention_run: Path, mt_train_here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, taken = RunDirectory(attention_run).load_config(), list[Config]()
    monkeypatch.setattr("mt.cli.train.train_and_report", taken.append)
    for root in ("it's", "a: b", "5"):
        overrides = ["resume=true", f"data.root={root}", "++trainer.max_steps=99"]
        mt_train_here(f"run={attention_run}", *overrides)
        config = taken.pop()
        assert (config.data.root, config.trainer.max_steps) == (root, 99)
        assert config.trainer.max_epochs == saved.trainer.max_epochs


def test_a_configuration_of_somebody_else_is_no_traceback(
    mt_train_here: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(RunDirectory, "open", refuse)
    with pytest.raises(SystemExit, match=r"^2$"):
        mt_train_here("run=run", "resume=true")
    assert capsys.readouterr().err == "mt-train: [Errno 13] Permission denied: 'run'\n"


def test_other_errors_of_torch_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("mt.training.run.train", fail)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        train_and_report(Config(run="runs/x"))


@pytest.mark.slow
def test_multirun_gives_every_job_its_own_run(corpus: Path, tmp_path: Path) -> None:
    overrides = [o for o in tiny(corpus, "x") if not o.startswith("run=")]
    done = mt_train(tmp_path, "--multirun", *overrides, "trainer.max_steps=2", "seed=1,2")
    assert done.returncode == 0, done.stderr
    runs = tmp_path / "runs"
    for seed in (1, 2):  # named by what is swept alone
        run = RunDirectory.open(runs / f"text-xx-yy-attention-seed={seed}")
        assert run.load_config().seed == seed

    again = mt_train(tmp_path, *overrides, "trainer.max_steps=2", "seed=1,3", "--multirun")
    assert again.returncode == 1
    assert "attention-seed=1 exists already" in again.stderr and "Traceback" not in again.stderr
    assert "mt-train: this job of the sweep failed, see above" in again.stderr
    assert RunDirectory.open(runs / "text-xx-yy-attention-seed=3").read_metrics()[-1]["step"] == 2


def test_the_configuration_can_be_printed(tmp_path: Path) -> None:
    done = mt_train(tmp_path, "--cfg", "job", "model=baseline")
    assert done.returncode == 0
    assert "decoder: fixed_context" in done.stdout
    assert not list(tmp_path.iterdir())


def test_help_in_a_pipe_that_closes_is_quiet(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(map(shlex.quote, command('--help')))} | head -1"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("mt-train: train a translation model")
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_help_is_no_traceback(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("--help"), cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "mt-train: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("command", ["train", "evaluate", "compare", "translate"])
def test_every_command_tells_the_version_of_mt(command: str) -> None:
    arguments = [sys.executable, "-m", f"mt.cli.{command}", "--version"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mt {mt.__version__}\n", "")


def test_help_needs_no_torch() -> None:
    code = "import sys; sys.argv = ['mt-train', '--help']\nfrom mt.cli.train import main\n"
    code += "try: main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif("MT_CORPORA" not in os.environ, reason="MT_CORPORA names no corpora folder")
def test_multi30k_with_a_local_root(
    mt_train_here: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    root = Path(os.environ["MT_CORPORA"]) / "multi30k"
    overrides = [
        "data=multi30k", "data.src=fr", "data.tgt=de", f"data.root={root}", "run=run",
        "debug=smoke", "trainer.max_steps=3", "trainer.batch_tokens=300", "tokenizer.kind=bpe",
        "trainer.samples=0",
    ]  # fmt: skip
    mt_train_here(*overrides)
    assert "29,000 training pairs" in caplog.text
    assert RunDirectory.open("run").load_model("last").step == 3
