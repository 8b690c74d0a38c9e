"""What is judged: the model before and after every phase, and the yardsticks beside it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import require_trained_on
from components.core.data.dataset import Dataset
from components.core.engine.cache import FeatureCache
from components.core.engine.device import Device
from components.core.engine.features import FrozenFeatures, Views
from components.core.engine.groups import owners
from components.core.engine.job import Job
from components.core.engine.legs import train
from components.core.engine.snapshot import put_whole
from components.core.engine.start import put_start
from components.core.engine.task import Batch, Examples, Features
from components.core.engine.training import checkpoint_store
from components.core.engine.validate import in_order
from components.core.identity import Identity
from components.core.runtime import Runtime
from components.core.tracking.tracker import Tracker
from components.core.tta import Tta
from components.evaluate.augmented import average_views
from components.evaluate.probes import classifies, probe_cases
from components.evaluate.system import System
from components.evaluate.values import AUGMENTED, PROBES
from components.recipes.contract import CasePrediction, RecipeTask

UNTRAINED = "untrained"


@dataclass(frozen=True)
class Judge:
    """Everything systems are judged with alike."""

    task: RecipeTask
    dataset: Dataset
    seed: int
    runtime: Runtime
    batch_size: int
    tracker: Tracker

    def untrained(self) -> System:
        """The model as the recipe builds it."""
        return System(UNTRAINED, self._predict(self.task, self.task.build_model(self.seed), {}), [], kind="untrained")

    def phase(self, name: str, folder: Path) -> System:
        """A finished phase's model."""
        artifact = self._artifact(folder)
        cases = self._predict(self.task, self._loaded(self.task, artifact), artifact.meta.decision)
        return System(name, cases, artifact.meta.history, artifact.meta.metrics, "phases")

    def controls(self, name: str, folder: Path) -> Iterator[System]:
        """A finished phase's model on the test samples asked wrongly on purpose."""
        artifact = self._artifact(folder)
        model = self._loaded(self.task, artifact)
        for control, examples in self.task.controls(self.dataset).items():
            cases = self._predict(self.task, model, artifact.meta.decision, examples)
            yield System(f"{name} ({control})", cases, [], kind="controls")

    def augmented(self, folder: Path, tta: Tta) -> System:
        """The shipped model with its answers averaged over views of each picture."""
        artifact = self._artifact(folder)
        model = self._loaded(self.task, artifact)
        cases = self._predict(self.task, model, artifact.meta.decision, tta=tta)
        return System(AUGMENTED, cases, [], kind="test-time augmentation", views=tta.views)

    def probes(self, encoder: Path | None) -> Iterator[System]:
        """Linear probes of the untrained encoder, and of a pretrained one; none where nothing is classified.

        Args:
            encoder: What `pretrain` handed on; without weights it is the untrained one.
        """
        if not classifies(self.task) or self.task.encoder(self.task.build_model(self.seed)) is None:
            return
        starts: list[tuple[str, ModelArtifact | None]] = [(PROBES[0], None)]
        if encoder is not None:
            artifact = ModelArtifact.load(encoder)
            starts += [(PROBES[1], artifact)] if artifact.weights else []
        for name, start in starts:
            model = self.task.build_model(self.seed)
            if start is not None:
                put_start(self.task, model, start)
            device = Device(self.runtime)
            cases = probe_cases(
                self.task, device.place(model), self.dataset, device, self.batch_size, self.tracker.heartbeat
            )
            yield System(name, cases, [], kind="probes")

    def pictures(self, folder: Path, shown: Collection[str]) -> list[CasePrediction]:
        """Predictions of a finished phase for some samples, with pictures; no other sample is predicted again."""
        artifact = self._artifact(folder)
        if not shown:
            return []
        return self._predict(self.task, self._loaded(self.task, artifact), artifact.meta.decision, shown=shown)

    def baselines(self) -> Iterator[System]:
        """The recipe's yardsticks that need no training loop."""
        for baseline in self.task.baselines(self.seed, str(Device(self.runtime).device)):
            self.tracker.message(f"baseline {baseline.name}")
            yield System(baseline.name, baseline.predict(self.dataset), [])

    def trained_baselines(self, identity: Identity, beside: Path) -> Iterator[System]:
        """The recipe's yardsticks trained by the engine; interrupted, they resume like any phase."""
        for name, (task, phase) in self.task.trained_baselines(self.dataset).items():
            values = {key: identity.config[key] for key in ("seed", "recipe")}
            data = {"dataset": identity.inputs["dataset"]}
            own = Identity(f"evaluate.{name}", identity.code, values, data)
            store = checkpoint_store(self.runtime, own.stage, beside)
            job = Job(task, phase, name, self.seed, self.runtime, self.dataset, None, own, store)
            result = train(job, self.tracker)
            model = task.build_model(self.seed)
            put_whole(model, result.weights, name)
            yield System(name, self._predict(task, model, result.decision), result.history)

    def _artifact(self, folder: Path) -> ModelArtifact:
        """A phase's model. Raises BadInput where it was trained on another dataset than it is judged on."""
        artifact = ModelArtifact.load(folder)
        require_trained_on(artifact.meta, self.dataset.digest, folder)
        return artifact

    def _loaded(self, task: RecipeTask, artifact: ModelArtifact) -> nn.Module:
        model = task.build_model(self.seed)
        put_whole(model, artifact.weights, f"model of the phase {artifact.meta.phase}")
        return model

    @torch.no_grad()
    def _predict(
        self,
        task: RecipeTask,
        model: nn.Module,
        decision: Mapping[str, str],
        examples: Examples | None = None,
        shown: Collection[str] | None = None,
        tta: Tta | None = None,
    ) -> list[CasePrediction]:
        """Test predictions; every layer is frozen here, so what phases share is computed once for all of them.

        Args:
            examples: None takes the test split's own.
            shown: The samples to predict, with pictures; None takes all of them, without.
            tta: Views to average; they share nothing with other systems, so nothing of them is kept.
        """
        device = Device(self.runtime)
        device.place(model).eval()
        examples = examples or task.examples(self.dataset, "test")
        parts = task.parts(model)
        losses = task.evaluation_losses()
        prefixes = task.prefixes(model, examples, frozenset(parts), losses)
        cache = FeatureCache(self.runtime.cache) if self.runtime.cache.enabled and tta is None else None
        views = Views.identity(examples.sources)
        features = FrozenFeatures(
            model, owners(model, parts), prefixes, examples, views, cache, device, heartbeat=self.tracker.heartbeat
        )
        cases = []
        rows = None if shown is None else [row for row, sample in enumerate(examples.ids) if sample in shown]
        for batch, found in in_order(
            examples, features, task.fields(losses), self.batch_size, self.runtime.workers, device, rows
        ):
            with device.autocast():
                predicted = _answers(task, model, batch, found, features, tta)
            for place, row in enumerate(batch["row"].tolist()):
                sample = examples.ids[int(row)]
                one = {name: value[place] for name, value in predicted.items()}
                cases.append(task.score(self.dataset, sample, one, decision, pictures=shown is not None))
            self.tracker.heartbeat()
        return cases


def _answers(
    task: RecipeTask, model: nn.Module, batch: Batch, found: Features, features: FrozenFeatures, tta: Tta | None
) -> dict[str, Tensor]:
    """Predictions by name, on the CPU: of the batch as it is, or averaged over its views."""
    if tta is None:
        return {name: value.float().cpu() for name, value in task.predict(model, batch, found).items()}

    def predict(shown: Batch) -> dict[str, Tensor]:
        return task.predict(model, shown, features.of(shown, [0] * len(shown["row"])))

    return average_views(tta, batch, predict)
