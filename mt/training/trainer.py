"""The training loop."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch

from mt.checkpoint import RunDirectory
from mt.choices import Metric
from mt.config import Config
from mt.data.batching import Batch, BatchLoader
from mt.data.tokenizer import TokenizerPair
from mt.device import select_precision
from mt.models.loss import SequenceLoss, sequence_loss
from mt.models.seq2seq import Seq2Seq
from mt.training.interrupt import Interrupt
from mt.training.keeper import CheckpointKeeper
from mt.training.optim import ExponentialMovingAverage, Schedule, build_optimizer
from mt.training.progress import DivergenceError, Outcome, Progress
from mt.training.samples import draw_samples
from mt.training.tracking import Silence, Tracker
from mt.training.validation import Validation, Validator
from mt.training.world import World

# A BLEU below this is that of noise: hardly any bigram is right, and smoothing does the rest.
_LEAST_BLEU = 1.0

_log = logging.getLogger(__name__)


class Trainer:
    """Train a model: updates, validation, checkpoints, early stopping, exact resumption.

    All processes of a world run it alike, each on its share of the batches; what is random in a
    batch depends on the seed and the batch's number alone. So the number of processes changes
    nothing but the order in which gradients are summed.
    """

    def __init__(
        self,
        config: Config,
        model: Seq2Seq,
        *,
        run: RunDirectory,
        loader: BatchLoader,
        validator: Validator,
        tokenizers: TokenizerPair,
        device: torch.device,
        world: World,
    ) -> None:
        self.config = config
        self.model = model
        self.replica = world.replicate(model)
        self.world = world
        self.run = run
        self.loader = loader
        self.validator = validator
        self.tokenizers = tokenizers
        self.device = device
        self.precision = select_precision(config.trainer.precision.name, device)
        self.progress = Progress()
        self.resumed_from = Progress()
        self.keeper = CheckpointKeeper(run, config.trainer, vocabulary=tokenizers.fingerprint)
        total = config.trainer.max_epochs * len(loader)
        self.total_steps = min(total, config.trainer.max_steps or total)
        self.optimizer = build_optimizer(model.parameters(), config.optim)
        self.schedule = Schedule(config.optim, total_steps=self.total_steps)
        decay = config.trainer.ema_decay
        self.ema = ExponentialMovingAverage(model, decay) if decay > 0 else None

    def fit(self) -> Outcome:
        """Train until the last epoch or update, an early stop, or Ctrl-C.

        Raises:
            DivergenceError: The loss, its gradient or all that a search finds is not finite;
                earlier checkpoints remain.
        """
        with (
            Interrupt() as interrupt,
            self._open_tracker() as tracker,
        ):
            self._record_start(tracker)
            for batches in self._updates():
                self._update(batches, tracker)
                if self._validation_is_due():
                    self._validate(tracker)
                if self.world.any(interrupt.requested):
                    reason = "interrupted"
                    self._save_last()
                    break
            else:
                early = self._ran_out_of_patience() and self.progress.step < self.total_steps
                reason = "early stop" if early else "finished"
                self._finish(tracker)
            outcome = self._outcome(reason)
            parameters = {"parameters": self.model.n_parameters}
            tracker.event("end", self.progress.step, outcome._asdict() | parameters)
        self.world.wait()  # until the writer has written
        return outcome

    def resume(self) -> None:
        """Take up the state of the run's last full checkpoint: all that the next update depends on.

        Raises:
            FileNotFoundError: Nothing has been saved yet.
            ValueError: Neither the last checkpoint nor the one before can be read, or they are
                another model's.
        """
        saved = self.world.broadcast(self.keeper.load_last() if self.world.is_writer else None)
        self.run.fill(self.model, saved["model"], self.run.checkpoints / "last.pt")
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.loader.sampler.load_state_dict(saved["sampler"])
        self.progress = Progress(**saved["progress"])
        self.resumed_from = replace(self.progress)
        if self.ema is not None:
            self.ema.average = [average.to(self.device) for average in saved["ema"]]
        if saved["processes"] != self.world.size:
            _log.warning(
                "saved by %d processes and resumed by %d: the batches and what is random in them "
                "stay the same, but sums are rounded otherwise",
                saved["processes"],
                self.world.size,
            )

    def _open_tracker(self) -> Tracker | Silence:
        if not self.world.is_writer:
            return Silence()
        return Tracker(self.run, step=self.progress.step, total_steps=self.total_steps)

    def _updates(self) -> Iterator[list[Batch]]:
        """Yield this process's batches of each update, across epochs, until the last.

        Whether to stop is checked before the next batches are drawn, so that a run saved then
        resumes with those; and before the first, so that a finished run trains no further.
        """
        sampler = self.loader.sampler
        while (epoch := sampler.epoch) < self.config.trainer.max_epochs and not self._is_over():
            for batches in self.loader:
                self.progress.epoch = epoch  # the sampler may be in the next one already
                yield batches
                if self._is_over():
                    return

    def _update(self, batches: list[Batch], tracker: Tracker | Silence) -> None:
        """Do one optimizer update from the batches of all processes, weighted by their tokens."""
        started = time.perf_counter()
        step, lr = self.progress.step, self.schedule.lr(self.progress.step)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = lr
        n_tokens = int(self.world.sum(sum(batch.n_tokens for batch in batches))[0])
        loss, nll = self.world.sum(*self._backward(batches, n_tokens))
        norm = float(
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.clip_norm)
        )
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise self._diverged(
                step + 1, f"the loss is {loss} and the norm of its gradient {norm}"
            )
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.model, step)
        seconds = time.perf_counter() - started
        self.progress.step += 1
        self.progress.seconds += seconds
        self.progress.tokens += n_tokens
        values = {"loss": loss, "nll": nll, "grad_norm": norm, "lr": lr}
        self._record_update(tracker, values, tokens_per_s=n_tokens / seconds)

    def _backward(self, batches: list[Batch], n_tokens: int) -> tuple[float, float]:
        """Leave the gradient of the mean loss over the update's `n_tokens`, of all processes.

        Returns:
            What this process's batches add to the mean loss, and to the mean without smoothing.
        """
        self.model.train()
        self.optimizer.zero_grad()
        loss = nll = 0.0
        for number, batch in enumerate(batches):
            self._seed_batch(number)
            is_last = number == len(batches) - 1
            with nullcontext() if is_last else self.world.no_sync(self.replica):
                result = self._forward(batch.to(self.device))
                share = result.n_tokens / n_tokens
                # The exchange takes the mean over the processes, and the sum is wanted.
                (result.loss * share * self.world.size).backward()  # type: ignore[no-untyped-call]
            loss += float(result.loss.detach()) * share
            nll += float(result.nll) / n_tokens
        return loss, nll

    def _seed_batch(self, number: int) -> None:
        """Seed what is random in this process's batch, by its number among all of the update."""
        place = number * self.world.size + self.world.rank
        seed = np.random.SeedSequence([self.config.seed, self.progress.step, place])
        torch.manual_seed(int(seed.generate_state(1)[0]))

    def _forward(self, batch: Batch) -> SequenceLoss:
        bf16 = self.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            features, _ = self.replica(batch.src, batch.src_lengths, batch.tgt_in)
            return sequence_loss(
                features,
                self.model.output_layer,
                batch.tgt_out,
                label_smoothing=self.config.optim.label_smoothing,
            )

    def _diverged(self, update: int, symptom: str) -> DivergenceError:
        optim, best = self.config.optim, self.progress.best_step
        more_exact = "; trainer.precision=fp32 may help too" if self.precision == "bf16" else ""
        return DivergenceError(
            f"training diverged at update {update}: {symptom}. Lower optim.lr (now {optim.lr}), "
            f"raise optim.warmup_steps (now {optim.warmup_steps}) or lower optim.clip_norm (now "
            f"{optim.clip_norm}){more_exact}. "
            + (f"best.pt of update {best} is kept" if best else "There is no best.pt yet")
        )

    def _validation_is_due(self) -> bool:
        every = self.config.trainer.validate_every
        if self.progress.step >= self.total_steps:
            return True
        if every:
            return self.progress.step % every == 0
        sampler = self.loader.sampler
        return sampler.position in (0, len(sampler))  # the epoch is over

    def _validate(self, tracker: Tracker | Silence) -> None:
        """Judge the model, or its moving average, and save what the verdict asks for."""
        if self.ema is not None:
            self.ema.swap(self.model)
        try:
            validation = self.validator(self.model)
        except DivergenceError as error:
            raise self._diverged(self.progress.step, str(error)) from None
        value = validation.value(self.config.trainer.metric)
        best = self._is_better(value, validation.teacher_forced.loss)
        self.schedule.observe(improved=best)
        self.progress.validated = self.progress.step
        self.progress.waited = 0 if best else self.progress.waited + 1
        if best:
            self.progress.best_value, self.progress.best_step = value, self.progress.step
            self.progress.best_loss = validation.teacher_forced.loss
        self._record_validation(validation, tracker)
        if self.world.is_writer:  # last.pt follows at once, or a kill would leave them apart
            self.keeper.save_judged(
                self.model.state_dict(), step=self.progress.step, value=value, best=best
            )
        if self.ema is not None:
            self.ema.swap(self.model)
        self._save_last()

    def _is_better(self, value: float, loss: float) -> bool:
        """Say whether the metric beats the best so far or, where it cannot tell, the loss does."""
        best, metric = self.progress.best_value, self.config.trainer.metric
        if best is None:
            return True
        if value == best or (metric is Metric.bleu and max(value, best) < _LEAST_BLEU):
            return loss < self.progress.best_loss
        return value > best if metric.higher_is_better else value < best

    def _is_over(self) -> bool:
        return self.progress.step >= self.total_steps or self._ran_out_of_patience()

    def _ran_out_of_patience(self) -> bool:
        patience = self.config.trainer.patience
        return patience is not None and self.progress.waited >= patience

    def _save_last(self) -> None:
        """Save all that the next update depends on."""
        if not self.world.is_writer:
            return
        self.keeper.save_last(
            {
                "model": self.model.state_dict(),
                "step": self.progress.step,
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "sampler": self.loader.sampler.state_dict(),
                "progress": vars(self.progress),
                "ema": self.ema.average if self.ema is not None else [],
                "processes": self.world.size,
            }
        )

    def _finish(self, tracker: Tracker | Silence) -> None:
        if self.progress.validated != self.progress.step:
            self._validate(tracker)
        if self.config.trainer.average and self.world.is_writer:
            self.keeper.write_average(self.progress.step)

    def _record_start(self, tracker: Tracker | Silence) -> None:
        tracker.event(
            "start",
            self.progress.step,
            {
                "parameters": self.model.n_parameters,
                "total_steps": self.total_steps,
                "device": self.device.type,
                "precision": self.precision,
            },
        )

    def _record_update(
        self, tracker: Tracker | Silence, values: dict[str, float], *, tokens_per_s: float
    ) -> None:
        progress, before = self.progress, self.resumed_from
        place = {"epoch": progress.epoch, "seconds": progress.seconds}
        tracker.event("train", progress.step, values | {"tokens_per_s": tokens_per_s} | place)
        tracker.progress(
            progress.step,
            loss=values["nll"],
            # of this process: the run may have begun on another machine, or beside other work
            tokens_per_s=(progress.tokens - before.tokens) / (progress.seconds - before.seconds),
        )

    def _record_validation(self, validation: Validation, tracker: Tracker | Silence) -> None:
        step = self.progress.step
        values = {
            "loss": validation.teacher_forced.loss,
            "ppl": validation.teacher_forced.perplexity,
            "bleu": validation.bleu.value,
            "signature": validation.bleu.signature,
            "epoch": self.progress.epoch,
            "seconds": self.progress.seconds,
        }
        tracker.event("valid", step, values)
        marker = "  (best so far)" if self.progress.best_step == step else ""
        _log.info(
            "update %d  validation: loss %.3f  perplexity %.2f  BLEU %.2f%s",
            step,
            validation.teacher_forced.loss,
            validation.teacher_forced.perplexity,
            validation.bleu.value,
            marker,
        )
        samples = draw_samples(
            validation,
            self.validator,
            source_tokenizer=self.tokenizers.src,
            n_samples=self.config.trainer.samples,
        )
        tracker.samples(samples, step)

    def _outcome(self, reason: str) -> Outcome:
        progress = self.progress
        return Outcome(
            reason,
            progress.step,
            progress.best_step,
            progress.best_value,
            progress.tokens / max(progress.seconds, 1e-9),
            progress.seconds,
        )
