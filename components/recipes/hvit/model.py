"""HVit: picture to a map of tokens, DFCA with the second stream, class scores."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from components.core.models.backbone import Backbone
from components.core.models.dfca import Dfca
from components.core.models.second_stream import SecondStream
from components.core.models.tower import backbone_parts
from components.recipes.hvit.head import ClassHead
from components.recipes.hvit.model_config import ModelConfig

BEHIND = 0xD0FA
"""Tells the seed of what stands behind the backbone from the backbone's own."""


@dataclass(frozen=True)
class Scores:
    """What the model says of a batch.

    Attributes:
        logits: Class scores before the softmax, [b, k].
        tokens: The map that was pooled for them, [b, d, h, w].
        attention: How much DFCA looked at each place of the second stream, [b, g, g]; None unless asked for.
    """

    logits: Tensor
    tokens: Tensor
    attention: Tensor | None = None


class HVit(nn.Module):
    """The whole model; parts are separate modules, so that phases can train them apart.

    Legend: s = image size, [b, d, h, w] = map of the backbone, k = classes, [b, c, u, v] = what the second stream
    derives from a picture.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: ClassHead,
        dfca: Dfca | None = None,
        second_stream: SecondStream | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.dfca = dfca
        self.second_stream = second_stream
        self.head = head

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b k"]:
        """Class scores before the softmax of RGB pictures in [0, 1]."""
        return self.of_picture(image).logits

    def of_picture(self, image: Float[Tensor, "b 3 s s"], explain: bool = False) -> Scores:
        """What it says of RGB pictures in [0, 1]."""
        return self.of_map(self.backbone.forward_map(image), self.derive(image), explain)

    def derive(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c u v"] | None:
        """What DFCA attends to, before it is embedded: no weight takes part. None without DFCA."""
        return None if self.second_stream is None else self.second_stream.derive(image)

    def of_map(
        self, tokens: Float[Tensor, "b d h w"], derived: Float[Tensor, "b c u v"] | None, explain: bool = False
    ) -> Scores:
        """What it says of the backbone's map and the second stream.

        Args:
            explain: Also tell what DFCA looked at.
        """
        if self.dfca is None or self.second_stream is None:
            return Scores(self.head(tokens), tokens)
        if derived is None:
            raise ValueError("DFCA was given nothing to attend to")
        queries, second = tokens.flatten(2).transpose(1, 2), self.second_stream.embed(derived)
        attended: Tensor = self.dfca(queries, second).transpose(1, 2).reshape(tokens.shape)
        looked = _square(self.dfca.relevance(queries, second)) if explain else None
        return Scores(self.head(attended), attended, looked)


def _square(places: Float[Tensor, "b m"]) -> Float[Tensor, "b g g"]:
    side = math.isqrt(places.shape[1])
    return places.reshape(-1, side, side)


def build_model(config: ModelConfig, classes: int, seed: int) -> HVit:
    """Build the whole model on the CPU: a pure function of the values, the number of classes and the seed.

    The backbone comes first and from a generator of its own: its initial weights depend on nothing else of the model.

    Raises:
        BadInput: Naming the key: an unknown backbone, weights that do not fit, a size it cannot take.
    """
    backbone = config.backbone.build(config.image_size, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed ^ BEHIND)
        head = ClassHead(backbone.width, max(classes, 1))  # without any, there is still a backbone to pretrain
        if not config.use_dfca:
            return HVit(backbone, head)
        second = config.second_stream.build(backbone.width)
        return HVit(backbone, head, config.dfca.build(backbone.width), second)


def model_parts(model: HVit) -> dict[str, list[str]]:
    """Layer groups from head to stem: `head`, `dfca` (with the embedding of its second stream), the backbone's.

    Without DFCA its group is empty, so that the same phases serve both models.
    """
    found = {"head": ["head"], "dfca": [] if model.dfca is None else ["dfca", "second_stream"]}
    return found | backbone_parts(model.backbone)
