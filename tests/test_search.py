"""Beam search over small step functions whose best answers can be found by trying everything."""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from mt.search import Hypothesis, _best_extensions, beam_search, length_penalty_divisor

VOCAB = 7  # the four special ids and three words
NEVER = [PAD_ID, UNK_ID, BOS_ID]
FREE = [token for token in range(VOCAB) if token not in (*NEVER, EOS_ID)]
POSITIONS = 3


class _Rows(NamedTuple):
    """A state that remembers which sentence a row is of and what it has read.

    Attributes:
        sentence: (N,).
        history: Tokens read, (N, t).
        kept: The sentences whose memory is still there, (B,).
    """

    sentence: Tensor
    history: Tensor
    kept: Tensor

    def select(self, rows: Tensor, sentences: Tensor | None) -> "_Rows":
        kept = self.kept if sentences is None else self.kept[sentences]
        return _Rows(self.sentence[rows], self.history[rows], kept)


class _Language:
    """Log-probabilities that depend on the sentence and on all that was read before.

    Attributes:
        rows_seen: N of every call.
    """

    def __init__(self, seed: int, *, end_bias: float = 0.0) -> None:
        self.seed = seed
        self.end_bias = end_bias
        self.rows_seen: list[int] = []

    def next(self, sentence: int, history: tuple[int, ...]) -> Tensor:
        """Return log-probabilities (V,) after `history`, which starts with BOS."""
        number = self.seed
        for part in (sentence, *history):
            number = (number * 1_000_003 + part + 17) % 2_147_483_647
        logits = torch.randn(VOCAB, generator=torch.Generator().manual_seed(number))
        logits[EOS_ID] += self.end_bias
        return torch.log_softmax(logits.double(), dim=-1)

    def look(self, sentence: int, history: tuple[int, ...]) -> Tensor:
        """Return attention weights (S,) after `history`, different for every one."""
        return torch.softmax(self.next(sentence, history)[:POSITIONS], dim=-1)

    def log_prob(self, sentence: int, tokens: list[int]) -> float:
        """Return the log-probability of `tokens` and the EOS."""
        history, total = (BOS_ID,), 0.0
        for token in [*tokens, EOS_ID]:
            total += float(self.next(sentence, history)[token])
            history = (*history, token)
        return total

    def __call__(self, tokens: Tensor, state: _Rows) -> tuple[Tensor, Tensor, _Rows]:
        self.rows_seen.append(len(tokens))
        assert not len(tokens) or int(tokens.max()) < VOCAB  # even where the beam is wider
        # Rows of one sentence stand together, in the order of the memory.
        k = len(tokens) // max(1, len(state.kept))
        assert torch.equal(state.sentence, state.kept.repeat_interleave(k))
        history = torch.cat([state.history, tokens.unsqueeze(-1)], dim=-1)
        rows = list(zip(state.sentence.tolist(), map(tuple, history.tolist()), strict=True))
        log_probs = torch.stack([self.next(*row) for row in rows])
        weights = torch.stack([self.look(*row) for row in rows])
        return log_probs, weights, _Rows(state.sentence, history, state.kept)


def _search(
    language: Callable[[Tensor, _Rows], tuple[Tensor, Tensor, _Rows]],
    limits: list[int],
    *,
    beam_size: int,
    length_penalty: float = 1.0,
    n_best: int = 1,
    sentences: list[int] | None = None,
) -> list[list[Hypothesis]]:
    numbers = torch.tensor(range(len(limits)) if sentences is None else sentences)
    empty = torch.empty(len(limits), 0, dtype=torch.long)
    return beam_search(
        language,
        _Rows(numbers, empty, numbers),
        beam_size=beam_size,
        max_length=torch.tensor(limits, dtype=torch.long),
        length_penalty=length_penalty,
        n_best=n_best,
    )


def _everything(
    language: _Language, sentence: int, limit: int, length_penalty: float
) -> list[tuple[float, list[int]]]:
    """Return the score and the tokens of every possible answer, best first."""
    answers = []
    for length in range(limit):
        for tokens in itertools.product(FREE, repeat=length):
            log_prob = language.log_prob(sentence, list(tokens))
            score = log_prob / ((5 + length + 1) / 6) ** length_penalty
            answers.append((score, list(tokens)))
    return sorted(answers, reverse=True)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_what_trying_everything_finds(seed: int, length_penalty: float) -> None:
    """With room for every prefix nothing is lost: all answers, in order, with their scores."""
    language = _Language(seed)
    limits = [4, 1, 3]
    n_answers = [sum(len(FREE) ** length for length in range(limit)) for limit in limits]
    beam_size = 3 * sum(n_answers)
    found = _search(
        language, limits, beam_size=beam_size, length_penalty=length_penalty, n_best=beam_size
    )
    for sentence, limit in enumerate(limits):
        expected = _everything(language, sentence, limit, length_penalty)
        assert len(found[sentence]) == n_answers[sentence]
        assert [best.tokens for best in found[sentence]] == [tokens for _, tokens in expected]
        scores = [best.score for best in found[sentence]]
        assert scores == pytest.approx([score for score, _ in expected], abs=1e-5)


