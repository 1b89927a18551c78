"""The script that makes the environment, with a Python that only notes what it is asked for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PYTHON = """#!/bin/sh
case "$2 ${{3:-}}" in
    *print*) echo {version};;
    *version_info*) exec {python} -c "import sys; sys.version_info = {numbers}; $2";;
    "venv --clear") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python
        echo "made by $0" >> asked; exit {venv};;
    "pip --version") exit {no_pip};;
    ensurepip*) echo "$2" >> asked;;
    "pip "*) shift 2; echo "pip $*" >> asked; {pip};;
    *) echo "Python {version}.0";;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPTS / "environment", folder / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / name).write_text(name)
    return folder


def interpreter(
    path: Path, version: str, *, pip: str = "exit 0", no_pip: int = 0, venv: int = 0
) -> Path:
    numbers = tuple(map(int, f"{version}.0".split(".")))
    answers = {"numbers": numbers, "python": sys.executable, "no_pip": no_pip, "venv": venv}
    path.write_text(PYTHON.format(version=version, pip=pip, **answers))
    path.chmod(0o755)
    return path


def run(checkout: Path, **environment: Path) -> tuple[int, str]:
    chosen = {name: str(value) for name, value in environment.items()}
    own = {name: value for name, value in os.environ.items() if name != "PYTHON"} | chosen
    done = subprocess.run(
        [checkout / "scripts" / "environment"], env=own, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def asked(checkout: Path) -> list[str]:
    """Return what was asked of pip and venv since the last call."""
    path = checkout / "asked"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_it_is_made_once_and_again_when_the_versions_change(checkout: Path) -> None:
    python = interpreter(checkout / "python", "3.12")
    assert run(checkout, PYTHON=python) == (0, "")
    made, torch, own = asked(checkout)
    assert made == f"made by {python}"
    assert torch.endswith("-c constraints.txt torch") and own.endswith("-e .[dev]")
    assert run(checkout, PYTHON=python) == (0, "") and asked(checkout) == []
    assert run(checkout) == (0, "") and asked(checkout) == []  # whatever python3 is
    (checkout / "constraints.txt").write_text("others")
    assert run(checkout) == (0, "")
    assert [line[:11] for line in asked(checkout)] == ["pip install", "pip install"]


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    python = interpreter(checkout / "python", "3.12")
    assert run(checkout, PYTHON=python) == (0, "")
    own = checkout / ".venv" / "bin" / "python"
    own.unlink()
    own.symlink_to(checkout / "gone")
    asked(checkout)
    assert run(checkout, PYTHON=python) == (0, "")
    assert asked(checkout)[0] == f"made by {python}" and not own.is_symlink()


def test_a_checkout_may_be_reached_by_a_link(checkout: Path, tmp_path: Path) -> None:
    python = interpreter(checkout / "python", "3.12")
    (tmp_path / "link").symlink_to(checkout)
    assert run(tmp_path / "link", PYTHON=python) == (0, "")
    asked(checkout)
    assert run(checkout) == (0, "") and asked(checkout) == []


def test_half_an_installation_is_not_taken_for_a_whole_one(checkout: Path) -> None:
    python = interpreter(checkout / "python", "3.12")
    assert run(checkout, PYTHON=python) == (0, "")
    (checkout / "constraints.txt").write_text("others")
    interpreter(checkout / ".venv" / "bin" / "python", "3.12", pip="exit 1")
    assert run(checkout)[0] == 1
    (checkout / "constraints.txt").write_text("constraints.txt")  # as it was
    interpreter(checkout / ".venv" / "bin" / "python", "3.12")
    asked(checkout)
    assert run(checkout) == (0, "")
    assert len(asked(checkout)) == 2


def test_an_environment_without_pip_gets_it(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    interpreter(checkout / ".venv" / "bin" / "python", "3.12", no_pip=1)
    assert run(checkout) == (0, "")
    assert [line.split()[0] for line in asked(checkout)] == ["ensurepip", "pip", "pip"]


def test_what_venv_could_not_make_is_not_kept(checkout: Path) -> None:
    python = interpreter(checkout / "python", "3.12", venv=1)  # as without Debian's python3-venv
    for _ in range(2):
        assert run(checkout, PYTHON=python)[0] == 1
        assert asked(checkout) == [f"made by {python}"] and not (checkout / ".venv").exists()


def test_another_python_than_the_environments_is_refused(checkout: Path) -> None:
    assert run(checkout, PYTHON=interpreter(checkout / "python", "3.12")) == (0, "")
    code, error = run(checkout, PYTHON=interpreter(checkout / "other", "3.13"))
    assert code == 1 and "is Python 3.13, but .venv has 3.12: remove .venv first" in error


@pytest.mark.parametrize("version", ["3.10", "3.15"])
def test_a_python_without_the_pinned_versions_is_refused(checkout: Path, version: str) -> None:
    code, error = run(checkout, PYTHON=interpreter(checkout / "python", version))
    assert code == 1 and error.startswith("mt needs Python 3.11 to 3.14, for which the versions in")
    assert f"is Python {version}.0: set PYTHON=/path/to/python3.14" in error
    assert not (checkout / ".venv").exists()
    (checkout / ".venv" / "bin").mkdir(parents=True)
    interpreter(checkout / ".venv" / "bin" / "python", version)
    code, error = run(checkout)
    assert (
        code == 1 and f"is Python {version}.0: remove .venv (rm -r .venv) and set PYTHON=" in error
    )


def test_an_environment_from_elsewhere_is_refused(checkout: Path) -> None:
    assert run(checkout, PYTHON=interpreter(checkout / "python", "3.12")) == (0, "")
    moved = checkout.rename(checkout.with_name("moved"))
    code, error = run(moved)
    assert code == 1
    assert f"{moved}/.venv was made in {checkout}, and works in no other place: remove it" in error
