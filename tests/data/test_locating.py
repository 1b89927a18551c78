"""Finding files: local copies first, no needless request, and advice where there is neither."""

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt.choices import Format
from mt.config import DataConfig
from mt.data.locating import embedded_dir, locate, locate_alignment
from mt.data.reading import CorpusFile


def config(**options: object) -> DataConfig:
    given = {"name": "toy", "src": "en", "tgt": "de", "path": "{split}.{lang}.gz", **options}
    return DataConfig(**given)  # type: ignore[arg-type]


class Server:
    """A public home on this machine."""

    def __init__(self, folder: Path) -> None:
        requests = self.requests = []  # type: ignore[var-annotated]

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                requests.append(self.path)
                if "cut" not in self.path:
                    return super().do_GET()
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"short")

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "home" / "raw").mkdir(parents=True)
    for language in ("en", "de"):
        (tmp_path / "home" / "raw" / f"train.{language}.gz").write_bytes(language.encode())
    server = Server(tmp_path / "home")
    yield server
    server.stop()


@pytest.mark.parametrize("path", ["{split}.{lang}", "{split}.{lang}.gz"])
@pytest.mark.parametrize("stored", ["train.en", "train.en.gz"])
def test_root_accepts_plain_and_gzip(tmp_path: Path, path: str, stored: str) -> None:
    (tmp_path / stored).touch()
    (tmp_path / "train.de").touch()
    files = locate(config(root=str(tmp_path), path=path), "train")
    assert files == [CorpusFile(tmp_path / stored), CorpusFile(tmp_path / "train.de")]


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("train.en", "train.de", "train.links"):
        (tmp_path / name).touch()
    names = {"path": "~/{split}.{lang}", "alignment": "~/{split}.links"}
    options = config(home="", alignment_src="en", **names)
    assert [file.path for file in locate(options, "train")] == [
        tmp_path / "train.en", tmp_path / "train.de",
    ]  # fmt: skip
    assert locate_alignment(options, "train") == CorpusFile(tmp_path / "train.links")


def test_the_path_as_given_comes_first(tmp_path: Path) -> None:
    for name in ("train.en", "train.en.gz", "train.de"):
        (tmp_path / name).touch()
    assert locate(config(root=str(tmp_path)), "train")[0].path.name == "train.en.gz"


def test_patterns_are_filled_in(tmp_path: Path) -> None:
    (tmp_path / "de-en").mkdir()
    for name in ("de-en/dev.de", "de-en/dev.en"):
        (tmp_path / name).touch()
    options = config(src="de", tgt="en", root=str(tmp_path), path="{src}-{tgt}/{split}.{lang}")
    assert [file.path.name for file in locate(options, "dev")] == ["dev.de", "dev.en"]


def test_archive_or_its_unpacked_member(tmp_path: Path) -> None:
    options = config(root=str(tmp_path), format=Format.tsv, path="deu-eng.zip", member="deu.txt")
    with pytest.raises(FileNotFoundError, match=r"has no deu-eng\.zip or deu\.txt"):
        locate(options, "train")
    (tmp_path / "deu.txt").touch()
    assert locate(options, "train") == [CorpusFile(tmp_path / "deu.txt")]
    (tmp_path / "deu-eng.zip").touch()
    assert locate(options, "train") == [CorpusFile(tmp_path / "deu-eng.zip", "deu.txt")]


def test_missing_file_in_root_says_what_and_where(tmp_path: Path) -> None:
    message = (
        f"data.root={re.escape(str(tmp_path))} has no train.en.gz or train.en: .*data.root=DIR"
    )
    with pytest.raises(FileNotFoundError, match=message):
        locate(config(root=str(tmp_path), home="http://example.invalid/"), "train")


def test_without_root_and_home_the_current_folder_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"the current folder .* has no train"):
        locate(config(), "train")
    (tmp_path / "train.en").touch()
    (tmp_path / "train.de").touch()
    assert [file.path.name for file in locate(config(), "train")] == ["train.en", "train.de"]


