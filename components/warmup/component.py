"""The container component of `warmup`."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components.core.component import COMMAND, IMAGES, arguments


@dsl.container_component
def warmup(
    recipe: str,
    values: str,
    code_digest: str,  # noqa: ARG001  read by the pipeline's cache alone
    dataset: Input[Dataset],
    model: Output[Model],
    metrics: Output[Metrics],
    encoder: Input[Model] = None,
    fold: str = "",
    seed: str = "",
) -> dsl.ContainerSpec:
    """Train the new parts on frozen towers.

    Args:
        recipe: Name of the recipe.
        values: Canonical JSON of the stage's values.
        code_digest: Digest of the code in the image.
        dataset: What `prepare` wrote.
        encoder: What `pretrain` wrote, in recipes that have it.
        model: Weights and their description.
        metrics: Validation metrics and the history of the phase.
        fold: Which fold of how many is tested, as `0/5`; empty for the values' own split.
        seed: Training seed; empty for the values' own.
    """
    member = {"fold": fold, "seed": seed}
    ports = {"dataset": dataset.path, "model": model.path, "metrics": metrics.path}
    pretrained = dsl.IfPresentPlaceholder(input_name="encoder", then=["--encoder", encoder.path])
    return dsl.ContainerSpec(
        image=IMAGES["gpu"],
        command=COMMAND,
        args=[*arguments("warmup", recipe, values, {**member, **ports}), pretrained],
    )
