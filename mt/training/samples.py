"""A few fixed validation sentences, shown in TensorBoard with what attention looks at."""

from mt.data.tokenizer import Tokenizer
from mt.training.tracking import Tracker
from mt.training.validation import Validation, Validator


def show_samples(
    tracker: Tracker,
    validation: Validation,
    validator: Validator,
    *,
    source_tokenizer: Tokenizer,
    n_samples: int,
    step: int,
) -> None:
    """Write source, reference, translation and attention of evenly spaced sentences."""
    stride = max(1, len(validator.pairs) // max(1, n_samples))
    for number, row in enumerate(range(0, len(validator.pairs), stride)[:n_samples]):
        source = validator.pairs[row].src
        tracker.text(
            f"sample_{number}/translation",
            f"- source: {source_tokenizer.decode(source)}\n"
            f"- reference: {validator.references[row]}\n"
            f"- translation: {validation.translations[row]}",
            step,
        )
        hypothesis = validation.hypotheses[row]
        if hypothesis.alignment is None or not hypothesis.tokens:
            continue
        from mt.plotting import alignment_figure  # loads matplotlib: not before it is needed

        figure = alignment_figure(
            [*source_tokenizer.pieces(source), "</s>"],
            [*validator.tokenizer.pieces(hypothesis.tokens), "</s>"],
            hypothesis.alignment.tolist(),
        )
        tracker.figure(f"sample_{number}/attention", figure, step)
