"""mt-train: train a model from a Hydra configuration."""

import argparse
import dataclasses
import logging
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hydra
from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mt import __version__
from mt.cli.command import drop_unwritten_output, is_out_of_memory
from mt.cli.option_help import describe_groups, describe_options
from mt.cli.override_values import check_values, is_override
from mt.cli.overrides import (
    check_resume_overrides,
    check_sweep_runs,
    checked_overrides,
    keys_not_swept,
)
from mt.config import Config, DataConfig
from mt.garbage import spare_garbage_collector

if TYPE_CHECKING:
    from mt.training.world import World

# What imports torch, which takes a second, is imported where it is needed: --help and mistakes in
# the command line do not wait for it.

_SHIPPED = Path(__file__).parent.parent / "_configs"  # in a wheel
CONFIGS = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parents[2] / "configs"

_INTERRUPTED = 128 + signal.SIGINT  # exit status

ConfigStore.instance().store(name="schema", node=Config)
# For the help in configs/train.yaml, a template to Hydra, where $$ is a $.
OmegaConf.register_new_resolver("group_help", lambda: describe_groups(CONFIGS), replace=True)
OmegaConf.register_new_resolver(
    "option_help", lambda *, _root_: describe_options(_root_).replace("$", "$$"), replace=True
)


def main() -> None:
    """Run the command line."""
    spare_garbage_collector()
    _accept_hydras_help()
    if "--version" in sys.argv[1:]:  # else Hydra would print its own
        print(f"mt {__version__}")
        return
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("mt").setLevel(logging.INFO)
    try:
        arguments = checked_overrides(sys.argv[1:], CONFIGS)
        check_values(arguments)
        check_sweep_runs(arguments)
    except ValueError as error:
        _fail(str(error), code=2)
    if same := keys_not_swept(arguments):
        # A job of a sweep is named by what is swept, which only this process sees. All overrides
        # must stand together.
        first = next(n for n, one in enumerate(arguments) if is_override(one))
        names = ",".join(same)
        arguments.insert(first, f"hydra.job.config.override_dirname.exclude_keys=[{names}]")
    sys.argv[1:] = arguments
    if "MASTER_ADDR" not in os.environ:
        _run()
        return
    from mt.training.world import ends_process  # torchrun has started this process

    with ends_process():
        _run()


def _accept_hydras_help() -> None:
    """Let Hydra add an option whose help is no string, which argparse refuses from Python 3.14 on.

    Hydra itself turns it into one, if it shows it at all (github.com/facebookresearch/hydra, 3121).
    """
    argparse.ArgumentParser._check_help = lambda *_: None  # type: ignore[attr-defined]


def _run() -> None:
    try:
        _compose_and_train()
        sys.stdout.flush()
    except BrokenPipeError:  # `mt-train --help | head`
        _end_without_reader()
    except KeyboardInterrupt:  # before training began
        raise SystemExit(_INTERRUPTED) from None
    except CompactHydraException as error:  # `mt-train seed=1,2 --help`
        if "HYDRA_FULL_ERROR" in os.environ:
            raise
        _fail(str(error), code=2)
    except OSError as error:  # `mt-train --help > FILE` on a full disk
        _fail(str(error), code=1)
    except ValueError as error:
        if not str(error).startswith("Only one of --run"):  # Hydra's, of its own options
            raise
        _fail(str(error), code=2)


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
def _compose_and_train(composed: DictConfig) -> None:
    job = HydraConfig.get()
    try:
        _train_composed(composed, job)
    except SystemExit as end:
        if job.mode is RunMode.RUN or end.code == _INTERRUPTED:
            raise
        # Hydra goes on with the other jobs of the sweep after an exception, and fails at the end.
        raise CompactHydraException("mt-train: this job of the sweep failed, see above") from None


def _train_composed(composed: DictConfig, job: HydraConf) -> None:
    try:
        overrides = list(job.overrides.task)
        if composed.resume:
            config = _resumed_config(composed, overrides)
        else:
            config = compose_config(composed)
            named = any(override.startswith("run=") for override in overrides)
            if job.mode is RunMode.MULTIRUN and not named:
                config.run = "-".join(filter(None, [config.run, job.job.override_dirname]))
    except (ValueError, OSError) as error:
        _fail(str(error), code=2)
    train_and_report(config)