def _plain_beam(
    language: _Language, sentence: int, limit: int, *, beam_size: int, length_penalty: float
) -> list[tuple[float, list[int]]]:
    """Search one sentence with lists: the scores and tokens of all that ended, best first."""
    live, ended = [(0.0, (BOS_ID,))], []
    for length in range(1, limit + 1):
        candidates = [
            (total + float(log_prob), (*history, token))
            for total, history in live
            for token, log_prob in enumerate(language.next(sentence, history))
            if token not in NEVER and (token == EOS_ID or length < limit)
        ]
        candidates.sort(reverse=True)
        for total, history in candidates[:beam_size]:
            if history[-1] == EOS_ID:
                score = total / ((5 + length) / 6) ** length_penalty
                ended.append((score, list(history[1:-1])))
        live = [candidate for candidate in candidates if candidate[1][-1] != EOS_ID][:beam_size]
        if len(ended) >= beam_size:
            break
    return sorted(ended, reverse=True)


@given(
    st.integers(0, 10_000),
    st.integers(1, 6),
    st.floats(0, 2),
    st.lists(st.integers(1, 8), min_size=1, max_size=3),
)
def test_a_narrow_beam_finds_what_a_plain_one_finds(
    seed: int, beam_size: int, length_penalty: float, limits: list[int]
) -> None:
    language = _Language(seed)
    found = _search(
        language, limits, beam_size=beam_size, length_penalty=length_penalty, n_best=beam_size
    )
    for sentence, limit in enumerate(limits):
        expected = _plain_beam(
            language, sentence, limit, beam_size=beam_size, length_penalty=length_penalty
        )[:beam_size]
        assert [best.tokens for best in found[sentence]] == [tokens for _, tokens in expected]
        scores = [best.score for best in found[sentence]]
        assert scores == pytest.approx([score for score, _ in expected])


@given(st.integers(0, 10_000), st.lists(st.integers(1, 7), min_size=1, max_size=3))
def test_a_beam_of_one_takes_the_best_token_every_time(seed: int, limits: list[int]) -> None:
    language = _Language(seed)
    for sentence, [found] in enumerate(_search(language, limits, beam_size=1)):
        history: list[int] = [BOS_ID]
        while True:
            log_probs = language.next(sentence, tuple(history))
            log_probs[NEVER] = -math.inf
            best = int(log_probs.argmax())
            if best == EOS_ID or len(history) == limits[sentence]:
                break
            history.append(best)
        assert found.tokens == history[1:]


@given(
    st.integers(0, 10_000),
    st.integers(1, 5),
    st.floats(0, 2),
    st.lists(st.integers(1, 8), min_size=1, max_size=4),
)
def test_what_is_found_is_what_it_says(
    seed: int, beam_size: int, length_penalty: float, limits: list[int]
) -> None:
    """Scores, limits, order, distinctness and attention of every hypothesis."""
    language = _Language(seed)
    found = _search(
        language, limits, beam_size=beam_size, length_penalty=length_penalty, n_best=beam_size
    )
    for sentence, hypotheses in enumerate(found):
        assert 1 <= len(hypotheses) <= beam_size
        scores = [best.score for best in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(best.tokens) for best in hypotheses}) == len(hypotheses)
        for best in hypotheses:
            length = len(best.tokens) + 1
            assert length <= limits[sentence]
            assert set(best.tokens) <= set(FREE)
            assert best.log_prob == pytest.approx(language.log_prob(sentence, best.tokens))
            divisor = ((5 + length) / 6) ** length_penalty
            assert best.score == pytest.approx(best.log_prob / divisor)
            _check_alignment(language, sentence, best)


def _check_alignment(language: _Language, sentence: int, best: Hypothesis) -> None:
    read = [BOS_ID, *best.tokens]
    rows = [language.look(sentence, tuple(read[: t + 1])) for t in range(len(read))]
    torch.testing.assert_close(best.alignment, torch.stack(rows))


