"""Translate text with a trained run: the public Python API.

from mt import Translator

translator = Translator.from_run("runs/multi30k_en_de")
for translation in translator.translate(["A man sleeps.", "Two dogs play."]):
    print(translation.text, translation.score, translation.words().links)
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike

import torch

from mt.alignment import WordAlignment, align_words
from mt.config import SearchConfig
from mt.data.batching import MAX_PIECES
from mt.data.tokenizer import TokenizerPair, without_surrogates
from mt.decoding import length_limit, search_ids
from mt.loading import load_runs
from mt.models.seq2seq import Seq2Seq
from mt.search import Hypothesis

_AT_ONCE = 5000  # sentences whose translations `stream` holds together
_EXCERPT = 40  # characters of a sentence that a warning quotes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Translation:
    """One translation of one sentence.

    Attributes:
        source: The text that was translated: at most the first 1,000 pieces of what was given,
            with U+FFFD for lone surrogates.
        text: The translation, plain text without line breaks; empty for a blank source.
        score: Length-normalised log-probability (nats) by which the search ranks; 0 for a blank
            source.
        log_prob: Log-probability (nats) of the pieces and the end of the sentence; of several
            models the mean of theirs.
        tokens: The pieces of the translation, length T.
        source_tokens: The pieces of the source, length S.
        alignment: (T, S) attention weights, the end-of-sentence row and column cut off; None
            without attention.
    """

    source: str
    text: str
    score: float
    log_prob: float
    tokens: list[str]
    source_tokens: list[str]
    alignment: list[list[float]] | None

    def words(self) -> WordAlignment | None:
        """Return the attention between words; None without attention."""
        if self.alignment is None:
            return None
        return align_words(
            self.source,
            self.text,
            source_tokens=self.source_tokens,
            target_tokens=self.tokens,
            weights=self.alignment,
        )


@dataclass(frozen=True)
class _Source:
    text: str
    ids: list[int]


class Translator:
    """A model, or several together, with tokenizers and search, from text to text.

    Several threads may use one. On a CPU with several cores a thread that first uses torch while
    another translates computes with one core from then on.

    >>> translator = Translator.from_run("runs/multi30k_en_de")             # doctest: +SKIP
    >>> translator.translate(["A man sleeps."])[0].text                      # doctest: +SKIP
    'Ein Mann schläft.'
    """

    def __init__(
        self,
        models: Sequence[Seq2Seq],
        tokenizers: TokenizerPair,
        *,
        search: SearchConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        """Keep the parts. The models are in eval mode and on `device`."""
        self.models = models
        self.tokenizers = tokenizers
        self.search = search
        self.device = device

    @classmethod
    def from_run(
        cls,
        path: str | PathLike[str],
        *others: str | PathLike[str],
        checkpoint: str = "best",
        device: str = "auto",
        precision: str = "fp32",
    ) -> "Translator":
        """Load what a training left in a run directory.

        Args:
            path: The run directory; its configuration says how to search.
            others: More runs over the same vocabulary, whose models translate together with it.
            checkpoint: best, last, another name in the run's `checkpoints`, or a file.
            device: cpu, cuda, or auto, which takes CUDA where there is one.
            precision: fp32; bf16, which changes a translation here and there and is faster where
                the device multiplies it; or auto, which takes bf16 there alone.

        Raises:
            FileNotFoundError: No run or no such checkpoint there.
            ValueError: A file that is not what it should be, runs of different vocabularies, a
                device that this machine does not have, or another precision.
        """
        loaded = load_runs(
            (path, *others), checkpoint=checkpoint, device=device, precision=precision
        )
        search = loaded.config.search
        return cls(loaded.models, loaded.tokenizers, search=search, device=loaded.device)

    def translate(
        self,
        sentences: Sequence[str],
        *,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
    ) -> list[Translation]:
        """Translate each sentence; the result has the same order and length.

        A blank sentence gives a blank translation and never reaches the model. A source of more
        than 1,000 pieces is cut there, with a logged warning. An option left at None is the run's
        own. Every translation holds its attention, some 20 KB for 25 pieces on each side: hundreds
        of thousands of sentences are for `stream`.

        Raises:
            ValueError: `sentences` is one string, or not all strings; an option is out of its
                range; or the model is so damaged that no translation has a finite probability.
        """
        best = self.translate_n_best(
            sentences,
            n_best=1,
            beam_size=beam_size,
            length_penalty=length_penalty,
            batch_size=batch_size,
        )
        return [translations[0] for translations in best]

    def stream(
        self,
        sentences: Sequence[str],
        *,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Translation]:
        """Yield what `translate` returns, without holding the attention of all at the same time.

        Raises:
            ValueError: As `translate`.
        """
        for start in range(0, len(sentences), _AT_ONCE):
            yield from self.translate(
                sentences[start : start + _AT_ONCE],
                beam_size=beam_size,
                length_penalty=length_penalty,
                batch_size=batch_size,
            )

    def translate_n_best(
        self,
        sentences: Sequence[str],
        *,
        n_best: int,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
    ) -> list[list[Translation]]:
        """Translate each sentence in up to `n_best` ways, the best first.

        Where `beam_size` is None the run's own beam is used, widened to `n_best` where that is
        more. See `translate` for the rest.

        Raises:
            ValueError: As `translate`.
        """
        if isinstance(sentences, str | bytes):
            raise ValueError(
                f"sentences={sentences[:_EXCERPT]!r} is one string; expected a list of them: "
                "write [sentence]"
            )
        search = self._search(
            n_best, beam_size=beam_size, length_penalty=length_penalty, batch_size=batch_size
        )
        sources = self._read(sentences)
        found = search_ids(
            self.models,
            [source.ids for source in sources if source.ids],
            search,
            n_best=n_best,
            device=self.device,
        )
        if not all(found):
            raise ValueError(
                "no translation of a sentence has a finite probability, so the model is damaged: "
                "take another checkpoint"
            )
        answers = iter(found)
        return [
            [self._translation(source, hypothesis) for hypothesis in next(answers)]
            if source.ids
            else [self._blank(source)]
            for source in sources
        ]

    @property
    def has_attention(self) -> bool:
        """Whether translations have an alignment: one of the models has attention."""
        return any(model.has_attention for model in self.models)

    def is_unfinished(self, translation: Translation) -> bool:
        """Say whether the length limit, not the model, ended a translation made by `translate`."""
        n_pieces = len(translation.source_tokens)
        return n_pieces > 0 and len(translation.tokens) + 1 >= length_limit(self.search, n_pieces)

    def _search(
        self,
        n_best: int,
        *,
        beam_size: int | None,
        length_penalty: float | None,
        batch_size: int | None,
    ) -> SearchConfig:
        own = self.search
        if n_best < 1:
            raise ValueError(f"n_best={n_best}: expected 1 or more")
        if beam_size is not None and n_best > beam_size > 0:
            raise ValueError(
                f"n_best={n_best} needs a beam of {n_best} or more, but beam_size={beam_size}: "
                "raise it, or leave it out"
            )
        return replace(
            own,
            beam_size=max(own.beam_size, n_best) if beam_size is None else beam_size,
            length_penalty=own.length_penalty if length_penalty is None else length_penalty,
            batch_size=own.batch_size if batch_size is None else batch_size,
        )

    def _read(self, sentences: Sequence[str]) -> list[_Source]:
        """Encode the sentences, cut where they are too long."""
        # Lone surrogates stand for bytes of a terminal that are not UTF-8, and cannot be printed.
        texts = [
            without_surrogates(_checked(sentence, number))
            for number, sentence in enumerate(sentences)
        ]
        sources = []
        for text, ids in zip(texts, self.tokenizers.src.encode(texts), strict=True):
            if len(ids) > MAX_PIECES:
                _log.warning(
                    "a sentence of %d pieces is cut to its first %d; split it to get the rest: %r",
                    len(ids),
                    MAX_PIECES,
                    text[:_EXCERPT],
                )
                ids = ids[:MAX_PIECES]
                text = self.tokenizers.src.decode(ids)
            sources.append(_Source(text, ids))
        return sources

    def _blank(self, source: _Source) -> Translation:
        return Translation(source.text, "", 0.0, 0.0, [], [], [] if self.has_attention else None)

    def _translation(self, source: _Source, hypothesis: Hypothesis) -> Translation:
        weights = hypothesis.alignment
        return Translation(
            source=source.text,
            text=self.tokenizers.tgt.decode(hypothesis.tokens),
            score=hypothesis.score,
            log_prob=hypothesis.log_prob,
            tokens=self.tokenizers.tgt.pieces(hypothesis.tokens),
            source_tokens=self.tokenizers.src.pieces(source.ids),
            alignment=None if weights is None else weights[:-1, :-1].tolist(),
        )


def _checked(sentence: object, number: int) -> str:
    if not isinstance(sentence, str):
        raise ValueError(
            f"sentences[{number}]={repr(sentence)[:_EXCERPT]} is not a string; expected a list of "
            "strings: decode bytes, and leave out missing values"
        )
    return sentence
