"""JoeyNMT on the reference task of the benchmarks: the same pieces and sizes.

Of itself it draws its batches at random from all sentences, short and long together, so that half
of what it computes is padding; `train_on` gives it the batches that ours are timed on.
"""

import argparse
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mt.data.batching import Pair
from mt.data.tokenizer import Tokenizer, TokenizerPair

_CONFIG = """\
name: reference
joeynmt_version: "2.3.0"
model_dir: "{folder}/run"
use_cuda: False
fp16: False
random_seed: 1
data:
  train: "{folder}/{corpus}"
  dev: "{folder}/valid"
  dataset_type: plain
  src: {{lang: src, max_length: 200, level: word, voc_file: "{folder}/vocabulary",
         tokenizer_cfg: {{pretokenizer: none}}}}
  trg: {{lang: tgt, max_length: 200, level: word, voc_file: "{folder}/vocabulary",
         tokenizer_cfg: {{pretokenizer: none}}}}
testing: {{n_best: 1, beam_size: {beam}, beam_alpha: {alpha}, batch_size: 64,
          batch_type: sentence, max_output_length: 80, eval_metrics: [bleu],
          sacrebleu_cfg: {{tokenize: none}}}}
training: {{optimizer: adam, normalization: tokens, learning_rate: 0.001, clip_grad_norm: 1.0,
           label_smoothing: 0.1, loss: crossentropy, batch_size: 64, batch_type: sentence,
           scheduling: exponential, decrease_factor: 0.99, early_stopping_metric: bleu, epochs: 1,
           updates: {updates}, validation_freq: 100000, logging_freq: {log_every},
           overwrite: True, shuffle: {shuffle}, print_valid_sents: [0], keep_best_ckpts: 1,
           random_seed: 1}}
model:
  initializer: xavier_uniform
  bias_initializer: zeros
  embed_initializer: normal
  embed_init_weight: 0.1
  tied_embeddings: False
  tied_softmax: False
  encoder: {{type: recurrent, rnn_type: gru, hidden_size: 256, bidirectional: True, dropout: 0.2,
            num_layers: 1, embeddings: {{embedding_dim: 256, scale: False, dropout: 0.2}}}}
  decoder: {{type: recurrent, rnn_type: gru, hidden_size: 512, dropout: 0.2, hidden_dropout: 0.2,
            num_layers: 1, input_feeding: True, init_hidden: bridge, attention: bahdanau,
            embeddings: {{embedding_dim: 256, scale: False, dropout: 0.2}}}}
"""

_SIDES = ("src", "tgt")


class Translated(NamedTuple):
    """All sentences translated: seconds of the search and of the whole command, and pieces."""

    search_s: float
    command_s: float
    n_tokens: int


def add_peer_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where JoeyNMT is; it computes on the CPU."""
    parser.add_argument(
        "--joeynmt",
        type=Path,
        metavar="PYTHON",
        help="the python of an environment with JoeyNMT, which is measured on the CPU",
    )


def check_peer_option(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a usage error where `--joeynmt` would be compared with another `--device`."""
    if arguments.joeynmt is not None and arguments.device != "cpu":
        parser.error("--joeynmt is measured on the CPU, so its ratios need --device cpu")


class JoeyNMT:
    """JoeyNMT in an environment of its own, with its files in a folder.

    Args:
        python: The interpreter of that environment.
        folder: Where corpus, vocabulary and model go.
        raw: The training split, columns `src` and `tgt`.
        tokenizers: Ours, so that both see the same pieces.
        threads: CPU threads.
    """

    def __init__(
        self, python: Path, folder: Path, raw: Any, tokenizers: TokenizerPair, *, threads: int
    ) -> None:
        self._python, self._folder, self._tokenizers = python, folder, tokenizers
        count = str(threads)
        self._environment = os.environ | {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
        _write(folder, raw, tokenizers)

    def train(self, *, updates: int) -> list[float]:
        """Train on batches of its own; return the target tokens a second, warm-up off.

        Returns:
            The rates that it reports of every ten updates.
        """
        return self._train(corpus="train", updates=updates, log_every=10, shuffle=True)

    def train_on(self, batches: Sequence[Sequence[Pair]], *, rounds: int) -> list[float]:
        """Train on these batches, several times over, the first of which is the warm-up.

        Returns:
            The target tokens a second that it reports of each other round.
        """
        for side, tokenizer in enumerate(self._tokenizers):
            lines = [" ".join(tokenizer.pieces(pair[side])) for batch in batches for pair in batch]
            _write_lines(self._folder / f"batches.{_SIDES[side]}", lines * rounds)
        count = len(batches)
        return self._train(corpus="batches", updates=rounds * count, log_every=count, shuffle=False)

    def _train(self, **options: Any) -> list[float]:
        report = self._run("train", "--skip-test", beam_size=1, **options).stderr
        return [float(rate) for rate in re.findall(r"Tokens per Sec:\s+([\d.]+)", report)[1:]]

    def translate(self, sentences: list[str], *, beam_size: int) -> Translated:
        """Translate with the model that `train` left, as the command does it from a pipe."""
        pieces = "".join(f"{line}\n" for line in _pieces(self._tokenizers.src, sentences))
        started = time.perf_counter()
        done = self._run("translate", beam_size=beam_size, stdin=pieces)
        command_s = time.perf_counter() - started
        [search_s] = re.findall(r"Generation took ([\d.]+)", done.stderr)
        n_tokens = len(done.stdout.split()) + len(sentences)  # the ends of sentences count
        return Translated(float(search_s), command_s, n_tokens)

    def _run(
        self,
        mode: str,
        *options: str,
        beam_size: int,
        corpus: str = "train",
        updates: int = 1,
        log_every: int = 1,
        shuffle: bool = False,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        config = self._folder / f"{mode}.yaml"
        alpha = 1.0 if beam_size > 1 else -1
        text = _CONFIG.format(
            folder=self._folder, beam=beam_size, alpha=alpha, corpus=corpus, updates=updates,
            log_every=log_every, shuffle=shuffle,
        )  # fmt: skip
        config.write_text(text, encoding="utf-8")
        command = [str(self._python), "-m", "joeynmt", mode, str(config), *options]
        done = subprocess.run(
            command, env=self._environment, input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        return done


def _write(folder: Path, raw: Any, tokenizers: TokenizerPair) -> None:
    """Write the corpus as pieces, and the vocabulary of both sides."""
    counts: Counter[str] = Counter()
    for side, tokenizer in zip(_SIDES, tokenizers, strict=True):
        lines = _pieces(tokenizer, list(raw[side]))
        counts.update(piece for line in lines for piece in line.split())
        for split, part in (("train", lines), ("valid", lines[:64])):
            _write_lines(folder / f"{split}.{side}", part)
    _write_lines(folder / "vocabulary", (piece for piece, _ in counts.most_common()))


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _pieces(tokenizer: Tokenizer, sentences: list[str]) -> list[str]:
    return [" ".join(tokenizer.pieces(ids)) for ids in tokenizer.encode(sentences)]
