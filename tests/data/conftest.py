"""What the tests of corpora share: private caches, a small corpus, a machine without network."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from toy_corpus import sentences

from mt.config import TokenizerConfig
from mt.data.tokenizer import TokenizerPair, train_tokenizers


@pytest.fixture(autouse=True)
def private_caches(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep every cache of a test to itself."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "xdg"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache / "datasets")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Make every connection and name look-up fail; return what was tried."""
    tried: list[object] = []

    def refuse(*args: object, **_: object) -> None:
        tried.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Return a function that writes a file below the test's folder."""

    def write_file(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write_file


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> TokenizerPair:
    """Return a joint unigram tokenizer of a small vocabulary."""
    config = TokenizerConfig(vocab_size=320)
    cache = tmp_path_factory.mktemp("tokenizers")
    return train_tokenizers(sentences(100), sentences(80), config, cache_dir=cache)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Return the folder of the real corpora, or skip."""
    folder = os.environ.get("MT_CORPORA")
    if not folder:
        pytest.skip("MT_CORPORA names no folder that holds multi30k/ and tatoeba/")
    return Path(folder)
