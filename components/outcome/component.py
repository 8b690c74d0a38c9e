"""The container component of `outcome`: the exit handler of a pipeline."""

from kfp import dsl

from components.core.component import COMMAND, IMAGES


@dsl.container_component
def outcome(recipe: str, pushgateway: str, status: dsl.PipelineTaskFinalStatus) -> dsl.ContainerSpec:
    """Push how the pipeline ended.

    Args:
        recipe: Name of the recipe.
        pushgateway: Address of the Pushgateway.
        status: The pipeline's final status, which Kubeflow fills in.
    """
    args = ["outcome", recipe, "--pushgateway", pushgateway, "--status", status]
    return dsl.ContainerSpec(image=IMAGES["cpu"], command=COMMAND, args=args)
