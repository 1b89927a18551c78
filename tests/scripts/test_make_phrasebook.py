"""The phrasebook's committed files and the command that makes them."""

import gzip
import hashlib
import re
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "phrasebook"
SCRIPT = ROOT / "scripts" / "make_phrasebook"
sys.path.insert(0, str(ROOT / "scripts"))

from phrasebook_grammar import corpus, english, nouns, verbs  # noqa: E402
from phrasebook_grammar.modifiers import ADJECTIVES  # noqa: E402

SPLITS = tuple(corpus.SIZES)
NOUN = {noun.en: noun for group in nouns.NOUNS.values() for noun in group}


def _read(name: str) -> list[str]:
    return gzip.decompress((FOLDER / f"{name}.gz").read_bytes()).decode("utf-8").splitlines()


@pytest.mark.slow
def test_the_grammar_makes_the_committed_files() -> None:
    made = corpus.render()
    assert sorted(made) == sorted(path.name for path in FOLDER.glob("*.gz"))
    for name, content in made.items():
        committed = (FOLDER / name).read_bytes()
        assert gzip.decompress(content) == gzip.decompress(committed), name
        if "ng" not in zlib.ZLIB_RUNTIME_VERSION:  # zlib-ng compresses otherwise
            assert content == committed, name


def test_the_readme_has_the_size_and_the_checksums() -> None:
    text = (ROOT / "data" / "README.md").read_text("utf-8")
    files = {path.name: path.read_bytes() for path in FOLDER.glob("*.gz")}
    sums = re.findall(r"^    ([0-9a-f]{64})  (\S+\.gz)$", text, re.M)
    assert {name: digest for digest, name in sums} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
    assert f"Size: {sum(map(len, files.values())):,} bytes" in text


def test_another_seed_makes_another_corpus() -> None:
    few = dict.fromkeys(SPLITS, 20)
    original, corpus.SIZES = corpus.SIZES, few
    try:
        assert corpus.render(1) == corpus.render(1)
        assert corpus.render(1) != corpus.render(2)
    finally:
        corpus.SIZES = original


def test_no_sentence_occurs_twice() -> None:
    for lang in ("en", "de"):
        lines = [line for split in SPLITS for line in _read(f"{split}.{lang}")]
        assert len(lines) == len(set(lines)) == sum(corpus.SIZES.values())


@pytest.mark.parametrize("split", SPLITS)
def test_alignments_cover_every_word(split: str) -> None:
    rows = list(zip(*(_read(f"{split}.{kind}") for kind in ("en", "de", "align")), strict=True))
    assert len(rows) == {"train": 20_000}.get(split, 500)
    for en, de, alignment in rows:
        links = [tuple(map(int, link.split("-"))) for link in alignment.split()]
        assert {i for i, _ in links} == set(range(len(en.split()))), en
        assert {j for _, j in links} == set(range(len(de.split()))), de


def test_lengths() -> None:
    lengths = {split: [len(line.split()) for line in _read(f"{split}.en")] for split in SPLITS}
    train = lengths["train"]
    assert min(train) >= 3 and max(train) <= 30
    assert 9 <= sum(train) / len(train) <= 11
    assert sum(n <= 17 for n in train) >= 0.95 * len(train)
    assert 0.02 <= sum(n >= 20 for n in train) / len(train) <= 0.05
    assert min(lengths["test_long"]) >= 20 and max(lengths["test_long"]) <= 30
    assert abs(sum(lengths["test"]) / 500 - sum(train) / len(train)) < 0.8


@pytest.mark.slow
def test_every_lemma_occurs_often_enough() -> None:
    lines = [{word.strip(".,?") for word in line.split()} for line in _read("train.en")]
    for noun in NOUN.values():
        forms = {noun.en, noun.en_plural, f"{noun.en}'s"}
        forms |= {form.capitalize() for form in forms}
        assert sum(bool(line & forms) for line in lines) >= 30, noun.en
    for verb in (*verbs.VERBS, *verbs.THAT_VERBS, *verbs.ASKING_VERBS, *verbs.TO_VERBS):
        base, particle = verb.en.base, set(verb.en.particle.split())
        forms = {base, english.third_person(base), verb.en.past, verb.en.participle}
        forms |= {english.gerund(base), base.capitalize()}
        assert sum(bool(line & forms) and particle <= line for line in lines) >= 30, verb.en
    for adjective in ADJECTIVES:
        assert sum(adjective.en in line for line in lines) >= 30, adjective.en


@pytest.mark.parametrize("lang", ["en", "de"])
def test_sentences_look_like_sentences(lang: str) -> None:
    for split in SPLITS:
        for line in _read(f"{split}.{lang}"):
            assert line[0].isupper() and line[-1] in ".?" and "  " not in line, line
            assert ",," not in line and " ," not in line and ",." not in line, line


def test_the_command_writes_checks_and_complains(
    tmp_path: Path,
    run_here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(corpus, "SIZES", dict.fromkeys(SPLITS, 10))
    folder = tmp_path / "new"
    assert run_here(SCRIPT, folder, "--check") == 1
    assert "train.en.gz differs from what the grammar makes" in capsys.readouterr().err
    assert run_here(SCRIPT, folder) == 0
    assert "12 files" in capsys.readouterr().out
    assert run_here(SCRIPT, folder, "--check") == 0
    (tmp_path / "file").touch()
    assert run_here(SCRIPT, tmp_path / "file") == 1
    assert "cannot write to" in capsys.readouterr().err
