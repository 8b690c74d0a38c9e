"""The container component of `prepare`."""

from kfp import dsl
from kfp.dsl import Dataset, Output

from components.core.component import COMMAND, IMAGES, arguments


@dsl.container_component
def prepare(
    recipe: str,
    values: str,
    code_digest: str,  # noqa: ARG001  read by the pipeline's cache alone
    dataset: Output[Dataset],
    raw: str = "",
    raw_digest: str = "",  # noqa: ARG001  read by the pipeline's cache alone
    fold: str = "",
) -> dsl.ContainerSpec:
    """Validate the raw data, split it once, and write shards.

    Args:
        recipe: Name of the recipe.
        values: Canonical JSON of the stage's values.
        code_digest: Digest of the code in the image.
        raw: Folder or URI of the raw data; empty takes the recipe's synthetic data.
        raw_digest: Digest of the raw data's content, because caching does not look behind a path.
        fold: Which fold of how many is tested, as `0/5`; empty for the values' own split.
        dataset: Shards, index and card.
    """
    ports = {"fold": fold, "raw": raw, "dataset": dataset.path}
    return dsl.ContainerSpec(image=IMAGES["cpu"], command=COMMAND, args=arguments("prepare", recipe, values, ports))
