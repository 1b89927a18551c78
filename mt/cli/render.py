"""Write translations as lines of text: plain, tab-separated, Moses n-best or JSON."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mt.alignment import pharaoh

if TYPE_CHECKING:  # the types alone; importing the translator would load torch
    from mt.translator import Translation

_LINE_BREAKS = re.compile("[\v\f\r\n\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True)
class OutputFormat:
    """What to write about each translation.

    Attributes:
        json: One JSON object per source line in place of text.
        n_best: Above 1, text lines are Moses n-best lines and the JSON object holds a list.
        scores: Add the score to a text line; n-best lines and JSON always have it.
        alignments: Add the word links to a text line, the attention weights to JSON.
    """

    json: bool = False
    n_best: int = 1
    scores: bool = False
    alignments: bool = False


def render(number: int, translations: Sequence["Translation"], form: OutputFormat) -> list[str]:
    """Write the translations of one source, best first, as lines without their line ends.

    Args:
        number: The place of the source in the input, from 0, for n-best lines.
        translations: Exactly one unless `form.n_best` is above 1.
        form: What to write.
    """
    if form.json:
        return [_json_line(translations, form)]
    if form.n_best > 1:
        return [_moses_line(number, translation, form) for translation in translations]
    return [_text_line(translations[0], form)]


def _text_line(translation: "Translation", form: OutputFormat) -> str:
    text = translation.text
    if not form.scores and not form.alignments:
        return text
    columns = [text.replace("\t", " ")]
    if form.scores:
        columns.append(f"{translation.score:.4f}")
    if form.alignments:
        columns.append(_pharaoh(translation))
    return "\t".join(columns)


def _moses_line(number: int, translation: "Translation", form: OutputFormat) -> str:
    fields = [str(number), translation.text, f"{translation.score:.4f}"]
    if form.alignments:
        fields.append(_pharaoh(translation))
    return " ||| ".join(fields)


def _json_line(translations: Sequence["Translation"], form: OutputFormat) -> str:
    best = translations[0]
    record: dict[str, Any] = {"source": best.source, "source_tokens": best.source_tokens}
    if form.n_best > 1:
        record["n_best"] = [_record(translation, form) for translation in translations]
    else:
        record |= _record(best, form)
    text = json.dumps(record, ensure_ascii=False)
    # JSON allows these in a string, but readers that split at Unicode line breaks would cut it.
    return _LINE_BREAKS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _record(translation: "Translation", form: OutputFormat) -> dict[str, Any]:
    words = translation.words()
    record: dict[str, Any] = {
        "text": translation.text,
        "score": translation.score,
        "log_prob": translation.log_prob,
        "tokens": translation.tokens,
        "links": None if words is None else words.links,
    }
    if form.alignments and translation.alignment is not None:
        record["alignment"] = [
            [round(weight, 4) for weight in row] for row in translation.alignment
        ]
    return record


def _pharaoh(translation: "Translation") -> str:
    words = translation.words()
    return "" if words is None else pharaoh(words.links)
