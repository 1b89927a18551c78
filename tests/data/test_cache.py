"""Files of the cache and of run directories: whole or absent, with the user's own permissions."""

import os
from pathlib import Path

import pytest

from mt.data.cache import cache_dir, whole_file


def test_a_file_that_ended_well_is_there_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    before = os.umask(0o027)
    try:
        with whole_file(path) as file:
            file.write(b"all of it")
            assert not path.exists()
    finally:
        os.umask(before)
    assert path.read_bytes() == b"all of it"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [other.name for other in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("failure", [OSError("the disk is full"), KeyboardInterrupt()])
def test_a_file_that_did_not_leaves_what_was_there(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(failure)), whole_file(path) as file:
        file.write(b"half")
        raise failure
    assert path.read_bytes() == b"old"
    assert [other.name for other in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_what_fails_only_when_it_is_closed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_full(self: Path, mode: str) -> object:
        self.touch()
        return open("/dev/full", "wb")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        with pytest.raises(OSError, match="No space left"), whole_file(tmp_path / "file") as file:
            file.write(b"few bytes, which wait in the buffer")
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir("x") == tmp_path / "mt" / "x"
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(OSError, match=r"no home directory for caches: set XDG_CACHE_HOME, and HF"):
        cache_dir("x")
