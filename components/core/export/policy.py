"""How a model is exported, as values (no torch here)."""

from pydantic import Field

from components.core.config import Values
from components.core.tta import Tta


class Parity(Values):
    """How closely the exported graphs must follow the trained model.

    Attributes:
        images: Test samples compared, spread evenly over the split; all of them where there are fewer.
        logits: Greatest difference of any output of a graph, |a - b| <= logits * max(1, |b|).
        masks: Least fraction of equal pixels over all masks compared.
    """

    images: int = Field(default=20, ge=1)
    logits: float = Field(default=1e-4, gt=0)
    masks: float = Field(default=0.999, gt=0, le=1)


class Policy(Values):
    """What a recipe must know to write its graphs.

    Attributes:
        tta: Views that the shipped predictor averages; the evaluation must have judged the model with the same.
        opset: Version of the ONNX operators.
        parity: Tolerances between graphs and model.
    """

    tta: Tta = Tta()
    opset: int = Field(default=18, ge=18, le=23)
    parity: Parity = Parity()
