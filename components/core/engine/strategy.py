"""Progressive unfreezing as values: which layer groups train from which epoch of a whole run on, and at which rates.

A strategy is one object for all three training stages. It divides the run into legs, between which the set of training
groups grows: legs of the head alone are `warmup`, those of everything are `end_to_end`, what lies between them is
`partial_unfreeze`. A stage without a leg passes its input through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from components.core.config import Values
from components.core.engine.phase import Course, Handoff, Phase
from components.core.models.layer_groups import BACKBONE_GROUPS, HEAD, LAYER_GROUPS, group_key

Schedule: TypeAlias = Mapping[int, tuple[str, ...]]
"""Groups that begin to train, by epoch of the run."""

StageName: TypeAlias = Literal["warmup", "partial_unfreeze", "end_to_end"]

REFERENCE = 50
"""Epochs of the run that the named schedules were written for."""

STAGE4, STAGE3, STAGE2, EARLY = BACKBONE_GROUPS

DECIDED = ("epochs", "trainable", "layer_decay", "schedule", "warmup_steps", "warmup_epochs", "handoff", "course")
"""Values of a phase that a strategy takes over."""


@dataclass(frozen=True)
class Leg:
    """A stretch of the run in which the same groups train.

    Attributes:
        begins: Its first epoch, counted over the run.
        ends: The epoch after its last one.
        groups: That train, from head to stem.
        new: Of which these did not before.
    """

    begins: int
    ends: int
    groups: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def stage(self) -> StageName:
        """The stage that it belongs to."""
        if self.groups == (HEAD,):
            return "warmup"
        return "end_to_end" if self.groups == LAYER_GROUPS else "partial_unfreeze"


class Progressive(Values):
    """What every strategy has.

    Attributes:
        epochs: Of the whole run, all stages together.
        rate: Learning rate of the head; every other group has a fixed share of it.
        schedule: One for the whole run.
        warmup_epochs: Linear warm-up of groups that begin to train, at most 10 % of the leg that they begin in.
        fit_schedule: Scale the epochs of the schedule to a run of other length than it was written for. Without it, a
            schedule that the run ends before is an error.
    """

    unfreezes: ClassVar[Schedule] = {}
    shares: ClassVar[Mapping[str, float]] = {}

    epochs: int = Field(ge=1)
    rate: float = Field(gt=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_epochs: float = Field(default=1.0, ge=0)
    fit_schedule: bool = False

    def planned(self) -> Schedule:
        """The schedule as it was written, and for how many epochs: see `reference`."""
        return self.unfreezes

    def share(self) -> Mapping[str, float]:
        """Factor on the head's rate by group."""
        return self.shares

    def reference(self) -> int:
        """Epochs of the run that the schedule was written for."""
        return REFERENCE

    @model_validator(mode="after")
    def _the_run_reaches_everything(self) -> "Progressive":
        last = max(self.planned())
        if not self.fit_schedule and last >= self.epochs:
            raise ValueError(
                f"the schedule is longer than the run: it still unfreezes in epoch {last}, and there are"
                f" {self.epochs}; set strategy.fit_schedule: true to scale it, or train for {last + 1} epochs or more"
            )
        return self

    def legs(self) -> list[Leg]:
        """The stretches of the run, in order. Groups that would begin in one epoch begin together."""
        begins: dict[int, set[str]] = {}
        for epoch, groups in self.planned().items():
            at = min(epoch * self.epochs // self.reference(), self.epochs - 1) if self.fit_schedule else epoch
            begins.setdefault(at, set()).update(groups)
        starts, found, training = sorted(begins), [], set[str]()
        for start, end in zip(starts, [*starts[1:], self.epochs], strict=True):
            new = _ordered(begins[start] - training)
            training |= begins[start]
            found.append(Leg(start, end, _ordered(training), new))
        return found

    def phases(self, stage: StageName, base: Phase) -> list[Phase]:
        """The phases that a stage runs, one after the other.

        Args:
            base: Everything that a strategy does not decide: batches, losses, views, averages, patience.

        Returns:
            At least one; where the strategy has no leg of this stage it has no epochs, and passes its input through.
        """
        legs = self.legs()
        own = [leg for leg in legs if leg.stage == stage]
        if own:
            return [self._phase(leg, base, last=leg is legs[-1]) for leg in own]
        order: tuple[StageName, ...] = ("warmup", "partial_unfreeze", "end_to_end")
        before = [leg.groups for leg in legs if order.index(leg.stage) < order.index(stage)]
        trained = before[-1] if before else (HEAD,)
        return [
            _with(base, epochs=0, trainable=self._rates(trained), handoff=Handoff(weights="last", optimizer="keep"))
        ]

    def _phase(self, leg: Leg, base: Phase, last: bool) -> Phase:
        return _with(
            base,
            epochs=leg.ends - leg.begins,
            trainable=self._rates(leg.groups),
            schedule=self.schedule,
            warmup_epochs=self.warmup_epochs,
            handoff=Handoff() if last else Handoff(weights="last", optimizer="keep"),
            course=Course(begins=leg.begins, epochs=self.epochs, new=tuple(map(group_key, leg.new))),
        )

    def _rates(self, groups: tuple[str, ...]) -> dict[str, float]:
        return {group_key(group): self.rate * self.share()[group] for group in groups}


def _ordered(groups: set[str]) -> tuple[str, ...]:
    return tuple(group for group in LAYER_GROUPS if group in groups)


def _with(base: Phase, **decided: object) -> Phase:
    """The phase with what the strategy decides in place of its own values."""
    kept = {name: value for name, value in base.model_dump().items() if name not in DECIDED}
    return Phase.model_validate({**kept, **decided})


def powers(share: float) -> dict[str, float]:
    """1, share, share^2, ... from head to stem."""
    return {group: share**depth for depth, group in enumerate(LAYER_GROUPS)}


class NoFreezing(Progressive):
    """Everything trains from the first epoch on, at one rate."""

    unfreezes = {0: LAYER_GROUPS}
    shares = powers(1.0)
    kind: Literal["none"] = "none"


class FreezeBackbone(Progressive):
    """The head alone trains, in the whole run."""

    unfreezes = {0: (HEAD,)}
    shares = powers(1.0)
    kind: Literal["freeze_backbone"] = "freeze_backbone"


class Conservative(Progressive):
    """Late and slow: epochs 0, 10, 20 and 30 of 50; a tenth of the rate per group."""

    unfreezes = {0: (HEAD,), 10: (STAGE4,), 20: (STAGE3,), 30: (STAGE2, EARLY)}
    shares = powers(0.1)
    kind: Literal["conservative"] = "conservative"


class Balanced(Progressive):
    """A group every five epochs: 0, 5, 10, 15 and 20 of 50; 0.15 of the rate per group."""

    unfreezes = {0: (HEAD,), 5: (STAGE4,), 10: (STAGE3,), 15: (STAGE2,), 20: (EARLY,)}
    shares = powers(0.15)
    kind: Literal["balanced"] = "balanced"


class MedicalOptimized(Progressive):
    """Ever longer pauses: epochs 0, 8, 15, 25 and 35 of 50; the backbone at a twentieth of the rate and less."""

    unfreezes = {0: (HEAD,), 8: (STAGE4,), 15: (STAGE3,), 25: (STAGE2,), 35: (EARLY,)}
    shares = {HEAD: 1.0, STAGE4: 0.05, STAGE3: 0.025, STAGE2: 0.0125, EARLY: 0.00625}
    kind: Literal["medical_optimized"] = "medical_optimized"


class Aggressive(Progressive):
    """Early and fast: epochs 0, 3, 6 and 9 of 50; a fifth of the rate per group."""

    unfreezes = {0: (HEAD,), 3: (STAGE4, STAGE3), 6: (STAGE2,), 9: (EARLY,)}
    shares = powers(0.2)
    kind: Literal["aggressive"] = "aggressive"


class Custom(Progressive):
    """A schedule of one's own.

    Attributes:
        unfreeze: Groups that begin to train, by epoch of the run; the head begins in epoch 0.
        factors: Share of `rate` by group; 1 where it says nothing.
        written_for: Epochs of the run that `unfreeze` was written for: what `fit_schedule` scales from.
    """

    kind: Literal["custom"] = "custom"
    unfreeze: dict[int, tuple[str, ...]]
    factors: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    written_for: int = Field(default=REFERENCE, ge=1)

    @field_validator("unfreeze", "factors")
    @classmethod
    def _groups_are_known(cls, named: Mapping[object, object]) -> Mapping[object, object]:
        groups = [each for key, value in named.items() for each in (value if isinstance(value, tuple) else (key,))]
        if unknown := sorted({str(group) for group in groups} - set(LAYER_GROUPS)):
            raise ValueError(f"no layer group {', '.join(unknown)}: the groups are {', '.join(LAYER_GROUPS)}")
        return named

    @field_validator("unfreeze")
    @classmethod
    def _every_group_begins_once(cls, unfreeze: Schedule) -> Schedule:
        listed = [group for groups in unfreeze.values() for group in groups]
        if twice := sorted({group for group in listed if listed.count(group) > 1}):
            raise ValueError(f"{', '.join(twice)} begins to train twice")
        if HEAD not in unfreeze.get(0, ()) or min(unfreeze) < 0:
            raise ValueError("the head begins to train in epoch 0, and no epoch is before it")
        return dict(sorted(unfreeze.items()))

    def planned(self) -> Schedule:
        """The schedule as it was written."""
        return self.unfreeze

    def share(self) -> Mapping[str, float]:
        """Factor on the head's rate by group."""
        return {group: self.factors.get(group, 1.0) for group in LAYER_GROUPS}

    def reference(self) -> int:
        """Epochs of the run that the schedule was written for."""
        return self.written_for


Strategy: TypeAlias = Annotated[
    NoFreezing | FreezeBackbone | Conservative | Balanced | MedicalOptimized | Aggressive | Custom,
    Field(discriminator="kind"),
]
