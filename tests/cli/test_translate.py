"""`mt-translate` as a filter: what goes in, what comes out, and how it ends."""

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import unittest.mock
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tiny_run import tiny_corpus

from mt.cli.filter import LineReader, SearchOptions, decode_line, translate_stream
from mt.cli.render import OutputFormat
from mt.cli.translate import main
from mt.decoding import search_ids
from mt.translator import Translator

_SENTENCES = [source for source, _ in tiny_corpus()["test"]]
_COMMAND = [sys.executable, "-m", "mt.cli.translate"]
_TIMEOUT = 60  # seconds; a loaded machine imports torch slowly


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        assert self.out == "" or self.out.endswith("\n")
        return self.out.split("\n")[:-1]


@pytest.fixture
def run(
    attention_run: Path, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> Iterator[Callable[..., Outcome]]:
    """Run the command in this process, with real file descriptors."""
    saved = os.dup(0)

    def call(*arguments: str, stdin: bytes = b"", path: Path = attention_run) -> Outcome:
        source = tmp_path / "stdin"
        source.write_bytes(stdin)
        with source.open("rb") as file:
            os.dup2(file.fileno(), 0)
        try:
            code = main([str(path), *arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return Outcome(code, captured.out.decode("utf-8"), captured.err.decode("utf-8"))

    yield call
    os.dup2(saved, 0)
    os.close(saved)


@pytest.fixture(scope="module")
def translator(attention_run: Path) -> Translator:
    return Translator.from_run(attention_run, device="cpu")


def test_one_line_out_per_line_in(run: Callable[..., Outcome], translator: Translator) -> None:
    lines = [_SENTENCES[0], "", _SENTENCES[1], "   ", _SENTENCES[2]]
    outcome = run(stdin="\n".join(lines).encode() + b"\n")
    assert outcome.lines == [translation.text for translation in translator.translate(lines)]
    assert outcome.lines[1] == outcome.lines[3] == ""
    assert (outcome.code, outcome.err) == (0, "")


def test_the_precision_is_that_of_the_model(run: Callable[..., Outcome]) -> None:
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as spy:
            assert run(f"--precision={precision}", stdin=b"bado\n").code == 0
        models = spy.call_args.args[0]
        assert {parameter.dtype for parameter in models[0].parameters()} == {dtype}


def test_no_input_gives_no_output(run: Callable[..., Outcome]) -> None:
    assert run(stdin=b"") == (0, "", "")


def test_a_last_line_without_its_end_is_translated(run: Callable[..., Outcome]) -> None:
    ended, open_ended = (run(stdin=b"bado fena\ngilo huka" + end) for end in (b"\n", b""))
    assert ended.out == open_ended.out
    assert len(ended.lines) == 2


def test_hard_lines_get_one_line_each_and_never_end_it(
    run: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("mt.translator.MAX_PIECES", 50)
    hard = [
        b"bado \xff\xfe fena",
        b"bado \x00 fena",
        "bado 🙂👩‍👩‍👧 fena".encode(),
        "bado \u2028\u2029\x85\x0b\x0c\x1c fena".encode(),
        b"bado fena\r",
        b"\r",
        b"bado " * 20_000,
        b"x" * 100_000,
        "\ufeff日本語 العربية e\u0301".encode(),
        b"\t\x01\x7f",
    ]
    outcome = run("--beam-size=1", stdin=b"\n".join([*hard, b"bado fena"]) + b"\n")
    assert outcome.code == 0
    assert len(outcome.lines) == len(hard) + 1
    assert all(len(line.splitlines()) <= 1 for line in outcome.lines)
    assert outcome.lines[5] == ""
    assert outcome.lines[4] == outcome.lines[-1]
    assert caplog.text.count("not UTF-8") == 1
    assert "line 1: not UTF-8 at byte 6, replaced by U+FFFD" in caplog.text
    assert caplog.text.count("is cut to its first 50") == 2


def test_what_windows_adds_to_lines_is_no_part_of_the_source(run: Callable[..., Outcome]) -> None:
    outcome = run("--format=json", stdin="\ufeffbado\r\n\r\nfena\r\n".encode())
    assert [json.loads(line)["source"] for line in outcome.lines] == ["bado", "", "fena"]


def test_a_line_that_is_not_utf8_is_named_by_its_place_in_all_of_the_input(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mt.cli.filter.LINES_AT_ONCE", 2)
    assert run(stdin=b"bado\nfena\nbado\nfena \xff\n").code == 0
    assert caplog.messages == ["line 4: not UTF-8 at byte 6, replaced by U+FFFD"]
    assert decode_line(b"\xef\xbb\xbfbado \xff", 1) == "bado \ufffd"
    assert caplog.messages[1] == "line 1: not UTF-8 at byte 9, replaced by U+FFFD"  # of the file


def test_the_device_reaches_the_translator(run: Callable[..., Outcome]) -> None:
    with unittest.mock.patch.object(Translator, "from_run", side_effect=ValueError) as spy:
        assert run("--device=cpu", "--checkpoint=last", stdin=b"").code == 1
    assert spy.call_args.kwargs == {"checkpoint": "last", "device": "cpu", "precision": "fp32"}


def test_scores_and_alignments_are_columns(run: Callable[..., Outcome]) -> None:
    text = "\n".join(_SENTENCES[:5]).encode() + b"\n\n"
    plain = run(stdin=text).lines
    rows = [line.split("\t") for line in run("--scores", "--alignments", stdin=text).lines]
    assert [row[0] for row in rows] == plain
    assert all(float(row[1]) < 0 for row in rows[:-1])
    assert rows[-1] == ["", "0.0000", ""]
    for source, row in zip(_SENTENCES, rows[:-1], strict=False):
        links = [tuple(map(int, link.split("-"))) for link in row[2].split()]
        assert [target for _, target in sorted(links, key=lambda link: link[1])] == list(
            range(len(row[0].split()))
        )
        assert all(link[0] < len(source.split()) for link in links)


def test_n_best_is_written_as_moses_does(run: Callable[..., Outcome]) -> None:
    text = "\n".join(_SENTENCES[:3]).encode()
    rows = [line.split(" ||| ") for line in run("--n-best", "6", stdin=text).lines]
    numbers = [int(row[0]) for row in rows]
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1, 2}
    first = [row for row in rows if row[0] == "0"]
    assert 1 < len(first) <= 6
    assert [float(row[2]) for row in first] == sorted(float(row[2]) for row in first)[::-1]
    aligned = run("--n-best", "2", "--alignments", stdin=text).lines[0].split(" ||| ")
    assert len(aligned) == 4
    assert "-" in aligned[3]


def test_a_blank_line_keeps_its_number_in_n_best(run: Callable[..., Outcome]) -> None:
    rows = run("--n-best", "2", stdin=b"\nbado\n").lines
    assert rows[0] == "0 |||  ||| 0.0000"
    assert rows[1].startswith("1 ||| ")


def test_json_has_one_object_per_line(run: Callable[..., Outcome], translator: Translator) -> None:
    text = (_SENTENCES[0] + "\n\nbado\u2028fena\n").encode()
    outcome = run("--format", "json", stdin=text)
    records = [json.loads(line) for line in outcome.out.splitlines()]
    assert len(records) == 3
    keys = {"source", "source_tokens", "text", "score", "log_prob", "tokens", "links"}
    assert all(set(record) == keys for record in records)
    assert [record["source"] for record in records] == [_SENTENCES[0], "", "bado\u2028fena"]
    assert len(records[0]["links"]) == len(records[0]["text"].split())
    [expected] = translator.translate([_SENTENCES[0]])
    for name in ("text", "tokens", "source_tokens"):
        assert records[0][name] == getattr(expected, name)
    for name in ("score", "log_prob"):
        assert records[0][name] == pytest.approx(getattr(expected, name), rel=1e-4)
    assert expected.score != pytest.approx(expected.log_prob, rel=1e-2)
    [full] = [
        json.loads(line)
        for line in run("--format=json", "--alignments", stdin=_SENTENCES[0].encode()).lines
    ]
    assert len(full["alignment"]) == len(full["tokens"])
    several = json.loads(run("--format=json", "--n-best=3", stdin=b"bado\n").lines[0])
    assert [set(one) for one in several["n_best"]] == [keys - {"source", "source_tokens"}] * 3


def test_the_options_reach_the_search(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    options = ["--beam-size=2", "--length-penalty=0.3", "--batch-size=3", "--threads=7"]
    with unittest.mock.patch("mt.translator.search_ids", wraps=search_ids) as spy:
        assert len(run(*options, "--n-best=2", stdin=b"bado\nfena\n").lines) == 4
    search = spy.call_args.args[2]
    assert (search.beam_size, search.length_penalty, search.batch_size) == (2, 0.3, 3)
    assert threads[0] == 7


def test_several_runs_translate_together(
    run: Callable[..., Outcome], attention_run: Path, baseline_run: Path
) -> None:
    text = "\n".join(_SENTENCES).encode()
    lines = run(str(baseline_run), "--scores", stdin=text).lines
    together = Translator.from_run(attention_run, baseline_run, device="cpu")
    expected = [f"{one.text}\t{one.score:.4f}" for one in together.translate(_SENTENCES)]
    assert lines == expected
    assert lines != run("--scores", stdin=text).lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--beam-size", "0"], "--beam-size: 0: expected a whole number, 1 or more"),
        (["--n-best", "many"], "--n-best: many: expected a whole number, 1 or more"),
        (["--length-penalty", "-1"], "--length-penalty: -1: expected a number from 0 to 10"),
        (["--length-penalty", "nan"], "--length-penalty: nan: expected a number from 0 to 10"),
        (["--n-best=5", "--beam-size=2"], "--n-best 5 needs --beam-size 5 or more, not 2"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--beam", "3", "--bogus"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_exits_with_2(
    run: Callable[..., Outcome], arguments: list[str], message: str
) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "averaged"], "averaged"),
        (["--checkpoint", "nowhere.pt"], "nowhere.pt"),
    ],
)
def test_a_missing_checkpoint_is_one_line_and_exits_with_1(
    run: Callable[..., Outcome], arguments: list[str], message: str
) -> None:
    outcome = run(*arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("mt-translate: error: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


def test_a_wrong_directory_is_one_line_and_exits_with_1(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        outcome = run(path=path)
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err.count("\n") == 1
        assert f"{path} is not a run directory" in outcome.err


def test_alignments_of_a_model_without_attention_are_refused(
    run: Callable[..., Outcome], baseline_run: Path
) -> None:
    outcome = run("--alignments", stdin=b"bado\n", path=baseline_run)
    assert (outcome.code, outcome.out) == (1, "")
    assert "has no attention (model.decoder=fixed_context)" in outcome.err
    assert run(stdin=b"bado\n", path=baseline_run).code == 0
    record = json.loads(run("--format=json", stdin=b"bado\n", path=baseline_run).out)
    assert record["links"] is None
    assert json.loads(run("--format=json", stdin=b"\n", path=baseline_run).out)["links"] is None


@pytest.mark.parametrize(
    "message",
    ["DefaultCPUAllocator: can't allocate memory", "CUDA out of memory. Tried to allocate 2 GiB"],
)
def test_out_of_memory_says_what_to_change(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr("mt.translator.search_ids", fail)
    outcome = run(stdin=b"bado\n")
    assert outcome.code == 1
    assert (
        outcome.err == "mt-translate: error: out of memory: lower the batch size or the beam size\n"
    )


def test_lines_are_split_at_line_feeds_alone() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a\r\nb\x0bc\x85\n\n" + "d\u2028e".encode())
    os.close(writing)
    reader = LineReader(reading)
    assert reader.read() == [b"a\r", b"b\x0bc\x85", b"", "d\u2028e".encode()]
    assert reader.read() == reader.read() == []
    os.close(reading)


def test_what_has_arrived_is_read_without_waiting_for_more() -> None:
    reading, writing = os.pipe()
    reader = LineReader(reading)
    os.write(writing, b"a\nb\nhal")
    assert reader.read() == [b"a", b"b"]
    os.write(writing, b"f\n")
    assert reader.read() == [b"half"]
    os.close(writing)
    os.close(reading)


def test_a_go_is_bounded_in_lines_and_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"x" * 1_000_000 + b"\n" + b"y" * 300_000 + b"\nz" * 700)
    with path.open("rb") as file:
        reader = LineReader(file.fileno())
        goes = [reader.read() for _ in range(5)]
    assert [len(lines) for lines in goes] == [1, 1, 512, 188, 0]
    assert [len(lines[0]) for lines in goes[:3]] == [1_000_000, 300_000, 1]


def test_more_lines_than_one_batch_stay_in_order(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mt.cli.filter.LINES_AT_ONCE", 7)
    path = tmp_path / "lines"
    path.write_text("\n".join(_SENTENCES), encoding="utf-8")
    written = tmp_path / "written"
    with path.open("rb") as file, written.open("wb", buffering=0) as output:
        translate_stream(
            translator,
            descriptor=file.fileno(),
            output=output,
            form=OutputFormat(n_best=2),
            options=SearchOptions(),
        )
    rows = written.read_text(encoding="utf-8").split("\n")[:-1]
    best = [row.split(" ||| ")[1] for row in rows[::2]]
    assert [int(row.split(" ||| ")[0]) for row in rows[::2]] == list(range(len(_SENTENCES)))
    assert best == [translation.text for translation in translator.translate(_SENTENCES)]


def test_a_line_is_answered_at_once_and_ctrl_c_is_quiet(attention_run: Path) -> None:
    process = subprocess.Popen(
        [*_COMMAND, str(attention_run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None and process.stdout is not None
        for sentence in _SENTENCES[:2]:  # the input stays open: only flushing gets an answer out
            process.stdin.write(sentence.encode() + b"\n")
            process.stdin.flush()
            assert select.select([process.stdout], [], [], _TIMEOUT)[0], "no answer"
            assert process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=_TIMEOUT)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_a_closed_pipe_is_quiet(attention_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "many"
    # The translations are more than a pipe holds.
    path.write_text("bado fena gilo huka jemo kira\n" * 3000, encoding="utf-8")
    command = shlex.join([*_COMMAND, str(attention_run), "--beam-size=1", "--threads=1"])
    piped = f"{command} < {shlex.quote(str(path))} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", piped],
        capture_output=True,
        timeout=_TIMEOUT,
        check=False,
    )
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""
    assert done.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line_and_exits_with_1(attention_run: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*_COMMAND, str(attention_run)],
            input=b"bado\n",
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"mt-translate: error: [Errno 28] No space left on device\n"


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys\nfrom mt.cli.translate import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=_TIMEOUT, check=True
    )
    assert "--n-best" in done.stdout
    assert done.stdout.endswith("False False\n")


def test_translating_loads_nothing_of_training(attention_run: Path) -> None:
    code = (
        "import sys\nfrom mt.cli.translate import main\n"
        f"main([{str(attention_run)!r}])\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"bado \xff\n",
        capture_output=True,
        timeout=_TIMEOUT,
        check=True,
    )
    assert done.stderr == b"mt-translate: line 1: not UTF-8 at byte 6, replaced by U+FFFD\n"
    loaded = set(done.stdout.decode().split("\n")[-2].split())
    assert "torch" in loaded
    assert not loaded & {"hydra", "datasets", "tensorboard", "matplotlib", "sacrebleu"}