def train_and_report(config: Config) -> None:
    """Train, then print the score and the commands to try next; exit with 1 on failure.

    Several processes train if the configuration says so or torchrun has started them.
    """
    from mt.training.launch import ProcessKilledError, launch, processes_to_launch
    from mt.training.world import ConnectionLostError

    try:
        n_processes = processes_to_launch(config.trainer)
        if n_processes == 1:
            _train_here(config)
        elif status := launch(_train_here, config, n_processes):
            raise SystemExit(status)
    except ValueError as error:
        _fail(str(error), code=1)
    except ProcessKilledError as error:
        _fail(f"{error}; the others were ended. {_going_on(config)}", code=1)
    except ConnectionLostError as error:
        _fail(
            f"the connection to another process of this training is lost ({error}): look for that "
            f"process's own error. {_going_on(config)}",
            code=1,
        )


def _train_here(config: Config) -> None:
    """Train in this process, which may be one of several; the writer alone reports divergence."""
    from mt.training.progress import DivergenceError
    from mt.training.world import World

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        with World.join() as world:
            logging.getLogger("mt").setLevel(logging.INFO if world.is_writer else logging.ERROR)
            try:
                _train_and_print(config, world)
            except DivergenceError as error:
                if world.is_writer:
                    _fail(str(error), code=1)
    except BrokenPipeError:
        _end_without_reader()
    except (ValueError, OSError) as error:
        _fail(str(error), code=1)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        _fail(
            f"out of memory: lower trainer.batch_tokens (now {config.trainer.batch_tokens}) or "
            f"data.max_length (now {config.data.max_length}), and raise trainer.accumulate to keep "
            "the size of an update; if the model itself does not fit, lower its sizes in model or "
            f"tokenizer.vocab_size (now {config.tokenizer.vocab_size})",
            code=1,
        )


def _train_and_print(config: Config, world: "World") -> None:
    from mt.checkpoint import RunDirectory
    from mt.training.run import train

    try:
        outcome = train(config, world)
    except KeyboardInterrupt:
        if world.is_writer:
            _fail("stopped at once; what was saved before is kept", code=_INTERRUPTED)
        return
    if not world.is_writer:
        return
    run = shlex.quote(config.run)
    if outcome.reason == "interrupted":
        print(f"Stopped after update {outcome.step}; saved. {_going_on(config)}")
        raise SystemExit(_INTERRUPTED)
    _print_best(RunDirectory(config.run).read_metrics())
    print(f"Evaluate:  mt-evaluate {run}\nTranslate: mt-translate {run}")


def _going_on(config: Config) -> str:
    from mt.checkpoint import RunDirectory

    run = RunDirectory(config.run)
    if not run.resumable:
        return "Nothing has been saved to resume from: start the run again"
    return f"Go on with:\n  mt-train {run.resuming}"


def _print_best(events: list[dict[str, Any]]) -> None:
    end = events[-1]
    print(
        f"Done ({end['reason']}): {end['step']} updates in {end['seconds'] / 60:.1f} minutes, "
        f"{end['tokens_per_s']:,.0f} target tokens/s"
    )
    validations = [e for e in events if e["event"] == "valid" and e["step"] == end["best_step"]]
    for best in validations[-1:]:  # none where a run was resumed without its metrics.jsonl
        print(
            f"Best on valid, update {best['step']}: BLEU {best['bleu']:.2f}, "
            f"perplexity {best['ppl']:.2f}\n"
            f"  {best['signature']}"
        )


def compose_config(composed: DictConfig) -> Config:
    """Turn what Hydra composed into dataclasses, whose checks run here."""
    # Not OmegaConf.missing_keys, which fails on `run`, made of the very keys that are missing.
    names = [field.name for field in dataclasses.fields(DataConfig)]
    missing = [f"data.{name}" for name in names if OmegaConf.is_missing(composed.data, name)]
    if missing:
        settings = " ".join(f"{key}=VALUE" for key in missing)
        raise ValueError(f"no value for {', '.join(missing)}: add {settings}")
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        raise ValueError(str(error).splitlines()[0]) from error
    if not isinstance(config, Config):
        raise TypeError(f"the composed configuration is a {type(config).__name__}")
    return config


def _resumed_config(composed: DictConfig, overrides: list[str]) -> Config:
    """Return the run's saved configuration, with the few overrides that may be changed."""
    from mt.checkpoint import RunDirectory

    kept = check_resume_overrides(overrides)
    run = composed.run
    saved = RunDirectory.open(run).load_config()
    merged = OmegaConf.structured(saved)
    for key in kept:
        OmegaConf.update(merged, key, OmegaConf.select(composed, key))
    return dataclasses.replace(compose_config(merged), run=run, resume=True)


def _end_without_reader() -> NoReturn:
    """End quietly: whoever read standard output has left."""
    drop_unwritten_output()
    raise SystemExit(128 + signal.SIGPIPE) from None


def _fail(message: str, *, code: int) -> NoReturn:
    drop_unwritten_output()
    print(f"mt-train: {message}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
