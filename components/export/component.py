"""The container component of `export`."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components.core.component import COMMAND, IMAGES, arguments


@dsl.container_component
def export(
    recipe: str,
    values: str,
    code_digest: str,  # noqa: ARG001  read by the pipeline's cache alone
    dataset: Input[Dataset],
    weights: Input[Model],
    evaluation: Input[Metrics],
    bundle: Output[Model],
    fold: str = "",
    seed: str = "",
) -> dsl.ContainerSpec:
    """Write the bundle that leaves the project: weights, ONNX graphs, metadata.

    Args:
        recipe: Name of the recipe.
        values: Canonical JSON of the stage's values.
        code_digest: Digest of the code in the image.
        dataset: What `prepare` wrote.
        weights: The model to ship.
        evaluation: Its scores, for the metadata.
        bundle: Folder of weights, graphs and metadata.json.
        fold: Which fold of how many is tested, as `0/5`; empty for the values' own split.
        seed: Training seed; empty for the values' own.
    """
    member = {"fold": fold, "seed": seed}
    ports = {
        "dataset": dataset.path,
        "weights": weights.path,
        "evaluation": evaluation.path,
        "bundle": bundle.path,
    }
    return dsl.ContainerSpec(
        image=IMAGES["gpu"], command=COMMAND, args=arguments("export", recipe, values, {**member, **ports})
    )
