"""Find the files of a corpus: in a local folder, among what comes with mt, or at a public home."""

import hashlib
import http.client
import logging
import os
import shutil
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

from mt.choices import Format
from mt.config import DataConfig
from mt.data.cache import cache_dir, whole_file
from mt.data.reading import ROOT_OPTION, CorpusFile

_EMBEDDED = "embedded:"
_TIMEOUT = 30.0  # seconds without a byte

_log = logging.getLogger(__name__)


def locate(config: DataConfig, split: str) -> list[CorpusFile]:
    """Find the files that hold a split, downloading what is neither local nor cached.

    Args:
        config: `root` takes the place of `home`; with neither, the current folder does.
        split: The split by the name that it has in the file names.

    Returns:
        The source and the target file of the format `text`; of any other the one file.

    Raises:
        FileNotFoundError: A file is neither here nor to be fetched; the message says what to do.
        ValueError: `data.path` or `data.member` has a placeholder that means nothing.
    """
    languages = [config.src, config.tgt] if config.format is Format.text else [""]
    if config.format is Format.text and "{lang}" not in config.path + (config.member or ""):
        raise ValueError(f"data.path={config.path}: two text files differ by {{lang}}; write it in")
    names = [
        CorpusFile(
            Path(_fill(config, "path", config.path, split=split, lang=lang)),
            config.member and _fill(config, "member", config.member, split=split, lang=lang),
        )
        for lang in languages
    ]
    return _find_or_fetch(config, names)


def locate_alignment(config: DataConfig, split: str) -> CorpusFile | None:
    """Find the file with a split's gold word alignments; None where the corpus has none.

    Raises:
        FileNotFoundError, ValueError: As in `locate`.
    """
    name = alignment_name(config, split)
    if name is None:
        return None
    [file] = _find_or_fetch(config, [CorpusFile(name)])
    return file


def alignment_name(config: DataConfig, split: str) -> Path | None:
    """Return the name that `data.alignment` gives the file of a split, if it gives one.

    Raises:
        ValueError: It has a placeholder that means nothing.
    """
    if config.alignment is None:
        return None
    return Path(_fill(config, "alignment", config.alignment, split=split, lang=""))


def real_root(root: str | None) -> str | None:
    """Return the absolute path that `data.root` stands for, links followed; None for none."""
    return None if root is None else os.path.realpath(os.path.expanduser(root))


def _find_or_fetch(config: DataConfig, names: list[CorpusFile]) -> list[CorpusFile]:
    if _is_remote(config):
        return [_download(config, name, names) for name in names]
    return [_find(config, name) for name in names]


def embedded_dir(name: str) -> Path:
    """Return the folder of a corpus that comes with mt.

    Raises:
        FileNotFoundError: None has that name; the message lists those that there are.
    """
    package = Path(__file__).resolve().parents[1]
    places = [package / "_data", package.parent / "data"]  # in a wheel; in a checkout
    for place in places:
        if (place / name).is_dir():
            return place / name
    found = sorted(path.name for place in places for path in place.glob("*") if path.is_dir())
    raise FileNotFoundError(
        f"no corpus {name!r} comes with mt; there are: {', '.join(found) or 'none'}"
    )


def _is_remote(config: DataConfig) -> bool:
    return config.root is None and "://" in config.home


def _fill(config: DataConfig, option: str, pattern: str, *, split: str, lang: str) -> str:
    try:
        filled = pattern.format(split=split, lang=lang, src=config.src, tgt=config.tgt)
        return filled if _is_remote(config) else os.path.expanduser(filled)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError):
        raise ValueError(
            f"data.{option}={pattern}: expected in braces: {{split}}, {{lang}}, {{src}} and {{tgt}}"
        ) from None


def _find(config: DataConfig, name: CorpusFile) -> CorpusFile:
    if config.root is not None:
        folder, origin = Path(os.path.expanduser(config.root)), f"data.root={config.root}"
    elif config.home.startswith(_EMBEDDED):
        folder = embedded_dir(config.home.removeprefix(_EMBEDDED))
        origin = f"data.home={config.home} ({folder})"
    else:
        folder = Path(os.path.expanduser(config.home))
        origin = f"data.home={config.home}" if config.home else f"the current folder ({Path.cwd()})"
    alternatives = _alternatives(name)
    for alternative in alternatives:
        if (folder / alternative.path).is_file():
            return CorpusFile(folder / alternative.path, alternative.member)
    raise FileNotFoundError(
        f"{origin} has no {' or '.join(str(a.path) for a in alternatives)}: "
        "put the file there, or name the folder that holds it by data.root=DIR, in mt-evaluate and "
        "mt-compare by --data-root DIR (data.path and data.alignment say how files are named)"
    )


def _alternatives(name: CorpusFile) -> list[CorpusFile]:
    path = name.path
    if name.member is not None:
        return [name, CorpusFile(path.parent / name.member)]  # unpacked
    if path.suffix == ".gz":
        return [name, CorpusFile(path.with_suffix(""))]
    return [name, CorpusFile(path.with_name(path.name + ".gz"))]


def _download(config: DataConfig, name: CorpusFile, names: list[CorpusFile]) -> CorpusFile:
    url = f"{config.home.rstrip('/')}/{name.path}"
    key = hashlib.blake2b(url.encode("utf-8"), digest_size=8).hexdigest()
    local = cache_dir("corpora") / key / name.path.name
    if local.is_file():
        return CorpusFile(local, name.member)
    try:
        _fetch(url, local)
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
        reason = " ".join(str(cause).split()) or type(error).__name__
        wanted = " and ".join(str(each.path) for each in names)
        others = ", and likewise the other splits," if "{split}" in config.path else ""
        raise FileNotFoundError(
            f"cannot fetch {url} ({reason}): put {wanted}{others} into a folder DIR "
            f"and set {ROOT_OPTION}"
        ) from None
    return CorpusFile(local, name.member)


def _fetch(url: str, path: Path) -> None:
    """Download a file, whole or not at all."""
    _log.info("fetching %s", url)
    request = urllib.request.Request(url, headers={"User-Agent": "mt"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response, whole_file(path) as file:
        shutil.copyfileobj(response, file)
        wanted = response.headers.get("Content-Length")
        if wanted is not None and file.tell() != int(wanted):
            raise OSError(f"only {file.tell()} of {wanted} bytes came")
