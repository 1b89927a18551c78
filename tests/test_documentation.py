"""The Python of README and docs runs as it stands."""

import re
from pathlib import Path

import pytest
import torch

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
