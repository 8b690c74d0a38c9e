"""An encoder with the projection that the contrastive loss looks through."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from components.core.contrastive.values import ENCODER, PROJECTION
from components.core.engine.task import Encoder


class Contraster(nn.Module):
    """Pictures to vectors, and those to the vectors that are compared.

    The projection is the paper's g(h) = W2 relu(W1 h), as wide as the encoder inside. Without batch normalisation,
    which some implementations put into it: its statistics would let every view see all others of its batch (and, over
    several processes, only those of its own process), so that the loss would depend on how a batch is cut.

    Attributes:
        source: The recipe's encoder, which trains in place.

    Args:
        width: Of the projected vectors.
        seed: Of the projection's initial weights.

    Source:
        Chen et al., ICML 2020, arXiv:2002.05709, section 2.1.
    """

    def __init__(self, source: Encoder, width: int, seed: int) -> None:
        super().__init__()
        self.source = source
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            projection = nn.Sequential(nn.Linear(source.width, source.width), nn.ReLU(), nn.Linear(source.width, width))
        self.add_module(ENCODER, source.module)
        self.add_module(PROJECTION, projection)

    def embed(self, pictures: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b w"]:
        """Vectors of pictures in [0, 1]."""
        return self.source.embed(pictures)

    def forward(self, pictures: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Projected vectors of pictures in [0, 1]."""
        projected: Tensor = self.get_submodule(PROJECTION)(self.embed(pictures))
        return projected
