"""The encoder's training from files to files."""

from collections.abc import Mapping
from typing import Any, Protocol

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.contrastive.task import Contrastive, Pictured
from components.core.contrastive.values import ENCODER, Pretrain
from components.core.data.card import Card
from components.core.data.dataset import Dataset
from components.core.engine.training import PhaseFiles, Subject, run_subject, write_metrics
from components.core.identity import Identity
from components.core.runtime import Runtime


class EncoderRecipe(Protocol):
    """A recipe, as far as its encoder is trained without labels."""

    @property
    def name(self) -> str:
        """Tag in the union of recipes."""

    def build(self, card: Card) -> Pictured:
        """The task whose model holds the encoder."""

    def encoder_values(self) -> Mapping[str, Any]:
        """The plain values that decide the encoder."""


def encoder_subject(recipe: EncoderRecipe, values: Pretrain, seed: int) -> Subject:
    """What the engine trains: the encoder and a projection, of which the encoder is handed on.

    Recorded with it are the values that decide the encoder alone: recipes that differ elsewhere share it.
    """

    def task(dataset: Dataset) -> Contrastive:
        return Contrastive(recipe.build(dataset.card), dataset, values, seed)

    return Subject(recipe.name, _recorded(recipe), task, part=ENCODER, judged="probed")


def train_encoder(
    recipe: EncoderRecipe, values: Pretrain, seed: int, runtime: Runtime, identity: Identity, files: PhaseFiles
) -> None:
    """Train the encoder, or with no epochs write a folder without weights, which stands for the recipe's own.

    Args:
        identity: Of the stage's run; its checkpoints belong to it alone.
        files: What to read and write; the model is the encoder.

    Raises:
        BadInput: There are too few pictures, or the recipe has no encoder.
    """
    if values.epochs == 0:
        digest = Dataset.open(files.dataset).digest
        meta = ModelMeta(recipe=_recorded(recipe), phase=identity.stage, step=0, data_digest=digest, scope="encoder")
        ModelArtifact.save(files.model, {}, None, meta)
        write_metrics(files.metrics, {"before": {}, "val": {}, "steps": 0, "decision": {}})
        return
    run_subject(encoder_subject(recipe, values, seed), [values.phase()], seed, runtime, identity, files)


def _recorded(recipe: EncoderRecipe) -> dict[str, Any]:
    return {"encoder": dict(recipe.encoder_values())}
