"""The container component of `partial_unfreeze`."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components.core.component import COMMAND, IMAGES, arguments


@dsl.container_component
def partial_unfreeze(
    recipe: str,
    values: str,
    code_digest: str,  # noqa: ARG001  read by the pipeline's cache alone
    dataset: Input[Dataset],
    weights: Input[Model],
    model: Output[Model],
    metrics: Output[Metrics],
    fold: str = "",
    seed: str = "",
) -> dsl.ContainerSpec:
    """Train the last blocks too.

    Args:
        recipe: Name of the recipe.
        values: Canonical JSON of the stage's values.
        code_digest: Digest of the code in the image.
        dataset: What `prepare` wrote.
        weights: What `warmup` hands on.
        model: Weights and their description.
        metrics: Validation metrics and the history of the phase.
        fold: Which fold of how many is tested, as `0/5`; empty for the values' own split.
        seed: Training seed; empty for the values' own.
    """
    member = {"fold": fold, "seed": seed}
    ports = {"dataset": dataset.path, "weights": weights.path, "model": model.path, "metrics": metrics.path}
    return dsl.ContainerSpec(
        image=IMAGES["gpu"], command=COMMAND, args=arguments("partial_unfreeze", recipe, values, {**member, **ports})
    )
