"""House rules that can be read off the source: which way imports point, what is not used."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mt

ROOT = Path(mt.__file__).parent

# From the ground up. A module stands on the floor of the longest name here that it begins with.
FLOORS: list[set[str]] = [
    {"mt.choices", "mt.config", "mt.cores"},
    {
        "mt.alignment",
        "mt.data.cache",
        "mt.data.tokenizer",
        "mt.device",
        "mt.display",
        "mt.faults",
        "mt.file_names",
        "mt.garbage",
        "mt.metrics",
        "mt.models",
        "mt.search",
    },
    {"mt.data", "mt.checkpoint", "mt.decoding", "mt.loading", "mt.plotting"},
    {
        "mt.alignment_quality",
        "mt.comparison",
        "mt.comparison_report",
        "mt.evaluation",
        "mt.evaluation_files",
        "mt.evaluation_set",
        "mt.gradient_reach",
        "mt.sentence_views",
        "mt.training",
        "mt.translator",
    },
    {"mt", "mt.cli"},  # `mt` names the public classes
]

FILES = {
    ".".join(("mt", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
PACKAGES = {name for name, path in FILES.items() if path.name == "__init__.py"}
BELOW_CLI = [name for name in FILES if not f"{name}.".startswith("mt.cli.")]


def _tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def _imports(module: str) -> Iterator[str]:
    """Yield the full names of the modules that a module imports, anywhere in its text."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module} has a relative import"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in FILES else node.module


def _own_imports(module: str) -> set[str]:
    return {name for name in _imports(module) if name.split(".")[0] == "mt"}


def _floor(module: str) -> int:
    """Return the floor of a module: that of its own entry, or of a package it is in."""
    name = module
    while name != "mt" or module == "mt":
        for number, names in enumerate(FLOORS):
            if name in names:
                return number
        name = name.rpartition(".")[0]
    return pytest.fail(f"{module} has no floor: give it one in {__file__}")


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module: str) -> None:
    upwards = [name for name in _own_imports(module) if _floor(name) > _floor(module)]
    assert not upwards, f"{module} is below what it imports: {upwards}"


def test_imports_form_no_circle() -> None:
    graph = {name: _own_imports(name) for name in FILES}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_every_entry_of_the_floors_exists() -> None:
    assert set().union(*FLOORS) <= set(FILES)


@pytest.mark.parametrize("module", BELOW_CLI)
def test_the_command_line_stays_in_cli(module: str) -> None:
    roots = {name.split(".")[0] for name in _imports(module)}
    assert not roots & {"hydra", "argparse"}
    calls = [node for node in ast.walk(_tree(module)) if isinstance(node, ast.Call)]
    names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    assert not names & {"print", "input", "exit", "quit"}


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("datasets", ["mt.data."]),
        ("sentencepiece", ["mt.data.tokenizer"]),
        ("sacrebleu", ["mt.metrics"]),
        ("tensorboard", ["mt.training.tracking"]),
        ("tqdm", ["mt.training.tracking"]),
    ],
)
def test_a_library_is_used_in_one_place(library: str, homes: list[str]) -> None:
    users = [m for m in FILES if any(library in name.split(".") for name in _imports(m))]
    assert users
    strays = [m for m in users if not any(m.startswith(home) for home in homes)]
    assert not strays


@pytest.mark.parametrize("module", FILES)
def test_no_module_is_a_drawer_for_everything(module: str) -> None:
    assert not set(module.split(".")) & {"utils", "util", "helpers", "helper", "common", "misc"}


@pytest.mark.parametrize("module", FILES)
def test_errors_are_raised_and_never_asserted(module: str) -> None:
    lines = [node.lineno for node in ast.walk(_tree(module)) if isinstance(node, ast.Assert)]
    assert not lines, f"assert in {module}, lines {lines}"


@pytest.mark.parametrize("module", FILES)
def test_no_function_takes_options_that_it_does_not_name(module: str) -> None:
    functions = [n for n in ast.walk(_tree(module)) if isinstance(n, ast.FunctionDef)]
    assert not [function.name for function in functions if function.args.kwarg]


@pytest.mark.parametrize("module", FILES)
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(_tree(module))


def test_what_is_installed_has_every_package_and_the_version() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text("utf-8"))
    packages = set(project["tool"]["setuptools"]["packages"])
    assert packages == PACKAGES | {"mt._configs", "mt._data"}
    assert project["project"]["version"] == mt.__version__


def _loaded_by(statement: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has after a statement."""
    code = f"{statement}; import sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    return set(done.stdout.split())


def test_the_package_alone_loads_no_torch() -> None:
    assert "torch" not in _loaded_by("import mt; mt.__version__")


def test_the_package_offers_nothing_else() -> None:
    with pytest.raises(AttributeError, match="module 'mt' has no attribute 'Trainer'"):
        mt.Trainer  # noqa: B018
