"""The training loop."""

import logging
import math
import time
from collections.abc import Iterator

import torch

from mt.checkpoint import RunDirectory
from mt.choices import Precision
from mt.config import Config
from mt.data.batching import Batch, BatchLoader
from mt.data.tokenizer import TokenizerPair
from mt.models.loss import SequenceLoss, sequence_loss
from mt.models.seq2seq import Seq2Seq
from mt.training.interrupt import Interrupt
from mt.training.keeper import CheckpointKeeper
from mt.training.optim import ExponentialMovingAverage, Schedule, build_optimizer
from mt.training.progress import Outcome, Progress
from mt.training.samples import show_samples
from mt.training.tracking import Tracker
from mt.training.validation import Validation, Validator

_log = logging.getLogger(__name__)


class DivergenceError(RuntimeError):
    """The loss or the gradient is no longer a finite number."""


class Trainer:
    """Train a model: updates, validation, checkpoints, early stopping, exact resumption."""

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
    ) -> None:
        self.config = config
        self.model = model
        self.run = run
        self.loader = loader
        self.validator = validator
        self.tokenizers = tokenizers
        self.device = device
        self.progress = Progress()
        self.keeper = CheckpointKeeper(run, config.trainer)
        steps_per_epoch = max(1, math.ceil(len(loader.sampler) / config.trainer.accumulate))
        total = config.trainer.max_epochs * steps_per_epoch
        self.total_steps = min(total, config.trainer.max_steps or total)
        self.optimizer = build_optimizer(model.parameters(), config.optim)
        self.schedule = Schedule(config.optim, total_steps=self.total_steps)
        decay = config.trainer.ema_decay
        self.ema = ExponentialMovingAverage(model, decay) if decay > 0 else None

    def fit(self) -> Outcome:
        """Train until the last epoch or update, an early stop, or Ctrl-C.

        Raises:
            DivergenceError: The loss or its gradient is not finite; earlier checkpoints remain.
        """
        reason = "finished"
        with (
            Interrupt() as interrupt,
            Tracker(self.run, step=self.progress.step, total_steps=self.total_steps) as tracker,
        ):
            self._record_start(tracker)
            for batches in self._updates():
                self._update(batches, tracker)
                if self._validation_is_due():
                    self._validate(tracker)
                    if self._ran_out_of_patience():
                        reason = "early stop"
                        break
                if interrupt.requested:
                    reason = "interrupted"
                    break
            if reason == "interrupted":
                self._save_last()
            else:
                self._finish(tracker)
            outcome = self._outcome(reason)
            parameters = {"parameters": self.model.n_parameters}
            tracker.event("end", self.progress.step, outcome._asdict() | parameters)
        return outcome

    def resume(self) -> None:
        """Take up the state of the run's last full checkpoint: all that the next update depends on.

        Raises:
            FileNotFoundError: Nothing has been saved yet.
            ValueError: Neither the last checkpoint nor the one before can be read.
        """
        saved = self.keeper.load_last()
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.loader.sampler.load_state_dict(saved["sampler"])
        self.progress = Progress(**saved["progress"])
        if self.ema is not None:
            self.ema.average = [average.to(self.device) for average in saved["ema"]]
        torch.set_rng_state(saved["rng"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(saved["cuda_rng"], self.device)

    def _updates(self) -> Iterator[list[Batch]]:
        """Yield the batches of each update, across epochs; the rest of an epoch is one too."""
        accumulate = self.config.trainer.accumulate
        sampler = self.loader.sampler
        while (
            sampler.epoch < self.config.trainer.max_epochs and self.progress.step < self.total_steps
        ):
            group: list[Batch] = []
            for batch in self.loader:
                group.append(batch)
                if len(group) == accumulate:
                    yield group
                    group = []
                    if self.progress.step >= self.total_steps:
                        return
            if group:
                yield group

    def _update(self, batches: list[Batch], tracker: Tracker) -> None:
        """Do one optimizer update from one or more batches, weighted by their target tokens."""
        started = time.perf_counter()
        self.model.train()
        step, lr = self.progress.step, self.schedule.lr(self.progress.step)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = lr
        n_tokens = sum(batch.n_tokens for batch in batches)
        loss = nll = 0.0
        self.optimizer.zero_grad()
        for batch in batches:
            result = self._forward(batch.to(self.device))
            share = result.n_tokens / n_tokens
            (result.loss * share).backward()  # type: ignore[no-untyped-call]
            loss += float(result.loss.detach()) * share
            nll += float(result.nll) / n_tokens
        norm = float(
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.clip_norm)
        )
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise DivergenceError(self._divergence(loss, norm))
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.model, step)
        seconds = time.perf_counter() - started
        self.progress.step += 1
        self.progress.seconds += seconds
        self.progress.tokens += n_tokens
        values = {"loss": loss, "nll": nll, "grad_norm": norm, "lr": lr}
        self._record_update(tracker, values, tokens_per_s=n_tokens / seconds)

    def _forward(self, batch: Batch) -> SequenceLoss:
        bf16 = self.config.trainer.precision is Precision.bf16
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            features, _ = self.model(batch.src, batch.src_lengths, batch.tgt_in)
            return sequence_loss(
                features,
                self.model.output_layer,
                batch.tgt_out,
                label_smoothing=self.config.optim.label_smoothing,
            )

    def _divergence(self, loss: float, norm: float) -> str:
        optim, best = self.config.optim, self.progress.best_step
        return (
            f"training diverged at update {self.progress.step + 1}: the loss is {loss} and the "
            f"length of its gradient {norm}. Lower optim.lr (now {optim.lr}), raise "
            f"optim.warmup_steps (now {optim.warmup_steps}) or lower optim.clip_norm (now "
            f"{optim.clip_norm}); with trainer.precision=bf16 try fp32. "
            + (f"best.pt of update {best} is kept" if best else "No checkpoint was saved before")
        )

    def _validation_is_due(self) -> bool:
        every = self.config.trainer.validate_every
        if self.progress.step >= self.total_steps:
            return True
        if every:
            return self.progress.step % every == 0
        sampler = self.loader.sampler
        return sampler.position in (0, len(sampler))  # the epoch is over

    def _validate(self, tracker: Tracker) -> None:
        """Judge the model, or its moving average, and save what the verdict asks for."""
        if self.ema is not None:
            self.ema.swap(self.model)
        validation = self.validator(self.model)
        value = validation.value(self.config.trainer.metric)
        best = self._is_better(value, self.progress.best_value)
        self.schedule.observe(improved=best)
        self.progress.validated = self.progress.step
        self.progress.waited = 0 if best else self.progress.waited + 1
        if best:
            self.progress.best_value, self.progress.best_step = value, self.progress.step
        self.keeper.save_judged(
            self.model.state_dict(), step=self.progress.step, value=value, best=best
        )
        self._record_validation(validation, tracker)
        if self.ema is not None:
            self.ema.swap(self.model)
        self._save_last()

    def _is_better(self, value: float, than: float | None) -> bool:
        if than is None:
            return True
        return value > than if self.config.trainer.metric.higher_is_better else value < than

    def _ran_out_of_patience(self) -> bool:
        patience = self.config.trainer.patience
        return patience is not None and self.progress.waited >= patience

    def _save_last(self) -> None:
        """Save all that the next update depends on."""
        state = {
            "model": self.model.state_dict(),
            "step": self.progress.step,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "sampler": self.loader.sampler.state_dict(),
            "progress": vars(self.progress),
            "ema": self.ema.average if self.ema is not None else [],
            "rng": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        self.keeper.save_last(state)

    def _finish(self, tracker: Tracker) -> None:
        if self.progress.validated != self.progress.step:
            self._validate(tracker)
        if self.config.trainer.average:
            self.keeper.write_average(self.progress.step)

    def _record_start(self, tracker: Tracker) -> None:
        tracker.event(
            "start",
            self.progress.step,
            {"parameters": self.model.n_parameters, "total_steps": self.total_steps},
        )

    def _record_update(
        self, tracker: Tracker, values: dict[str, float], *, tokens_per_s: float
    ) -> None:
        progress = self.progress
        place = {"epoch": self.loader.sampler.epoch, "seconds": progress.seconds}
        tracker.event("train", progress.step, values | {"tokens_per_s": tokens_per_s} | place)
        tracker.progress(
            progress.step,
            loss=values["nll"],
            tokens_per_s=progress.tokens / progress.seconds,
        )

    def _record_validation(self, validation: Validation, tracker: Tracker) -> None:
        step = self.progress.step
        values = {
            "loss": validation.teacher_forced.loss,
            "ppl": validation.teacher_forced.perplexity,
            "bleu": validation.bleu.value,
            "signature": validation.bleu.signature,
            "epoch": self.loader.sampler.epoch,
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
        show_samples(
            tracker,
            validation,
            self.validator,
            source_tokenizer=self.tokenizers.src,
            n_samples=self.config.trainer.samples,
            step=step,
        )

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
