"""The container component of `evaluate`."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from components.core.component import COMMAND, IMAGES, arguments


@dsl.container_component
def evaluate(  # noqa: PLR0913, PLR0917  one argument per port
    recipe: str,
    values: str,
    code_digest: str,  # noqa: ARG001  read by the pipeline's cache alone
    dataset: Input[Dataset],
    warmup: Input[Model],
    partial_unfreeze: Input[Model],
    end_to_end: Input[Model],
    metrics: Output[Metrics],
    report: Output[HTML],
    cases: Output[Artifact],
    classes: Output[ClassificationMetrics],
    encoder: Input[Model] = None,
    previous: Input[Artifact] = None,
    ensemble: Input[Artifact] = None,
    fold: str = "",
    seed: str = "",
) -> dsl.ContainerSpec:
    """Judge every phase's model on the test split and write the report.

    Args:
        recipe: Name of the recipe.
        values: Canonical JSON of the stage's values.
        code_digest: Digest of the code in the image.
        dataset: What `prepare` wrote.
        warmup: Model of the first phase.
        partial_unfreeze: Model of the second phase.
        end_to_end: Model of the third phase.
        encoder: What `pretrain` handed on, for its linear probe.
        previous: An earlier evaluation to compare with.
        ensemble: Folder of exported bundles, whose averaged answers are judged too.
        metrics: Scores of every model and baseline.
        report: Self-contained HTML.
        cases: One row per test case.
        classes: True and predicted class of every test case; the confusion matrix.
        fold: Which fold of how many is tested, as `0/5`; empty for the values' own split.
        seed: Training seed; empty for the values' own.
    """
    member = {"fold": fold, "seed": seed}
    judged = {"warmup": warmup.path, "partial_unfreeze": partial_unfreeze.path, "end_to_end": end_to_end.path}
    written = {"metrics": metrics.path, "report": report.path, "cases": cases.path, "classes": classes.path}
    ports = {"dataset": dataset.path, **judged, **written}
    probed = dsl.IfPresentPlaceholder(input_name="encoder", then=["--encoder", encoder.path])
    compared = dsl.IfPresentPlaceholder(input_name="previous", then=["--previous", previous.path])
    joined = dsl.IfPresentPlaceholder(input_name="ensemble", then=["--ensemble", ensemble.path])
    return dsl.ContainerSpec(
        image=IMAGES["gpu"],
        command=COMMAND,
        args=[*arguments("evaluate", recipe, values, {**member, **ports}), probed, compared, joined],
    )
