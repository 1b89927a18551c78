"""The prompt on a terminal."""

import dataclasses
import os
import pty
import re
import select
import sys
import time
import unittest.mock
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import tiny_corpus
from wcwidth import wcswidth

from mt.cli.filter import SearchOptions
from mt.cli.prompt import Prompt, _edit_lines, _open_history
from mt.cli.render import OutputFormat
from mt.decoding import search_ids
from mt.translator import Translator

_SENTENCE = tiny_corpus()["train"][0][0]
_TIMEOUT = 60  # seconds; a loaded machine imports torch slowly

Say = Callable[[str], str]


@pytest.fixture
def prompt(attention_run: Path) -> Prompt:
    translator = Translator.from_run(attention_run, device="cpu")
    return Prompt(translator, form=OutputFormat(), options=SearchOptions())


@pytest.fixture
def say(prompt: Prompt, capsys: pytest.CaptureFixture[str]) -> Say:
    def handle(line: str) -> str:
        prompt.handle(line)
        return capsys.readouterr().out

    return handle


def test_a_sentence_is_translated(prompt: Prompt, say: Say) -> None:
    assert say(_SENTENCE) == prompt.translator.translate([_SENTENCE])[0].text + "\n"
    assert say("   ") == ""
    assert say(":)") != ""  # no command: a colon and no letter


def test_the_beam_reaches_the_search(say: Say) -> None:
    say(":beam 7")
    say(":nbest 3")
    with unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as spy:
        say(_SENTENCE)
    assert spy.call_args.args[2].beam_size == 7
    assert spy.call_args.kwargs["n_best"] == 3


def test_the_options_of_the_command_line_reach_the_search(prompt: Prompt, say: Say) -> None:
    prompt.options = SearchOptions(beam_size=3, length_penalty=0.0, batch_size=2)
    with unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as spy:
        say(_SENTENCE)
    search = spy.call_args.args[2]
    assert (search.beam_size, search.length_penalty, search.batch_size) == (3, 0.0, 2)


def test_n_best_and_beam(prompt: Prompt, say: Say) -> None:
    assert say(":beam") == "beam 4\n"
    assert say(":nbest 3") == "nbest 3\n"
    assert say(_SENTENCE).count(" ||| ") == 6
    assert say(":beam 2") == ("error: a beam of 2 cannot give 3 translations; first say :nbest 2\n")
    assert say(":beam 8") == "beam 8\n"
    assert say(":nbest 9") == "error: 9 translations need a beam of 9 or more: say :beam 9\n"
    assert say(":nbest 1") == "nbest 1\n"
    assert " ||| " not in say(_SENTENCE)
    assert prompt.options.beam_size == 8


@pytest.mark.parametrize("argument", ["x", "0", "-1", "2.5", "99999"])
def test_a_number_out_of_range_is_refused(say: Say, argument: str) -> None:
    message = f"error: {argument} is not a number from 1 to 9999; for example :beam 8\n"
    assert say(f":beam {argument}") == message


