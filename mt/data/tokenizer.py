"""Subword tokenizers: train, cache, load, encode, decode and sample with sentencepiece.

The four special ids are fixed here for the whole project. Unigram models follow Kudo 2018,
"Subword Regularization", and BPE models Sennrich et al. 2016, "Neural Machine Translation of Rare
Words with Subword Units". Characters that no piece covers are spelled in UTF-8 bytes, so that the
unknown id never comes out of `encode`.
"""

import hashlib
import io
import logging
import math
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import sentencepiece

from mt.config import SMALLEST_VOCABULARY, TokenizerConfig, to_plain
from mt.cores import available_cores
from mt.data.cache import cache_dir as default_cache_dir
from mt.data.cache import whole_file

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3

MAX_TRAINING_SENTENCES = 1_000_000
"""The most sentences of a side that train the vocabulary; of a larger corpus, every n-th does."""

_LONGEST_LINE = 10_000  # characters of a sentence that train the vocabulary

SAMPLED_SEGMENTATIONS = 64
"""Subword regularisation draws from so many best segmentations: `l` of Kudo 2018, section 3.3."""

# Everything that str.splitlines takes for the end of a line: a translation must stay on one line.
_LINE_BREAKS = dict.fromkeys(map(ord, "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SENTENCES_PER_THREAD = 500
_USUAL_COVERAGE = 0.9995  # sentencepiece's advice for scripts of many characters

_log = logging.getLogger(__name__)


class Tokenizer:
    """One sentencepiece model.

    Args:
        model: The serialised model, as in the attribute of that name.

    Raises:
        ValueError: The bytes are no sentencepiece model, or one with other special ids.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError(f"this is not a sentencepiece model: {error}") from None
        processor = self._processor
        special = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
        if special != (PAD_ID, UNK_ID, BOS_ID, EOS_ID):
            raise ValueError(
                f"the sentencepiece model has pad, unk, bos, eos = {special}; expected "
                f"{(PAD_ID, UNK_ID, BOS_ID, EOS_ID)}: let mt-train make the model"
            )

    @property
    def vocab_size(self) -> int:
        """The number of pieces, the special symbols included."""
        return int(self._processor.get_piece_size())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode sentences without BOS and EOS; a blank one has no ids, and UNK never occurs.

        Raises:
            ValueError: `texts` is one bare string.
        """
        if isinstance(texts, str):
            raise ValueError("encode takes a list of sentences, not one str: write [sentence]")
        valid = [without_surrogates(text) if text.strip() else "" for text in texts]
        threads = min(available_cores(), len(valid) // _SENTENCES_PER_THREAD)
        if threads <= 1:
            return [self._processor.encode(text) for text in valid]
        encoded: list[list[int]] = self._processor.encode(valid, num_threads=threads)
        return encoded

    def decode(self, ids: list[int]) -> str:
        """Decode one sentence; special ids are skipped, line breaks of any kind become spaces."""
        text: str = self._processor.decode([int(i) for i in ids if i > EOS_ID])
        return text.translate(_LINE_BREAKS)

    def pieces(self, ids: list[int]) -> list[str]:
        """Return the piece of each id, such as `▁house`, `s` or `<0xE2>`."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    def sample(self, texts: Sequence[str], *, alpha: float, seed: int) -> list[list[int]]:
        """Cut sentences at random, as `TokenizerConfig.sample_alpha` says; needs a unigram model.

        The draws are a function of `seed` alone. sentencepiece's own cannot be repeated: they
        differ in every process, whatever seed it is given.
        """
        generator = np.random.default_rng(seed)
        return [self._sample_one(without_surrogates(text), alpha, generator) for text in texts]

    def _sample_one(self, text: str, alpha: float, generator: np.random.Generator) -> list[int]:
        best: list[list[int]] = self._processor.nbest_encode(text, nbest_size=SAMPLED_SEGMENTATIONS)
        score = self._processor.get_score
        log_p = np.array([sum(map(score, ids)) for ids in best])
        weights = np.exp(alpha * (log_p - log_p.max()))
        return best[generator.choice(len(best), p=weights / weights.sum())]


class TokenizerPair(NamedTuple):
    """The tokenizers of both sides; one and the same object where the vocabulary is joint."""

    src: Tokenizer
    tgt: Tokenizer

    @property
    def joint(self) -> bool:
        """Whether both sides share one vocabulary."""
        return self.src is self.tgt

    @property
    def fingerprint(self) -> str:
        """A hash of both vocabularies, by which what was made with them is recognised."""
        digest = hashlib.blake2b(digest_size=16)
        for tokenizer in self:
            digest.update(len(tokenizer.model).to_bytes(8, "little") + tokenizer.model)
        return digest.hexdigest()

    def save(self, directory: Path) -> None:
        """Write `tokenizer.model`, or `src.model` and `tgt.model`, into a folder."""
        if self.joint:
            _write(directory / "tokenizer.model", self.src.model)
        else:
            _write(directory / "src.model", self.src.model)
            _write(directory / "tgt.model", self.tgt.model)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no tokenizer.
            ValueError: A file is no sentencepiece model of ours; the message names it.
        """
        joint = directory / "tokenizer.model"
        if joint.is_file():
            tokenizer = _read(joint)
            return cls(tokenizer, tokenizer)
        separate = [directory / "src.model", directory / "tgt.model"]
        if not all(path.is_file() for path in separate):
            raise FileNotFoundError(
                f"{directory} holds no tokenizer (tokenizer.model, or src.model and tgt.model): "
                "is it the directory of a run of mt-train?"
            )
        return cls(*map(_read, separate))


def train_tokenizers(
    src: Sequence[str],
    tgt: Sequence[str],
    config: TokenizerConfig,
    *,
    cache_dir: Path | None = None,
) -> TokenizerPair:
    """Train the tokenizers of a language pair, or take them from the cache.

    Args:
        src: The source sentences of the training split, in a fixed order.
        tgt: The target sentences of the training split.
        config: Kind, size and the other options.
        cache_dir: Where trained models are kept under a hash of sentences and options; by default
            `$XDG_CACHE_HOME/mt/tokenizers`, or `~/.cache/mt/tokenizers`.

    Raises:
        ValueError: `vocab_size` does not fit the text; the message says which size does.
    """
    folder = cache_dir or default_cache_dir("tokenizers")
    src_sentences, tgt_sentences = _sample_lines(src), _sample_lines(tgt)
    if config.joint:
        joint = _train_cached(src_sentences + tgt_sentences, config, folder)
        return TokenizerPair(joint, joint)
    sides = {"sources": src_sentences, "targets": tgt_sentences}
    return TokenizerPair(*(_train_side(*side, config, folder) for side in sides.items()))


def _train_side(
    side: str, sentences: list[str], config: TokenizerConfig, folder: Path
) -> Tokenizer:
    try:
        return _train_cached(sentences, config, folder)
    except ValueError as error:
        joint = ". Each side has a vocabulary of that size; tokenizer.joint=true makes one for both"
        is_of_size = "vocab" in str(error) and any(map(str.strip, sentences))
        raise ValueError(f"the {side}: {error}{joint if is_of_size else ''}") from None


def _train_cached(sentences: list[str], config: TokenizerConfig, folder: Path) -> Tokenizer:
    path = folder / f"{_key(sentences, config)}.model"
    if path.is_file():
        try:
            return _read(path)
        except ValueError as error:
            _log.warning("training the tokenizer anew: %s", error)
    _log.info(
        "learning a vocabulary of %s pieces from %s sentences",
        f"{config.vocab_size:,}",
        f"{len(sentences):,}",
    )
    tokenizer = Tokenizer(_train(sentences, config))
    try:
        _write(path, tokenizer.model)
    except OSError as error:
        _log.warning("the tokenizer is not kept for another run (%s): set XDG_CACHE_HOME", error)
    return tokenizer


def _train(sentences: list[str], config: TokenizerConfig) -> bytes:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(text.replace("\0", " ") for text in sentences),  # else it is skipped
            model_writer=model,
            model_type=config.kind.name,
            vocab_size=config.vocab_size,
            character_coverage=config.character_coverage,
            byte_fallback=True,
            normalization_rule_name=config.normalization.name,
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            max_sentence_length=2**30,  # bytes; else it silently leaves longer ones out
            num_threads=4,  # fixed: the sums, and with them the model, depend on it
            minloglevel=3,
        )
    except (RuntimeError, ValueError) as error:
        raise ValueError(_explain(str(error), config)) from None
    return model.getvalue()


def _explain(message: str, config: TokenizerConfig) -> str:
    asked = f"tokenizer.vocab_size={config.vocab_size}"
    if largest := re.search(r"value <= (\d+)", message):
        size = largest.group(1)
        if int(size) < SMALLEST_VOCABULARY:
            return (
                f"the training text gives only {size} pieces, but the smallest vocabulary has "
                f"{SMALLEST_VOCABULARY}: give more text"
            )
        return (
            f"{asked} is more than the training text can fill: the largest that works is {size}; "
            f"set tokenizer.vocab_size={size}, or give more text"
        )
    if required := re.search(r"required_chars\. \d+ vs (\d+)", message):
        size = required.group(1)
        fewer = f", or tokenizer.character_coverage={_USUAL_COVERAGE}"
        return (
            f"{asked} does not hold every character of the training text: the smallest that works "
            f"is {size}; set tokenizer.vocab_size={size} or more"
            + (fewer if config.character_coverage > _USUAL_COVERAGE else "")
        )
    if "sentences_.empty()" in message or "all_chars_count" in message:
        return "the training split holds no text to learn a vocabulary from"
    return f"sentencepiece could not train with {asked}: {message}"


def _sample_lines(sentences: Sequence[str]) -> list[str]:
    """Take all sentences, or of very many every n-th, and of a very long one its beginning.

    The time of sentencepiece grows with the square of what is repeated in a line.
    """
    step = math.ceil(len(sentences) / MAX_TRAINING_SENTENCES)
    return [without_surrogates(text[:_LONGEST_LINE]) for text in sentences[:: max(1, step)]]


def _key(sentences: list[str], config: TokenizerConfig) -> str:
    options = to_plain(config)
    for name in ("joint", "sample_alpha"):  # they do not change the model
        del options[name]
    digest = hashlib.blake2b(digest_size=16)
    for text in chain([sentencepiece.__version__, repr(sorted(options.items()))], sentences):
        line = text.encode("utf-8")
        digest.update(len(line).to_bytes(8, "little") + line)
    return digest.hexdigest()


def _read(path: Path) -> Tokenizer:
    try:
        return Tokenizer(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)


def without_surrogates(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 can spell."""
    return _SURROGATES.sub("\ufffd", text)
