"""A few fixed validation sentences, for TensorBoard, with what attention looks at."""

from collections.abc import Iterator

from mt.data.tokenizer import Tokenizer
from mt.training.tracking import Sample
from mt.training.validation import Validation, Validator


def draw_samples(
    validation: Validation,
    validator: Validator,
    *,
    source_tokenizer: Tokenizer,
    n_samples: int,
) -> Iterator[Sample]:
    """Yield at most `n_samples` evenly spaced sentences, each drawn when it is asked for."""
    stride = max(1, len(validator.pairs) // max(1, n_samples))
    for row in range(0, len(validator.pairs), stride)[:n_samples]:
        source, hypothesis = validator.pairs[row].src, validation.hypotheses[row]
        text = (
            f"- source: {source_tokenizer.decode(source)}\n"
            f"- reference: {validator.references[row]}\n"
            f"- translation: {validation.translations[row]}"
        )
        if hypothesis.alignment is None or not hypothesis.tokens:
            yield Sample(text, None)
            continue
        from mt.plotting import alignment_figure  # loads matplotlib: not before it is needed

        figure = alignment_figure(
            [*source_tokenizer.pieces(source), "</s>"],
            [*validator.tokenizer.pieces(hypothesis.tokens), "</s>"],
            hypothesis.alignment.tolist(),
        )
        yield Sample(text, figure)
