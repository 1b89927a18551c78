"""Several models together: the mean of their steps, one vocabulary, any number of runs."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_run import tiny_corpus

from mt.checkpoint import RunDirectory
from mt.choices import DecoderKind
from mt.cli.evaluate import main as evaluate
from mt.config import ModelConfig
from mt.data.batching import collate_sources
from mt.models.ensemble import Ensemble
from mt.models.seq2seq import build_model
from mt.translator import Translator

_SENTENCES = [source for source, _ in tiny_corpus()["test"]]


def test_a_step_is_the_mean_of_the_models_steps(attention_run: Path, baseline_run: Path) -> None:
    models = Translator.from_run(attention_run, baseline_run).models
    src, lengths = collate_sources([[5, 6, 7], [8]])
    tokens = torch.tensor([4, 9])
    ensemble = Ensemble(models)
    state, own = ensemble.start(src, lengths), [model.start(src, lengths) for model in models]
    for _ in range(3):
        log_probs, weights, state = ensemble.step(tokens, state)
        steps = [model.step(tokens, each) for model, each in zip(models, own, strict=True)]
        own = [step.state for step in steps]
        torch.testing.assert_close(log_probs, (steps[0].log_probs + steps[1].log_probs) / 2)
        assert steps[1].weights is None
        torch.testing.assert_close(weights, steps[0].weights)


def test_weights_are_the_mean_over_the_models_that_have_them() -> None:
    kinds = ({"input_feeding": True}, {"decoder": DecoderKind.conditional})
    models = [
        build_model(ModelConfig(**kind), src_vocab_size=15, tgt_vocab_size=15).eval()  # type: ignore[arg-type]
        for kind in kinds
    ]
    src, lengths = collate_sources([[5, 6, 7], [8]])
    tokens, ensemble = torch.tensor([4, 9]), Ensemble(models)
    with torch.no_grad():
        found = ensemble.step(tokens, ensemble.start(src, lengths)).weights
        one, other = (m.step(tokens, m.start(src, lengths)).weights for m in models)
    assert not torch.allclose(one, other, atol=1e-4)
    torch.testing.assert_close(found, (one + other) / 2)


def test_rows_can_be_selected(attention_run: Path, baseline_run: Path) -> None:
    ensemble = Ensemble(Translator.from_run(attention_run, baseline_run).models)
    src, lengths = collate_sources([[5, 6, 7], [8, 9, 4]])
    state = ensemble.start(src, lengths)
    chosen = state.select(torch.tensor([1, 1]), torch.tensor([1]))
    tokens = torch.tensor([4, 9])
    both = ensemble.step(tokens, state).log_probs
    one = ensemble.step(tokens, chosen).log_probs
    torch.testing.assert_close(one[1], both[1])


def test_a_model_with_itself_translates_as_alone(attention_run: Path) -> None:
    alone = Translator.from_run(attention_run).translate(_SENTENCES)
    together = Translator.from_run(attention_run, attention_run).translate(_SENTENCES)
    assert [t.text for t in together] == [t.text for t in alone]
    assert together[0].log_prob == pytest.approx(alone[0].log_prob, abs=1e-4)
    torch.testing.assert_close(
        torch.tensor(together[0].alignment), torch.tensor(alone[0].alignment), atol=1e-4, rtol=0
    )


def test_attention_of_one_is_enough(attention_run: Path, baseline_run: Path) -> None:
    blank, sentence = Translator.from_run(baseline_run, attention_run).translate(["", "lo"])
    assert blank.alignment == []
    assert sentence.alignment is not None


def test_one_vocabulary_is_needed(attention_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(attention_run, tmp_path / "other")
    model = (attention_run / "tokenizer.model").read_bytes()
    (other / "tokenizer.model").write_bytes(model + b"\x22\x00")  # an empty field more
    with pytest.raises(ValueError, match=f"{other} has another vocabulary than {attention_run}"):
        Translator.from_run(attention_run, other)


@pytest.mark.parametrize("side", ["src", "tgt"])
def test_each_of_two_vocabularies_is_compared(
    attention_run: Path, tmp_path: Path, side: str
) -> None:
    first, other = (shutil.copytree(attention_run, tmp_path / name) for name in ("1", "2"))
    for run in (first, other):
        model = (run / "tokenizer.model").read_bytes()
        (run / "tokenizer.model").unlink()
        for name in ("src.model", "tgt.model"):
            (run / name).write_bytes(model)
    Translator.from_run(first, other)
    (other / f"{side}.model").write_bytes(model + b"\x22\x00")
    with pytest.raises(ValueError, match=f"{other} has another vocabulary than {first}"):
        Translator.from_run(first, other)


def test_one_direction_is_needed(attention_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(attention_run, tmp_path / "other")
    run = RunDirectory.open(other)
    config = run.load_config()
    data = dataclasses.replace(config.data, src=config.data.tgt, tgt=config.data.src)
    run.write_config(dataclasses.replace(config, data=data))
    with pytest.raises(ValueError, match=f"{other} translates yy-xx and {attention_run} xx-yy"):
        Translator.from_run(attention_run, other)


def test_the_file_of_one_run_is_no_checkpoint_of_several(
    attention_run: Path, baseline_run: Path
) -> None:
    file = str(attention_run / "checkpoints" / "last.pt")
    for name in (file, file.removesuffix(".pt")):
        with pytest.raises(ValueError, match=f"^{name} is the checkpoint of one run, and 2 are to"):
            Translator.from_run(attention_run, baseline_run, checkpoint=name)


def test_evaluation_of_several_runs(
    attention_run: Path, baseline_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate([str(attention_run), str(baseline_run)]) == 0
    assert f"{attention_run} + {baseline_run}, best.pt" in capsys.readouterr().out
    assert evaluate([str(attention_run), str(baseline_run), "--json"]) == 0
    [result] = json.loads(capsys.readouterr().out)
    assert result["perplexity"] is None
    assert result["hypotheses"].endswith(f".with-{baseline_run.name}.txt")
    again = shutil.copytree(baseline_run, tmp_path / baseline_run.name)
    assert evaluate([str(attention_run), str(again), "--json"]) == 0
    [other] = json.loads(capsys.readouterr().out)
    assert (result["others"], other["others"]) == ([str(baseline_run)], [str(again)])
    assert other["hypotheses"].endswith(f".with-{baseline_run.name}.2.txt")
