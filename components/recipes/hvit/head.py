"""From a map of tokens to class scores, and back to what each place added to a score."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

STD = 0.02
"""Of the truncated normal that the weights start from."""


class ClassHead(nn.Module):
    """Global average pooling, layer norm, linear.

    Args:
        width: Channels of the map, d.
        classes: Scores per picture, k.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.linear.weight, std=STD)
        nn.init.zeros_(self.linear.bias)

    def forward(self, tokens: Float[Tensor, "b d h w"]) -> Float[Tensor, "b k"]:
        """Class scores before the softmax."""
        scores: Tensor = self.linear(self.norm(tokens.mean(dim=(2, 3))))
        return scores

    def relevance(self, tokens: Float[Tensor, "b d h w"], chosen: Int64[Tensor, "b"]) -> Float[Tensor, "b h w"]:
        """What each place adds to the score of one class per picture (Zhou et al. 2016, arXiv:1512.04150, eq. 2).

        The norm scales the mean over places by one number per picture, so the score is a mean over places of linear
        terms: the mean of this map, plus what does not depend on the picture, is the score itself.

        Args:
            tokens: As `forward` takes them.
            chosen: Class of each picture.
        """
        tokens = tokens.float()
        pooled = tokens.mean(dim=(2, 3))
        spread = torch.sqrt(pooled.var(dim=1, unbiased=False) + self.norm.eps)
        direction = self.linear.weight[chosen].float() * self.norm.weight.float()
        centred = tokens - tokens.mean(dim=1, keepdim=True)
        return torch.einsum("bdhw,bd->bhw", centred, direction) / spread[:, None, None]
