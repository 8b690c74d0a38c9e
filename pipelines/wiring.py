"""The one wiring: which stage's output is which stage's input. Every door reads it; it knows neither kfp nor torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Node:
    """A stage's place in the graph.

    Attributes:
        stage: Name of the stage.
        image: Which of the two images runs it.
        inputs: Producer by port, as `stage.port`. An edge to a node that is switched off is left out, which
            only an optional port allows.
        parameters: The pipeline's own parameters that the stage takes.
        member: Which of fold and seed decide its result, in graphs that branch into the members of a cross-validation.
        former: The stage's own output, by optional port: in a folder that is run again, the one of the run before is
            kept and compared with.
        switch: Dotted key of the params; the node exists where its value is above 0. Empty: always.
    """

    stage: str
    image: Literal["cpu", "gpu"] = "gpu"
    inputs: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    member: tuple[str, ...] = ("fold", "seed")
    former: Mapping[str, str] = field(default_factory=dict)
    switch: str = ""

    def is_on(self, params: Mapping[str, Any]) -> bool:
        """Does this recipe have the node?"""
        if not self.switch:
            return True
        value: Any = params
        for name in self.switch.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return bool(value)


DATASET = "prepare.dataset"

NODES: tuple[Node, ...] = (
    Node("prepare", image="cpu", parameters=("raw", "raw_digest"), member=("fold",)),
    Node("pretrain", inputs={"dataset": DATASET}, switch="pretrain.epochs"),
    Node("warmup", inputs={"dataset": DATASET, "encoder": "pretrain.encoder"}),
    Node("partial_unfreeze", inputs={"dataset": DATASET, "weights": "warmup.model"}),
    Node("end_to_end", inputs={"dataset": DATASET, "weights": "partial_unfreeze.model"}),
    Node(
        "evaluate",
        inputs={
            "dataset": DATASET,
            "warmup": "warmup.model",
            "partial_unfreeze": "partial_unfreeze.model",
            "end_to_end": "end_to_end.model",
            "encoder": "pretrain.encoder",
        },
        former={"previous": "cases"},
    ),
    Node("export", inputs={"dataset": DATASET, "weights": "end_to_end.model", "evaluation": "evaluate.metrics"}),
)
"""In order: every producer stands before its consumers."""
