"""The prompt on a terminal: a sentence in, its translation out; a colon begins a command."""

import difflib
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mt.cli.filter import SearchOptions
from mt.cli.grid import draw_alignment, legend
from mt.cli.render import OutputFormat, render
from mt.display import printable

if TYPE_CHECKING:  # the types alone; importing the translator would load torch
    from mt.translator import Translation, Translator

_PROMPT = "> "
_HISTORY_LINES = 1000
_HOW_TO_QUIT = "(:quit or Ctrl-D leaves, :help lists the commands)"
_NO_ALIGNMENT = (
    "no alignment: this model has no attention. Its decoder sees the source only as one fixed\n"
    "vector, in which no word has a place of its own. A run of model=attention has alignments."
)


class Command(NamedTuple):
    """A command of the prompt: how to write it, what it does."""

    usage: str
    help: str
    action: Callable[[str], None]


class Prompt:
    """The state of a session at the prompt: the search options and the last translation."""

    def __init__(
        self, translator: "Translator", *, form: OutputFormat, options: SearchOptions
    ) -> None:
        """Start with the options of the command line."""
        self.translator = translator
        self.form = form
        self.options = options
        self.last: Translation | None = None
        self.show_alignment = False
        self.finished = False
        self.commands = {
            "help": Command(":help", "list the commands", self._help),
            "beam": Command(":beam 8", "search with 8 hypotheses; 1 is greedy", self._beam),
            "nbest": Command(":nbest 3", "show the 3 best translations", self._n_best),
            "align": Command(
                ":align [on|off]",
                "draw the last alignment; on: after every translation",
                self._align,
            ),
            "plot": Command(
                ":plot FILE.png",
                "write the last alignment as a picture (png, pdf, svg)",
                self._plot,
            ),
            "quit": Command(":quit", "leave", self._quit),
        }

    def handle(self, line: str) -> None:
        """Run a command or translate a sentence; say what goes wrong without ending the session."""
        try:
            command = re.match(r":\s*([^\W\d_]\w*)\s*(.*)", line.strip())
            if command:
                self._run(command.group(1), command.group(2).strip())
            elif line.strip():
                self._translate(line)
        except (ValueError, OSError, RuntimeError) as error:
            print(f"error: {error}")
        except KeyboardInterrupt:
            print(f"\nstopped {_HOW_TO_QUIT}")

    def _run(self, name: str, argument: str) -> None:
        if name in self.commands:
            self.commands[name].action(argument)
            return
        near = difflib.get_close_matches(name, self.commands, n=1, cutoff=0.5)
        near = near or [known for known in self.commands if known.startswith(name)]
        advice = f"did you mean :{near[0]}?" if near else ":help lists the commands"
        raise ValueError(f"unknown command :{printable(name)}; {advice}")

    def _translate(self, sentence: str) -> None:
        [translations] = self.translator.translate_n_best(
            [sentence],
            n_best=self.form.n_best,
            beam_size=self.options.beam_size,
            length_penalty=self.options.length_penalty,
            batch_size=self.options.batch_size,
        )
        self.last = translations[0]
        for line in render(0, translations, self.form):
            print("\t".join(printable(column) for column in line.split("\t")))
        if self.show_alignment:
            self._draw()

    def _help(self, argument: str) -> None:
        width = max(len(command.usage) for command in self.commands.values())
        print("Write a sentence to have it translated. Commands:")
        for command in self.commands.values():
            print(f"  {command.usage:<{width}}  {command.help}")

    def _beam(self, argument: str) -> None:
        if argument:
            beam_size = _positive(argument, ":beam 8")
            if beam_size < self.form.n_best:
                raise ValueError(
                    f"a beam of {beam_size} cannot give {self.form.n_best} translations; "
                    f"first say :nbest {beam_size}"
                )
            self.options = self.options._replace(beam_size=beam_size)
        own = max(self.translator.search.beam_size, self.form.n_best)
        print(f"beam {self.options.beam_size or own}")

    def _n_best(self, argument: str) -> None:
        if argument:
            n_best = _positive(argument, ":nbest 3")
            if self.options.beam_size is not None and n_best > self.options.beam_size:
                raise ValueError(
                    f"{n_best} translations need a beam of {n_best} or more: say :beam {n_best}"
                )
            self.form = replace(self.form, n_best=n_best)
        print(f"nbest {self.form.n_best}")

    def _align(self, argument: str) -> None:
        if argument not in ("", "on", "off"):
            raise ValueError(
                f":align {printable(argument)}: expected :align, :align on, :align off"
            )
        if argument:
            self.show_alignment = argument == "on"
            print(f"align {argument}")
        else:
            self._draw()

    def _draw(self) -> None:
        words = self._last().words()
        if words is None:
            print(_NO_ALIGNMENT)
        else:
            print(draw_alignment(words, shutil.get_terminal_size().columns - 1))
            print(legend())

    def _plot(self, argument: str) -> None:
        if not argument:
            raise ValueError("which file? For example :plot alignment.png")
        last = self._last()
        if last.alignment is None:
            print(_NO_ALIGNMENT)
            return
        from mt.plotting import alignment_figure, save_figure  # matplotlib: a second to import

        figure = alignment_figure(last.source_tokens, last.tokens, last.alignment)
        path = Path(os.path.expanduser(argument))
        save_figure(figure, path)
        print(f"written: {path}")

    def _quit(self, argument: str) -> None:
        self.finished = True

    def _last(self) -> "Translation":
        if self.last is None:
            raise ValueError("nothing is translated yet: write a sentence first")
        if not self.last.tokens:
            raise ValueError("the last translation is empty: write another sentence first")
        return self.last


