"""Fixtures that more than one test module uses, and what holds for every test.

The shapes annotated in the modules that compute are checked at every call while tests run, but for
the training of the runs that tests share and a longer one: a wrong one is a failed test.
"""

import logging
import os
import shutil
import signal
import sys
import tempfile
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import beartype
import filelock
import hypothesis
import jaxtyping
import pytest
import torch
from jaxtyping import jaxtyped

# Before anything imports these modules. The tower: an int where a float is wanted is right.
_COMPUTING = ("mt.models", "mt.search", "mt.decoding")
_CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
jaxtyping.install_import_hook(_COMPUTING, _CHECKER)

# No test may read what an earlier run of the tests or the user left, nor leave anything to them;
# the commands that tests start inherit these.
_caches = tempfile.TemporaryDirectory(prefix="mt-tests-")
os.environ["XDG_CACHE_HOME"] = _caches.name
os.environ["HF_DATASETS_CACHE"] = f"{_caches.name}/datasets"
os.environ["MPLCONFIGDIR"] = f"{_caches.name}/matplotlib"
# The tests are of the CPU, also where torch could take a GPU.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# One thread: there is a test process for every core, and more threads would wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
for _name in (
    "SACREBLEU_SEED", "MASTER_ADDR", "WORLD_SIZE", "RANK", "LOCAL_RANK", "HYDRA_FULL_ERROR",
    "COLUMNS", "MATPLOTLIBRC",
):  # fmt: skip
    os.environ.pop(_name, None)

from tiny_run import copy_run, make_tiny_run, write_tiny_corpus  # noqa: E402

from mt.garbage import spare_garbage_collector  # noqa: E402

spare_garbage_collector()


def _check_shapes_of_named_tuples() -> None:
    """Check the fields of what is passed between these modules, which the hook leaves alone."""
    checker = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))
    for name, module in list(sys.modules.items()):
        if name.startswith((*_COMPUTING, "mt.data.batching")):
            for kind in vars(module).values():
                is_own = getattr(kind, "__module__", None) == name and hasattr(kind, "_fields")
                hints = typing.get_type_hints(kind) if is_own else {}
                if "Tensor" in str(hints):
                    kind.__new__.__annotations__ = hints
                    kind.__new__ = staticmethod(jaxtyped(kind.__new__, typechecker=checker))


_check_shapes_of_named_tuples()

# A shell that starts the tests in the background makes them ignore Ctrl-C, and with them the
# commands that they start and send it to.
signal.signal(signal.SIGINT, signal.default_int_handler)


class _TorchRandom:
    """Torch's random numbers, for Hypothesis to seed before every example."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


# One thread and one seed: a test fails always or never.
torch.set_num_threads(1)
_torch_random = _TorchRandom()  # Hypothesis keeps a weak reference
hypothesis.register_random(_torch_random)
hypothesis.settings.register_profile(
    "mt",
    deadline=None,  # machines differ in speed
    derandomize=True,
)
hypothesis.settings.load_profile("mt")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Undo what a command run in this process has set."""
    logger = logging.getLogger("mt")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the tiny corpus."""
    return write_tiny_corpus(tmp_path_factory.mktemp("corpora") / "tiny")


@pytest.fixture(scope="session")
def attention_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run directory with a tiny trained attention model."""
    return _own_run("attention", tmp_path_factory, decoder="attention")


@pytest.fixture(scope="session")
def baseline_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run directory with a tiny trained model without attention."""
    return _own_run("baseline", tmp_path_factory, decoder="fixed_context")


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Leave out the checks of shapes: half the time of a training, and other tests train too."""
    with _unchecked_shapes():
        yield


@contextmanager
def _unchecked_shapes() -> Iterator[None]:
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def _own_run(name: str, tmp_path_factory: pytest.TempPathFactory, *, decoder: str) -> Path:
    """Copy the run that the first of the test processes to want it trains for all of them."""
    base = tmp_path_factory.getbasetemp()
    trained = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with filelock.FileLock(f"{trained}.lock"):
        if not trained.exists():
            try:
                with _unchecked_shapes():
                    make_tiny_run(trained, decoder)
            except BaseException:  # the next process to want it must meet this error, not its ruins
                for ruin in (trained, trained.with_name(f"{name}-corpus")):
                    shutil.rmtree(ruin, ignore_errors=True)
                raise
    return copy_run(trained, tmp_path_factory.mktemp("runs") / name)