def test_align_draws_the_last_translation(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    assert say(":align") == "error: nothing is translated yet: write a sentence first\n"
    say(_SENTENCE)
    monkeypatch.setenv("COLUMNS", "40")
    picture = say(":align")
    assert all(wcswidth(line) <= 40 for line in picture.splitlines() if "weight" not in line)
    assert all(word in picture for word in _SENTENCE.split())
    assert "┌" in picture and "weight:" in picture
    assert say(":align on") == "align on\n"
    assert "┌" in say(_SENTENCE)
    assert say(":align off") == "align off\n"
    assert "┌" not in say(_SENTENCE)
    assert "expected :align, :align on, :align off" in say(":align maybe")


def test_align_of_a_model_without_attention_says_why(
    baseline_run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    translator = Translator.from_run(baseline_run, device="cpu")
    prompt = Prompt(translator, form=OutputFormat(), options=SearchOptions())
    for line in (_SENTENCE, ":align", f":plot {tmp_path / 'a.png'}"):
        prompt.handle(line)
    assert capsys.readouterr().out.count("no alignment: this model has no attention") == 2
    assert not (tmp_path / "a.png").exists()


def test_an_empty_translation_has_nothing_to_draw(prompt: Prompt, say: Say) -> None:
    say(_SENTENCE)
    assert prompt.last is not None
    prompt.last = dataclasses.replace(prompt.last, tokens=[])
    assert say(":align") == "error: the last translation is empty: write another sentence first\n"


def test_plot_writes_a_picture(say: Say, tmp_path: Path) -> None:
    path = tmp_path / "alignment.png"
    assert "nothing is translated yet" in say(f":plot {path}")
    say(_SENTENCE)
    assert say(f":plot {path}") == f"written: {path}\n"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "which file?" in say(":plot")
    assert "no picture format for the suffix '.xyz'" in say(f":plot {tmp_path / 'a.xyz'}")
    assert "no such folder" in say(f":plot {tmp_path / 'nowhere' / 'a.png'}")


def test_an_unknown_command_suggests_the_nearest(say: Say) -> None:
    assert say(":hepl") == "error: unknown command :hepl; did you mean :help?\n"
    assert say(":q") == "error: unknown command :q; did you mean :quit?\n"
    assert say(":zzz") == "error: unknown command :zzz; :help lists the commands\n"


def test_help_lists_every_command(prompt: Prompt, say: Say) -> None:
    text = say(":help")
    assert all(command.usage in text for command in prompt.commands.values())


def test_quit_finishes(prompt: Prompt, say: Say) -> None:
    assert not prompt.finished
    assert say(":quit") == ""
    assert prompt.finished


def test_an_error_while_translating_does_not_end_it(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("mt.translator.search_ids", stop)
        assert "stopped" in say(_SENTENCE)
        patch.setattr("mt.translator.search_ids", fail)
        assert say(_SENTENCE) == "error: out of memory\n"
    assert "stopped" not in say(_SENTENCE)


def test_a_surrogate_from_the_terminal_is_one_character(prompt: Prompt, say: Say) -> None:
    assert "error" not in say("bado \udcff fena")
    assert prompt.last is not None and prompt.last.source == "bado \ufffd fena"


class _Terminal:
    """The command on a pseudo-terminal."""

    def __init__(self, run: Path, state: Path, *, before: str = "") -> None:
        program = f"{before}\nimport sys\nfrom mt.cli.translate import main\nsys.exit(main())"
        command = [sys.executable, "-c", program, str(run), "--threads=1"]
        environment = os.environ | {
            "XDG_STATE_HOME": str(state),
            "TERM": "dumb",
            "INPUTRC": os.devnull,
            "PYTHONIOENCODING": "utf-8:strict",  # as in a locale such as de_DE.UTF-8
        }
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, environment)

    def write(self, text: str) -> None:
        os.write(self.descriptor, text.encode("utf-8", "surrogateescape"))

    def answers(self, seconds: float) -> bool:
        return bool(select.select([self.descriptor], [], [], seconds)[0])

    def expect(self, pattern: str) -> str:
        seen, deadline = "", time.monotonic() + _TIMEOUT
        while not re.search(pattern, seen):
            assert select.select([self.descriptor], [], [], deadline - time.monotonic())[0], seen
            seen += os.read(self.descriptor, 4096).decode("utf-8", "replace")
        return seen

    def exit_code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_there_is_no_history_without_a_home_directory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("readline")

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert _open_history() is None
    assert capsys.readouterr().out == "(no history: Could not determine home directory.)\n"


def test_a_python_without_readline_has_a_prompt(attention_run: Path, tmp_path: Path) -> None:
    absent = "import sys\nsys.modules['readline'] = None"
    terminal = _Terminal(attention_run, tmp_path, before=absent)
    terminal.expect(r"(?m)^> $")
    terminal.write(":beam 2\n")
    terminal.expect(r"beam 2\r\n> $")
    terminal.write("\x04")
    assert terminal.exit_code() == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("library", "binding"),
    [("GNU readline", "tab: complete"), ("libedit", "bind ^I rl_complete")],
)
def test_tab_completes_with_either_library(
    prompt: Prompt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, binding: str
) -> None:
    readline = pytest.importorskip("readline")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(readline, "__doc__", f"Importing this module enables {library}.")
    with unittest.mock.patch("readline.parse_and_bind") as bind:
        _edit_lines(prompt)
    bind.assert_called_once_with(binding)


def test_a_session_on_a_terminal(attention_run: Path, tmp_path: Path) -> None:
    if "libedit" in (pytest.importorskip("readline").__doc__ or ""):
        pytest.skip("its history file has another format")
    translation = Translator.from_run(attention_run).translate([_SENTENCE])[0].text
    terminal = _Terminal(attention_run, tmp_path)
    terminal.expect(r"(?m)^> $")
    terminal.write(_SENTENCE + "\n")
    terminal.expect(re.escape(translation) + r"\r\n> $")
    terminal.write("half a sent\x03")
    if not terminal.answers(5):  # the signal came while readline was about to wait: once more
        terminal.write("\x03")
    terminal.expect(r"\(:quit or Ctrl-D leaves, :help lists the commands\)\r\n> $")
    terminal.write("bado \udcff fena\n")  # a byte that is no UTF-8
    assert "error" not in terminal.expect(r"\n> $")
    terminal.write(":beam \udcff\n")
    terminal.expect(r"error: .*\\udcff.*\n> $")
    terminal.write(":al\t on\n")
    terminal.expect(r"align on\r\n> $")
    terminal.write("\x04")
    assert terminal.exit_code() == 0
    history = (tmp_path / "mt" / "translate_history").read_bytes().split(b"\n")
    written = [_SENTENCE.encode(), b"bado \xff fena", b":beam \xff", b":align on"]
    assert history[:4] == written