@pytest.mark.parametrize(
    "pattern", ["{split}.{language}", "{split}.{}", "{split", "{split.x}", "{split[x]}"]
)
@pytest.mark.parametrize("option", ["path", "member", "alignment"])
def test_unknown_placeholder(option: str, pattern: str) -> None:
    options = config(alignment_src="en", format=Format.tsv, **{option: pattern})
    find = locate_alignment if option == "alignment" else locate
    message = rf"data\.{option}=.*expected in braces: \{{split\}}, \{{lang\}}"
    with pytest.raises(ValueError, match=message):
        find(options, "train")


@pytest.mark.parametrize("home", ["{folder}", "embedded:phrasebook"])
def test_a_home_without_the_file_is_named(tmp_path: Path, home: str) -> None:
    home = home.format(folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"^data\.home={home}.* has no news"):
        locate(config(home=home, path="news.{lang}"), "train")


def test_text_needs_a_file_for_each_language() -> None:
    with pytest.raises(ValueError, match=r"two text files differ by \{lang\}"):
        locate(config(path="{split}.txt"), "train")


def test_embedded_corpus_comes_along() -> None:
    files = locate(config(home="embedded:phrasebook"), "valid")
    assert [file.path.name for file in files] == ["valid.en.gz", "valid.de.gz"]
    assert files[0].path.parent == embedded_dir("phrasebook")


def test_unknown_embedded_corpus_lists_those_there_are() -> None:
    with pytest.raises(FileNotFoundError, match=r"no corpus 'phrases' .* there are: .*phrasebook"):
        embedded_dir("phrases")


def test_download_once(server: Server) -> None:
    options = config(home=f"{server.url}/raw/")
    first = locate(options, "train")
    assert [file.path.read_bytes() for file in first] == [b"en", b"de"]
    assert locate(options, "train") == first
    assert server.requests == ["/raw/train.en.gz", "/raw/train.de.gz"]


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path, server: Server) -> None:
    (tmp_path / "home" / "other").mkdir()
    for language in ("en", "de"):
        (tmp_path / "home" / "other" / f"train.{language}.gz").write_bytes(b"another")
    found = [
        [file.path.read_bytes() for file in locate(options, "train")]
        for options in (
            config(home=server.url, path=f"{folder}/{{split}}.{{lang}}.gz")
            for folder in ("raw", "other")
        )
    ]
    assert found == [[b"en", b"de"], [b"another", b"another"]]


def test_a_cut_download_is_not_kept(server: Server) -> None:
    options = config(home=server.url, path="cut.{lang}")
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="only 5 of 1000 bytes came"):
            locate(options, "train")


def test_not_found_at_home(server: Server) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot fetch http.*/dev.en.gz \(HTTP Error 404"):
        locate(config(home=server.url), "dev")


def test_offline_says_what_where_and_how(no_network: list[object]) -> None:
    with pytest.raises(FileNotFoundError) as error:
        locate(config(home="https://example.org/raw"), "train")
    assert no_network
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(
        "cannot fetch https://example.org/raw/train.en.gz (no network in this"
    )
    assert "put train.en.gz and train.de.gz" in message
    assert "set data.root=DIR (in mt-evaluate and mt-compare: --data-root DIR)" in message


def test_root_and_cache_touch_no_network(
    tmp_path: Path, server: Server, request: pytest.FixtureRequest
) -> None:
    online = config(home=f"{server.url}/raw")
    cached = locate(online, "train")
    tried = request.getfixturevalue("no_network")
    assert locate(online, "train") == cached
    local = config(home=f"{server.url}/raw", root=str(tmp_path / "home" / "raw"))
    assert [file.path.name for file in locate(local, "train")] == ["train.en.gz", "train.de.gz"]
    assert tried == []
