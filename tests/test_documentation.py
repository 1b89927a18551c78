"""The Python of README and docs runs as it stands, and mt-train takes their commands."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from mt.cli.override_values import check_values
from mt.cli.overrides import check_sweep_runs, checked_overrides

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", ["README.md", "docs/attention.md"])
def test_the_python_of_a_page_runs(
    page: str, attention_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.M | re.S)
    code = "".join(blocks)
    assert "runs/quickstart-attention" in code
    with torch.enable_grad():  # which is as it was at the end, whatever the page has set
        exec(code.replace("runs/quickstart-attention", str(attention_run)), {})
    assert capsys.readouterr().out


def _commands() -> list[str]:
    found = set()
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text("utf-8").replace("\\\n", " ")
        for block, inline in re.findall(r"^    mt-train\b(.*)$|`mt-train ([^`]+)`", text, re.M):
            found.add(" ".join((block or inline).split()))
    return sorted(found)


@pytest.mark.parametrize("command", _commands())
def test_every_command_of_a_page_is_accepted(command: str) -> None:
    arguments = checked_overrides(shlex.split(command, comments=True), ROOT / "configs")
    check_values(arguments)
    check_sweep_runs(arguments)