def run_prompt(prompt: Prompt) -> None:
    """Read lines from the terminal until the user leaves, with editing, completion and history.

    Without those three where Python was built without readline.
    """
    # In most locales a byte that is not UTF-8 would end the session, read or written; now it is a
    # lone surrogate, and is written as \udc and two digits.
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    history = _edit_lines(prompt) if find_spec("readline") else None
    print(f"Write a sentence to have it translated. {_HOW_TO_QUIT}")
    try:
        while not prompt.finished:
            try:
                prompt.handle(input(_PROMPT))
            except KeyboardInterrupt:
                print(f"\n{_HOW_TO_QUIT}")
            except EOFError:
                print()
                break
    finally:
        if history is not None:
            _save_history(history)


def _edit_lines(prompt: Prompt) -> Path | None:
    """Let `input` edit and complete; return the path of the history file, None if there is none."""
    import readline  # changes how input() reads

    readline.set_completer_delims(" ")
    readline.set_completer(lambda text, state: _complete(prompt, text, state))
    is_libedit = "libedit" in (readline.__doc__ or "")  # as on macOS
    readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
    return _open_history()


def _complete(prompt: Prompt, text: str, state: int) -> str | None:
    matches = [f":{name}" for name in prompt.commands if text and f":{name}".startswith(text)]
    return matches[state] if state < len(matches) else None


def _history_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "mt" / "translate_history"


def _open_history() -> Path | None:
    """Read the history of earlier prompts, and return its path; None if that is impossible."""
    import readline

    readline.set_history_length(_HISTORY_LINES)
    try:
        path = _history_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # it holds what a person had translated
        readline.read_history_file(path)
    except (OSError, RuntimeError) as error:  # the latter where there is no home directory
        print(f"(no history: {error})")
        return None
    return path


def _save_history(path: Path) -> None:
    import contextlib
    import readline

    with contextlib.suppress(OSError):  # said when it was opened
        readline.write_history_file(path)


def _positive(argument: str, example: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", argument) or int(argument) == 0:
        raise ValueError(
            f"{printable(argument)} is not a number from 1 to 9999; for example {example}"
        )
    return int(argument)
