"""The weights a phase begins with: those of a finished phase, or of an encoder that `pretrain` handed on."""

from torch import nn

from components.core.checkpoint.artifact import ModelArtifact
from components.core.engine.snapshot import put_whole
from components.core.engine.task import Task
from components.core.errors import BadInput


def build(task: Task, seed: int, start: ModelArtifact | None) -> nn.Module:
    """The model that a phase begins with.

    Args:
        start: What was handed on to it; None begins with the recipe's own weights.

    Raises:
        BadInput: The weights are not those of this model or encoder.
    """
    model = task.build_model(seed)
    if start is not None:
        put_start(task, model, start)
    return model


def put_start(task: Task, model: nn.Module, start: ModelArtifact) -> None:
    """Copy what a finished stage handed on into an untrained model.

    Args:
        model: As `task.build_model` gives it.
        start: All weights of such a model, or those of its encoder alone; the rest then stays as it is.

    Raises:
        BadInput: The weights are not those of this model or encoder, or the recipe has no encoder.
    """
    where = f"model of the stage {start.meta.phase}"
    if start.meta.scope == "model":
        put_whole(model, start.weights, where)
        return
    encoder = task.encoder(model)
    if encoder is None:
        raise BadInput("this model has no encoder to start from", where=where, remedy="leave --encoder out")
    put_whole(encoder.module, start.weights, where)
