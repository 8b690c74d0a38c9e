"""The container component of `pretrain`."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components.core.component import COMMAND, IMAGES, arguments


@dsl.container_component
def pretrain(
    recipe: str,
    values: str,
    code_digest: str,  # noqa: ARG001  read by the pipeline's cache alone
    dataset: Input[Dataset],
    encoder: Output[Model],
    metrics: Output[Metrics],
    fold: str = "",
    seed: str = "",
) -> dsl.ContainerSpec:
    """Train the encoder on the train pictures without their labels.

    Args:
        recipe: Name of the recipe.
        values: Canonical JSON of the stage's values.
        code_digest: Digest of the code in the image.
        dataset: What `prepare` wrote.
        encoder: Weights of the encoder alone, and their description.
        metrics: The linear probe before and after.
        fold: Which fold of how many is tested, as `0/5`; empty for the values' own split.
        seed: Training seed; empty for the values' own.
    """
    member = {"fold": fold, "seed": seed}
    ports = {"dataset": dataset.path, "encoder": encoder.path, "metrics": metrics.path}
    return dsl.ContainerSpec(
        image=IMAGES["gpu"], command=COMMAND, args=arguments("pretrain", recipe, values, {**member, **ports})
    )
