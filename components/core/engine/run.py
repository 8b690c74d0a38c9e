"""One phase, or one leg of it, from start weights to result: prepared, put back where a kill left it, trained."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from components.core.engine.announce import count_parameters, describe, place_in_run
from components.core.engine.cache import FeatureCache
from components.core.engine.compiling import BACKEND
from components.core.engine.device import Device
from components.core.engine.ema import WeightAverage
from components.core.engine.features import FrozenFeatures, Keep, Views, every_prefix
from components.core.engine.gather import coupling
from components.core.engine.groups import optimizer_groups
from components.core.engine.job import Job, Result
from components.core.engine.layers import Layers
from components.core.engine.mixing import Mixing
from components.core.engine.order import Curriculum
from components.core.engine.phase import Phase
from components.core.engine.progress import RATE, Progress, defined
from components.core.engine.rates import Rates
from components.core.engine.saver import Found, Saver
from components.core.engine.shares import Shares
from components.core.engine.snapshot import Trainee, put, restore_optimizer
from components.core.engine.start import build
from components.core.engine.step import Stepper, StepResult
from components.core.engine.validate import validate
from components.core.engine.windows import Windows
from components.core.tracking.tracker import Tracker

log = logging.getLogger(__name__)


class PhaseRun:
    """A phase under way, or a leg of a stage.

    Args:
        progress: Of the legs before; None begins with the first one.
    """

    def __init__(self, job: Job, tracker: Tracker, progress: Progress | None = None) -> None:
        self._job = job
        self._tracker = tracker
        self._device = Device(job.runtime, job.phase.precision)
        self._examples = {split: job.task.examples(job.dataset, split) for split in ("train", "val")}
        self._mixing = Mixing.of(job.phase.mix, job.task, job.seed)
        self._model = build(job.task, job.seed, job.start)
        layers = Layers.of(job.task, self._model)
        self._owned = layers.owned
        rates, *_ = [self._checked_rates(layers, phase) for phase in (job.phase, *job.then)]
        self._parts = frozenset(rates)
        layers.thaw(self._parts)
        self._device.place(self._model)
        if job.runtime.compile:
            layers.compile(self._parts, self._device.device.type)
        phase = job.phase
        window = phase.batch_size * phase.accumulate
        self._curriculum = Curriculum(job.seed, self._examples["train"].sources, window, phase.views)
        self._extension = 0 if job.then else job.runtime.extend_epochs
        self._schedule = Rates(rates, layers.new(phase), phase, self._curriculum.steps_per_epoch, self._extension)
        self._trainee = self._make_trainee()
        couples = coupling(job.task, phase.losses, self._model, self._device.ranks)
        shares = Shares.of(self._device.ranks, phase.batch_size, couples)
        self._windows = Windows(self._curriculum, shares, self._mixing)
        self._progress = progress or Progress(phase.batch_size)
        self._progress.averages = self._averages_before
        self._inexact = [f"extended by {job.runtime.extend_epochs} epochs"] if job.runtime.extend_epochs else []

    def _checked_rates(self, layers: Layers, phase: Phase) -> dict[str, float]:
        """Learning rates by part of this leg or a later one, which is refused now if it cannot train."""
        rates = layers.rates(phase)
        self._job.task.check(phase.losses, self._examples["train"], frozenset(rates))
        return rates

    def _make_trainee(self) -> Trainee:
        phase = self._job.phase
        groups = optimizer_groups(self._model, self._owned, self._schedule.base, phase.weight_decay)
        optimizer = torch.optim.AdamW(groups, fused=True)
        if self._job.start is not None and self._job.start.optimizer is not None:
            restore_optimizer(optimizer, self._job.start.optimizer)
        changing = frozenset(name for name, part in self._owned.items() if part in self._parts)
        trainable = {name: p for name, p in self._model.named_parameters() if p.requires_grad}
        average = WeightAverage(trainable, phase.ema.decay, self._averages_before) if phase.ema else None
        return Trainee(self._model, optimizer, average, changing)

    @property
    def _averages_before(self) -> int:
        """How far earlier phases came in the warm-up of the weight average, where they hand their optimiser on."""
        start = self._job.start
        return int(start.meta.extra.get("averages", 0)) if start is not None and start.optimizer is not None else 0

    @property
    def progress(self) -> Progress:
        """Where the stage stands."""
        return self._progress

    @property
    def fingerprint(self) -> dict[str, str]:
        """What bit-identity depends on."""
        return {**self._device.fingerprint(), **({"compile": BACKEND} if self._job.runtime.compile else {})}

    @property
    def _epochs(self) -> int:
        """Epochs of the leg: those configured, or until patience ended them, and the extension."""
        ended = self._progress.ended
        return (self._job.phase.epochs if ended is None else ended) + self._extension

    @property
    def _total_steps(self) -> int:
        """Optimiser steps of the stage when this leg is done."""
        return self._progress.first_step + self._epochs * self._curriculum.steps_per_epoch

    def restore(self, found: Found, progress: Progress) -> None:
        """Put a checkpoint of this leg back."""
        self._progress = progress
        self._trainee.restore(found.groups, progress.averages)
        if self._device.scaler is not None and self._progress.scaler:
            self._device.scaler.load_state_dict(self._progress.scaler)
        self._inexact = list(dict.fromkeys([*self._inexact, *found.inexact]))
        self._tracker.resumed(self._progress.step)

    def train(self, saver: Saver) -> None:
        """Run the remaining epochs of the leg."""
        job, progress = self._job, self._progress
        if self._finished:
            return  # a phase of no epochs passes its input through
        self._announce()
        cache = FeatureCache(job.runtime.cache) if job.runtime.cache.enabled else None
        features = {split: self.frozen(split, cache) for split in self._examples}
        if cache is not None:
            self._tracker.cache(cache.hits, cache.misses)
        stepper = self.stepper(features["train"])
        self._device.ranks.wait()  # what fails before this is not a verdict on the run
        self._tracker.begin(job.name, self._total_steps, progress.step)
        if job.phase.validate_first and progress.step == 0:
            with saver.judged():
                progress.before = defined(self._validate(features["val"])[0])
            self._tracker.validation(job.name, -1, 0, {f"val/{name}": value for name, value in progress.before.items()})
        while not self._finished:
            for _ in saver.judging(self.steps(stepper, features["train"])):
                if saver.due(progress.step):
                    saver.save(progress.step, self._trainee.capture(), self._meta())
                saver.stop_if_asked(progress.step, self._trainee.capture, self._meta)
            with saver.judged():
                self._close_epoch(features["val"])
            saver.save(progress.step, self._trainee.capture(), self._meta(), epoch=progress.epoch)

    def _announce(self) -> None:
        job = self._job
        plan = describe(
            recipe=job.recipe,
            stage=f"{job.name}{place_in_run(job.phase)}",
            data=f"train {len(self._examples['train'].ids)}, {job.judged} {len(self._examples['val'].ids)}",
            counts=count_parameters(self._model, self._owned),
            rates=self._schedule.base,
            steps=self._total_steps,
            done=self._progress.step if self._progress.leg_step else 0,
            device=f"{self._device.device.type}, {self._device.precision}",
            store=job.store,
            runtime=job.runtime,
        )
        self._tracker.plan(plan)

    def frozen(self, split: str, cache: FeatureCache | None, keep: Keep = every_prefix) -> FrozenFeatures:
        """The frozen features of a split, evaluated now where the cache does not hold them already."""
        job, examples = self._job, self._examples[split]
        frozen = frozenset(self._owned.values()) - self._parts
        prefixes = job.task.prefixes(self._model, examples, frozen, job.phase.losses)
        if split == "train" and self._mixing is not None:
            self._mixing.check(prefixes)
        views = Views.identity(examples.sources) if split == "val" else self._curriculum.kept()
        return FrozenFeatures(
            self._model, self._owned, prefixes, examples, views, cache, self._device, keep, self._tracker.heartbeat
        )

    def stepper(self, features: FrozenFeatures) -> Stepper:
        """What runs the optimiser steps of this phase on the features of the train split."""
        job = self._job
        return Stepper(
            task=job.task,
            model=self._model,
            optimizer=self._device.prepare(self._trainee.optimizer),
            device=self._device,
            losses=job.phase.losses,
            features=features,
            ids=self._examples["train"].ids,
            clip=job.phase.clip,
            seed=job.seed,
            mixing=self._mixing,
        )

    def steps(self, stepper: Stepper, features: FrozenFeatures) -> Iterator[StepResult]:
        """The rest of the epoch under way, one optimiser step per item; gradients stay until the next one."""
        job, progress = self._job, self._progress
        fields = job.task.fields(job.phase.losses) | features.fields
        waiting = time.monotonic()
        epoch = job.phase.begins + progress.leg_epoch  # legs of one run do not repeat its order and views
        windows = self._windows.load(self._examples["train"], epoch, progress.window, fields, job.runtime.workers)
        for draw, batch, views in windows:
            waited = time.monotonic() - waiting
            self._set_rates()
            done = stepper.run(batch, views, progress.step, progress.micro_batch, draw.size)
            if self._trainee.average is not None:
                self._trainee.average.update()
                progress.averages = self._trainee.average.updates
            progress.micro_batch = done.micro_batch
            progress.add(done.terms, draw.size)
            means = {name: value / draw.size for name, value in done.terms.items()}
            self._tracker.step(
                job.name, progress.step, draw.size, means, self._schedule.at(progress.leg_step - 1),
                time.monotonic() - waiting, waited, scalars=done.scalars,
            )  # fmt: skip
            yield done
            waiting = time.monotonic()

    def next_epoch(self) -> None:
        """Close the epoch under way without a validation: for rehearsals."""
        self._progress.finish_epoch(None, self._schedule.at(self._progress.leg_step - 1))

    @property
    def model(self) -> nn.Module:
        """The model in training, on its device."""
        return self._model

    def _set_rates(self) -> None:
        rates = self._schedule.at(self._progress.leg_step)
        for group in self._trainee.optimizer.param_groups:
            group["lr"] = rates[group["part"]]

    def _close_epoch(self, features: FrozenFeatures) -> None:
        job, progress = self._job, self._progress
        done = progress.leg_epoch + 1
        summary: dict[str, float] | None = None
        if done == self._epochs or done % job.phase.validate_every == 0:
            summary, decision = self._validate(features)
            if progress.consider(summary, job.task.monitor, decision):
                self._trainee.remember_best()
            progress.end_if_stale(job.phase.patience, job.phase.epochs)
        row = progress.finish_epoch(summary, self._schedule.at(progress.leg_step - 1))
        told = {name: value for name, value in row.items() if not name.startswith(RATE)}  # every step told its rates
        self._tracker.validation(job.name, progress.epoch - 1, progress.step, told)

    def _validate(self, features: FrozenFeatures) -> tuple[dict[str, float], dict[str, str]]:
        job = self._job
        return validate(
            task=job.task,
            model=self._model,
            average=self._trainee.average,
            examples=self._examples["val"],
            features=features,
            losses=job.phase.losses,
            batch_size=job.phase.batch_size,
            workers=job.runtime.workers,
            device=self._device,
            heartbeat=self._tracker.heartbeat,
        )

    def _meta(self) -> dict[str, Any]:
        if self._device.scaler is not None:
            self._progress.scaler = self._device.scaler.state_dict()
        return {
            "progress": self._progress.dump(),
            "finished": self._finished and not self._job.then,
            "environment": self.fingerprint,
            "inexact": self._inexact,
            "extended": self._job.runtime.extend_epochs,
        }

    @property
    def _finished(self) -> bool:
        return self._progress.leg_epoch >= self._epochs

    def result(self) -> Result:
        """What the phase, or the leg, hands on."""
        progress, trainee = self._progress, self._trainee
        validation = progress.latest
        if self._job.phase.handoff.weights == "best" and trainee.best is not None:
            validation = progress.best
            put(self._model, trainee.best)
        else:
            put(self._model, trainee.effective())
        optimizer = trainee.capture()["optimizer"] if self._job.phase.handoff.optimizer == "keep" else None
        start = self._job.start
        inherited = start.meta if start is not None and start.meta.scope == "model" else None
        return Result(
            weights={name: value.detach().cpu() for name, value in self._model.state_dict().items()},
            optimizer={name: value.cpu() for name, value in optimizer.items()} if optimizer is not None else None,
            history=progress.history,
            summary=validation.summary if validation else dict(inherited.metrics) if inherited else {},
            decision=validation.decision if validation else dict(inherited.decision) if inherited else {},
            steps=progress.step,
            averages=progress.averages if optimizer is not None else 0,
            inexact=self._inexact,
            environment=self.fingerprint,
            before=progress.before,
        )
