"""The tokenizer: nothing is lost, nothing is unknown, nothing is trained twice."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from mt.choices import Normalization, TokenizerKind
from mt.config import TokenizerConfig
from mt.data.tokenizer import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    SAMPLED_SEGMENTATIONS,
    UNK_ID,
    Tokenizer,
    TokenizerPair,
    train_tokenizers,
)

NOUNS = [a + b for a in ("dog", "house", "tree", "bird", "stone") for b in ("", "s", "let", "like")]
VERBS = [a + b for a in ("see", "follow", "paint", "lift") for b in ("s", "ed", "ing")]
LINES = [
    f"the {a} {verb} {'a big' if i % 2 else 'every small'} {b}"
    for i, verb in enumerate(VERBS)
    for a, b in zip(NOUNS, NOUNS[i:] + NOUNS[:i], strict=True)
]
UNICODE = st.text(st.characters(codec="utf-8"), max_size=60)


def train(config: TokenizerConfig, cache: Path, tgt: list[str] | None = None) -> TokenizerPair:
    return train_tokenizers(LINES, LINES if tgt is None else tgt, config, cache_dir=cache)


@pytest.fixture(scope="module", params=list(TokenizerKind), ids=lambda kind: kind.name)
def tokenizer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Tokenizer:
    config = TokenizerConfig(kind=request.param, vocab_size=300)
    return train(config, tmp_path_factory.mktemp("tokenizer")).src


def test_special_ids_are_fixed(tokenizer: Tokenizer) -> None:
    assert tokenizer.pieces([PAD_ID, UNK_ID, BOS_ID, EOS_ID]) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert tokenizer.vocab_size == 300


@given(text=UNICODE)
def test_decode_undoes_encode_up_to_normalisation(tokenizer: Tokenizer, text: str) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    normal = processor.normalize(text).replace("▁", " ").removeprefix(" ")
    expected = "".join(" " if len(f"a{c}b".splitlines()) > 1 else c for c in normal)
    assert tokenizer.decode(tokenizer.encode([text])[0]) == expected


def test_normalisation_can_be_left_out(tmp_path: Path) -> None:
    texts = ["你好，世界！ 10\u00a0m² … ½", "１２時に会いましょう！"]
    lines = texts * 20 + LINES
    for kind, kept in ((Normalization.identity, True), (Normalization.nmt_nfkc, False)):
        config = TokenizerConfig(vocab_size=320, normalization=kind)
        [tokenizer, _] = train_tokenizers(lines, lines, config, cache_dir=tmp_path)
        back = [tokenizer.decode(ids) for ids in tokenizer.encode(texts)]
        assert (back == texts) == kept


@pytest.mark.parametrize("normalization", list(Normalization))
def test_blank_text_has_no_pieces(tmp_path: Path, normalization: Normalization) -> None:
    config = TokenizerConfig(vocab_size=300, normalization=normalization)
    [tokenizer, _] = train_tokenizers(LINES, LINES, config, cache_dir=tmp_path)
    blanks = ["", " ", "\t", "\u3000", " \xa0\u2028", "\r"]
    assert tokenizer.encode(blanks) == [[]] * len(blanks)


@given(text=st.text(max_size=60))
def test_no_special_id_for_any_text(tokenizer: Tokenizer, text: str) -> None:
    [ids] = tokenizer.encode([text])
    assert all(EOS_ID < i < tokenizer.vocab_size for i in ids)


@pytest.mark.parametrize("text", ["<unk>", "<s> </s>", "<pad>", "\ud800", "\x00", "😀", "<0x0A>"])
def test_no_special_id_for_awkward_text(tokenizer: Tokenizer, text: str) -> None:
    assert min(tokenizer.encode([f"a {text}"])[0]) > EOS_ID


@given(ids=st.lists(st.integers(0, 299), max_size=40))
def test_decode_of_any_ids_is_one_line(tokenizer: Tokenizer, ids: list[int]) -> None:
    assert len(tokenizer.decode(ids).splitlines()) <= 1


def test_decode_turns_line_breaks_into_spaces(tokenizer: Tokenizer) -> None:
    first_byte = EOS_ID + 1
    for line_break in ["\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"]:
        ids = [first_byte + byte for byte in f"a{line_break}b".encode()]
        assert tokenizer.decode(ids) == "a b"


def test_decode_skips_special_ids(tokenizer: Tokenizer) -> None:
    [ids] = tokenizer.encode(["the dog"])
    assert tokenizer.decode([BOS_ID, UNK_ID, *ids, EOS_ID, PAD_ID]) == "the dog"


def test_encode_keeps_order_over_many_threads(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mt.data.tokenizer.available_cores", lambda: 4)
    texts = [f"dog {i}" for i in range(3000)]
    assert tokenizer.encode(texts) == [tokenizer.encode([text])[0] for text in texts]


def test_encode_refuses_a_bare_string(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="list of sentences"):
        tokenizer.encode("the dog")


@pytest.fixture(scope="module")
def unigram(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train(TokenizerConfig(vocab_size=300), tmp_path_factory.mktemp("unigram")).src


def test_sample_is_a_function_of_the_seed(unigram: Tokenizer, tmp_path: Path) -> None:
    """Whatever was drawn before, and in whichever process."""
    one, two = (unigram.sample(LINES, alpha=0.3, seed=seed) for seed in (1, 2))
    assert len(one) == len(LINES) and one != two
    assert unigram.sample(LINES, alpha=0.3, seed=1) == one
    (tmp_path / "model").write_bytes(unigram.model)
    (tmp_path / "lines.json").write_text(json.dumps(LINES))
    program = (
        "import json, pathlib, sys; from mt.data.tokenizer import Tokenizer\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "tokenizer = Tokenizer((folder / 'model').read_bytes())\n"
        "lines = json.loads((folder / 'lines.json').read_text())\n"
        "print(tokenizer.sample(lines, alpha=0.3, seed=1))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(other.stdout) == one


def test_sample_spells_the_same_text(unigram: Tokenizer) -> None:
    drawn = {tuple(ids) for ids in unigram.sample(["big doglet"] * 100, alpha=0.3, seed=0)}
    assert len(drawn) > 1
    assert {unigram.decode(list(ids)) for ids in drawn} == {"big doglet"}


@given(text=UNICODE)
def test_a_sample_of_any_text_spells_it_without_special_ids(unigram: Tokenizer, text: str) -> None:
    [ids] = unigram.sample([text], alpha=0.1, seed=0)
    assert all(EOS_ID < i < unigram.vocab_size for i in ids)
    assert unigram.decode(ids) == unigram.decode(unigram.encode([text])[0])


def test_a_unigram_sample_follows_the_smoothed_probabilities(unigram: Tokenizer) -> None:
    alpha, n = 0.5, 4000
    processor = sentencepiece.SentencePieceProcessor(model_proto=unigram.model)
    candidates = processor.nbest_encode("big doglet", nbest_size=SAMPLED_SEGMENTATIONS)
    log_probs = np.array([sum(processor.get_score(i) for i in ids) for ids in candidates])
    expected = np.exp(alpha * log_probs) / np.exp(alpha * log_probs).sum()
    drawn = unigram.sample(["big doglet"] * n, alpha=alpha, seed=0)
    shares = np.array([drawn.count(ids) / n for ids in candidates])
    assert np.abs(shares - expected).max() < 5 * np.sqrt(0.25 / n)


def test_sample_of_nothing_is_nothing(unigram: Tokenizer) -> None:
    assert unigram.sample([""], alpha=0.1, seed=0) == [[]]
    assert unigram.sample([], alpha=0.1, seed=0) == []


@pytest.mark.parametrize("joint", [True, False])
def test_save_and_load(tmp_path: Path, joint: bool) -> None:
    pair = train(TokenizerConfig(vocab_size=300, joint=joint), tmp_path / "cache", LINES[::-2])
    run = tmp_path / "run"
    pair.save(run)
    loaded = TokenizerPair.load(run)
    names = {"tokenizer.model"} if joint else {"src.model", "tgt.model"}
    assert {path.name for path in run.iterdir()} == names
    assert pair.joint is loaded.joint is joint
    assert (loaded.src.model, loaded.tgt.model) == (pair.src.model, pair.tgt.model)


def test_separate_tokenizers_learn_their_own_side(tmp_path: Path) -> None:
    tgt = [line.upper() for line in LINES]
    pair = train(TokenizerConfig(vocab_size=300, joint=False), tmp_path, tgt)
    assert len(pair.src.encode(["house"])[0]) < len(pair.tgt.encode(["house"])[0])
    assert len(pair.tgt.encode(["HOUSE"])[0]) < len(pair.src.encode(["HOUSE"])[0])


def test_second_training_comes_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mt")
    first = train(TokenizerConfig(vocab_size=300), tmp_path)
    assert f"learning a vocabulary of 300 pieces from {2 * len(LINES):,} sentences" in caplog.text
    caplog.clear()

    def forbidden(**_: object) -> None:
        raise RuntimeError("trained again")

    monkeypatch.setattr(sentencepiece.SentencePieceTrainer, "train", forbidden)
    sampled = TokenizerConfig(vocab_size=300, sample_alpha=0.1)  # does not change the model
    assert train(sampled, tmp_path).src.model == first.src.model
    assert not caplog.text
    for changed in [
        lambda: train(TokenizerConfig(vocab_size=301), tmp_path),
        lambda: train(TokenizerConfig(vocab_size=300, kind=TokenizerKind.bpe), tmp_path),
        lambda: train(TokenizerConfig(vocab_size=300, character_coverage=0.99), tmp_path),
        lambda: train(TokenizerConfig(vocab_size=300), tmp_path, [*LINES, "one more"]),
    ]:
        with pytest.raises(ValueError, match=r"^sentencepiece could .*size=30\d: trained again"):
            changed()


@pytest.mark.parametrize(("coverage", "has_piece"), [(1.0, True), (0.99, False)])
def test_letters_beyond_the_coverage_are_bytes(
    tmp_path: Path, coverage: float, has_piece: bool
) -> None:
    config = TokenizerConfig(vocab_size=300, character_coverage=coverage)
    tokenizer = train(config, tmp_path, [*LINES, "the dog sees 世"]).tgt
    [ids] = tokenizer.encode(["世"])
    assert ("世" in tokenizer.pieces(ids)) == has_piece
    assert tokenizer.decode(ids) == "世"


def test_default_cache_is_below_xdg_cache_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    train_tokenizers(LINES, LINES, TokenizerConfig(vocab_size=300))
    assert len(list((tmp_path / "mt" / "tokenizers").glob("*.model"))) == 1


def test_damaged_cache_is_trained_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = train(TokenizerConfig(vocab_size=300), tmp_path)
    [cached] = tmp_path.glob("*.model")
    cached.write_bytes(first.src.model[:100])
    assert train(TokenizerConfig(vocab_size=300), tmp_path).src.model == first.src.model
    assert "anew" in caplog.text
    assert cached.read_bytes() == first.src.model


def test_where_nothing_can_be_kept_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    train(TokenizerConfig(vocab_size=300), tmp_path / "file" / "folder")
    assert "the tokenizer is not kept for another run (" in caplog.text
    assert "set XDG_CACHE_HOME" in caplog.text


@pytest.mark.parametrize("kind", list(TokenizerKind))
def test_too_large_vocabulary_names_the_largest(tmp_path: Path, kind: TokenizerKind) -> None:
    with pytest.raises(ValueError, match=r"vocab_size=5000 .* largest that works is \d+") as error:
        train(TokenizerConfig(vocab_size=5000, kind=kind), tmp_path)
    largest = int(str(error.value).split("works is ")[1].split(";")[0])
    config = TokenizerConfig(vocab_size=largest, kind=kind)
    assert train(config, tmp_path).src.vocab_size == largest
    with pytest.raises(ValueError, match="largest that works"):
        train(TokenizerConfig(vocab_size=largest + 1, kind=kind), tmp_path)


def test_too_small_vocabulary_names_the_smallest(tmp_path: Path) -> None:
    alphabet = ["".join(map(chr, range(0x4E00, 0x4E00 + 100)))]
    with pytest.raises(ValueError, match=r"smallest that works is \d+") as error:
        train(TokenizerConfig(vocab_size=300), tmp_path, alphabet)
    smallest = int(str(error.value).split("works is ")[1].split(";")[0])
    with pytest.raises(ValueError, match="smallest"):
        train(TokenizerConfig(vocab_size=smallest - 1), tmp_path, alphabet)


def test_of_two_vocabularies_the_side_that_does_not_fit_is_named(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrst"
    few = [" ".join(first + second for second in letters) for first in letters]
    many = ["".join(map(chr, range(0x4E00, 0x4E00 + 2000)))]
    for vocab_size, side, what in ((300, "targets", "smallest"), (2500, "sources", "largest")):
        config = TokenizerConfig(joint=False, vocab_size=vocab_size)
        message = f"^the {side}: .* the {what} that works is .* tokenizer.joint=true makes one for"
        with pytest.raises(ValueError, match=message):
            train_tokenizers(few, many, config, cache_dir=tmp_path)


def test_a_side_without_text_is_told_nothing_of_sizes(tmp_path: Path) -> None:
    config = TokenizerConfig(joint=False, vocab_size=300)
    with pytest.raises(ValueError, match=r"^the sources: .* no text to learn a vocabulary from$"):
        train_tokenizers(["", " "], ["ba"], config, cache_dir=tmp_path)


def test_advice_that_would_be_refused_is_not_given(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"gives only 2\d\d pieces, but the smallest vocabulary has 300"
    ):
        train_tokenizers(["ab ba"], ["ba"], TokenizerConfig(vocab_size=300), cache_dir=tmp_path)
    alphabet = ["".join(map(chr, range(0x4E00, 0x4E00 + 100)))]
    with pytest.raises(ValueError, match=r"vocab_size=\d+ or more, or .*coverage=0\.9995$"):
        train(TokenizerConfig(vocab_size=300), tmp_path, alphabet)
    with pytest.raises(ValueError, match=r"vocab_size=\d+ or more$"):
        train(TokenizerConfig(vocab_size=300, character_coverage=0.9995), tmp_path, alphabet)


@pytest.mark.parametrize("nothing", [[], ["", " "]])
def test_no_text_to_train_on(tmp_path: Path, nothing: list[str]) -> None:
    with pytest.raises(ValueError, match="no text"):
        train_tokenizers(nothing, nothing, TokenizerConfig(), cache_dir=tmp_path)


def test_long_lines_and_nul_take_part_in_training(tmp_path: Path) -> None:
    # Left alone, sentencepiece leaves out lines of more than 4192 bytes, and those with a NUL.
    long, nul = ["ŋ" * 3000], ["a\0đ"]
    tokenizer = train(TokenizerConfig(vocab_size=300), tmp_path, long + nul).src
    assert not any(
        piece.startswith("<0x") for piece in tokenizer.pieces(tokenizer.encode(["ŋđ"])[0])
    )


def test_of_a_very_long_line_the_beginning_takes_part(tmp_path: Path) -> None:
    # The whole of it would take sentencepiece a day.
    tokenizer = train(TokenizerConfig(vocab_size=300), tmp_path, ["x " * 4_000_000 + "ŋ"]).src
    assert "x" in "".join(tokenizer.pieces(tokenizer.encode(["x"])[0]))
    assert tokenizer.pieces(tokenizer.encode(["ŋ"])[0])[-1].startswith("<0x")


def test_very_many_sentences_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mt.data.tokenizer.MAX_TRAINING_SENTENCES", 50)
    many = [f"{line} {i}" for i in range(40) for line in LINES]
    seen: list[str] = []
    real = sentencepiece.SentencePieceTrainer.train

    def spy(*, sentence_iterator: object, **options: object) -> None:
        seen.extend(sentence_iterator)  # type: ignore[call-overload]
        real(sentence_iterator=iter(seen), **options)

    monkeypatch.setattr(sentencepiece.SentencePieceTrainer, "train", spy)
    train_tokenizers(many, many, TokenizerConfig(vocab_size=300), cache_dir=tmp_path)
    assert 50 < len(seen) <= 100
    assert set(seen) <= set(many)
    gaps = np.diff([many.index(text) for text in seen[: len(seen) // 2]])
    assert set(gaps) == {gaps[0]}
    assert many.index(seen[-1]) >= len(many) - gaps[0]


def test_training_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(TokenizerConfig(vocab_size=300), tmp_path)
    with pytest.raises(ValueError, match="largest"):
        train(TokenizerConfig(vocab_size=5000), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_loading_what_is_not_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no tokenizer"):
        TokenizerPair.load(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"tokenizer\.model: this is not a sentencepiece model"):
        TokenizerPair.load(tmp_path)


def test_a_foreign_model_is_refused() -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=model, vocab_size=60,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    message = r"pad, unk, bos, eos = \(-1, 0, 1, 2\); expected \(0, 1, 2, 3\): let mt-train"
    with pytest.raises(ValueError, match=message):
        Tokenizer(model.getvalue())
    with pytest.raises(ValueError, match="pad, unk, bos, eos"):
        Tokenizer(b"")