@given(
    st.integers(0, 10_000),
    st.integers(1, 4),
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_neighbours_change_nothing(seed: int, beam_size: int, limits: list[int], draw) -> None:  # type: ignore[no-untyped-def]
    language = _Language(seed)
    together = _search(language, limits, beam_size=beam_size, n_best=beam_size)
    order = list(range(len(limits)))
    draw.shuffle(order)
    shuffled = _search(
        language,
        [limits[b] for b in order],
        beam_size=beam_size,
        n_best=beam_size,
        sentences=order,
    )
    for place, sentence in enumerate(order):
        [alone] = _search(
            language,
            [limits[sentence]],
            beam_size=beam_size,
            n_best=beam_size,
            sentences=[sentence],
        )
        for first, second, third in zip(together[sentence], alone, shuffled[place], strict=True):
            assert first.tokens == second.tokens == third.tokens
            assert first[1:3] == second[1:3] == third[1:3]


def test_finished_sentences_leave_the_batch() -> None:
    """The step function is never asked about a sentence that is done, nor twice about BOS."""
    language = _Language(3, end_bias=-100.0)  # ends at its limit only
    _search(language, [1, 4, 2, 2], beam_size=2)
    assert language.rows_seen == [4, 6, 2, 2]


def test_a_sentence_is_done_when_the_beam_is_full_of_endings() -> None:
    language = _Language(3, end_bias=100.0)  # ends at once, wherever it can
    [[best]] = _search(language, [50], beam_size=1)
    assert best.tokens == []
    assert language.rows_seen == [1]
    language.rows_seen.clear()
    [hypotheses] = _search(language, [50], beam_size=3, n_best=3)
    assert len(hypotheses) == 3
    assert len(language.rows_seen) == 2  # the empty one, and then its rivals of one token


def test_a_limit_ends_every_live_prefix() -> None:
    language = _Language(5, end_bias=-100.0)
    [hypotheses] = _search(language, [3], beam_size=4, n_best=4)
    assert [len(best.tokens) for best in hypotheses] == [2, 2, 2, 2]


def test_padding_bos_and_the_unknown_token_are_no_words() -> None:
    def only(*tokens: int) -> Callable[[Tensor, _Rows], tuple[Tensor, None, _Rows]]:
        def step(last: Tensor, state: _Rows) -> tuple[Tensor, None, _Rows]:
            log_probs = torch.full((len(last), VOCAB), -50.0)
            log_probs[:, list(tokens)] = 0.0
            return log_probs, None, state

        return step

    [[best]] = _search(only(*NEVER), [3], beam_size=1)  # type: ignore[arg-type]
    assert not {*NEVER} & set(best.tokens)
    [[word]] = _search(only(FREE[0]), [3], beam_size=1)  # type: ignore[arg-type]
    assert word.tokens == [FREE[0], FREE[0]]
    assert word.alignment is None


def test_a_greater_length_penalty_favours_longer_answers() -> None:
    def mean_length(length_penalty: float) -> float:
        found = _search(_Language(1), [6] * 40, beam_size=8, length_penalty=length_penalty)
        return sum(len(best.tokens) for [best] in found) / len(found)

    assert mean_length(0.0) < mean_length(1.0) < mean_length(3.0)


@pytest.mark.parametrize(
    ("length", "alpha", "divisor"), [(1, 1.0, 1.0), (7, 1.0, 2.0), (7, 0.0, 1)]
)
def test_the_divisor_of_the_length_penalty(length: int, alpha: float, divisor: float) -> None:
    assert length_penalty_divisor(length, alpha) == pytest.approx(divisor)
    assert length_penalty_divisor(19, 0.5) == pytest.approx(2.0)


def test_no_sentences_give_no_answers() -> None:
    assert _search(_Language(0), [], beam_size=3) == []


@pytest.mark.parametrize("n_best", [0, 4])
def test_an_n_best_outside_the_beam_is_refused(n_best: int) -> None:
    with pytest.raises(
        ValueError, match=rf"n_best={n_best}: expected 1 to the beam size \(3\); raise the beam"
    ):
        _search(_Language(0), [2], beam_size=3, n_best=n_best)


def test_a_limit_without_room_for_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match="max_length=0: expected 1 or more, since the EOS"):
        _search(_Language(0), [2, 0], beam_size=3)


@given(st.integers(1, 4), st.integers(4, 200), st.integers(0, 2**31))
def test_the_best_extensions_are_those_of_a_full_sort(
    beam_size: int, vocab_size: int, seed: int
) -> None:
    """Comparing maxima of blocks first loses nothing."""
    generator = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(3, beam_size, vocab_size, generator=generator).log_softmax(dim=-1)
    totals = -torch.rand(3, beam_size, generator=generator)
    n_wanted = min(2 * beam_size, beam_size * vocab_size)
    expected, index = (totals.unsqueeze(-1) + log_probs).flatten(1).topk(n_wanted, dim=-1)
    top, parents, tokens = _best_extensions(totals, log_probs, 2 * beam_size)
    torch.testing.assert_close(top, expected, rtol=0, atol=0)
    assert torch.equal(parents * vocab_size + tokens, index)
