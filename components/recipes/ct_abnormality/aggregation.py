"""From the vectors of a volume's slices to the scores of its labels."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

STD = 0.02
"""Of the truncated normal that the scores' weights start from."""

MARGIN = 1e-6
"""Averaged probabilities are kept this far from 0 and 1 where their logit is taken."""


@dataclass(frozen=True)
class Scores:
    """What the model says of a batch of volumes.

    Attributes:
        logits: Scores of the labels before the sigmoid, [b, l].
        slices: Scores of the labels by slice, [b, n, l].
        weights: How much each slice counts for each label, [b, n, l]; sums to 1 over the slices.
        taught: The scores that losses are taken of, [b, m, l]: one row per volume, or one per slice.
    """

    logits: Tensor
    slices: Tensor
    weights: Tensor
    taught: Tensor


class Aggregation(nn.Module, ABC):
    """Layer norm and a linear map to slice scores, and some way to draw a volume's scores from them.

    Args:
        width: Length of a slice's vector, e.
        labels: Scores per volume, l.
        dropout: Of the vectors, while training.
    """

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, labels)
        nn.init.trunc_normal_(self.linear.weight, std=STD)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vectors: Float[Tensor, "b n e"]) -> Scores:
        """Scores of volumes, given as the vectors of their slices."""
        normal = self.dropout(self.norm(vectors))
        return self.pool(normal, self.linear(normal))

    @abstractmethod
    def pool(self, vectors: Float[Tensor, "b n e"], slices: Float[Tensor, "b n l"]) -> Scores:
        """Scores of volumes from the normalised vectors and the scores of their slices."""


class Gated(Aggregation):
    """a_k = softmax_k(w^T (tanh(V h_k) * sigmoid(U h_k))) by label (Ilse et al. 2018, eq. 9).

    The score of the pooled vector sum_k a_k h_k is the same weighted mean of the slices' scores.
    """

    def __init__(self, width: int, labels: int, hidden: int, dropout: float) -> None:
        super().__init__(width, labels, dropout)
        self.content = nn.Linear(width, hidden)
        self.gate = nn.Linear(width, hidden)
        self.weigh = nn.Linear(hidden, labels, bias=False)  # a bias would be the same for all slices

    def pool(self, vectors: Float[Tensor, "b n e"], slices: Float[Tensor, "b n l"]) -> Scores:
        """Weigh the slices by label."""
        gated = torch.tanh(self.content(vectors)) * torch.sigmoid(self.gate(vectors))
        weights: Tensor = self.weigh(gated).softmax(dim=1)
        logits = (weights * slices).sum(dim=1)
        return Scores(logits, slices, weights, logits[:, None])


class Mean(Aggregation):
    """The mean of the slices' scores."""

    def pool(self, vectors: Float[Tensor, "b n e"], slices: Float[Tensor, "b n l"]) -> Scores:
        """Weigh all slices alike."""
        logits = slices.mean(dim=1)
        return Scores(logits, slices, _alike(slices), logits[:, None])


class Greatest(Aggregation):
    """The greatest of the slices' scores, by label."""

    def pool(self, vectors: Float[Tensor, "b n e"], slices: Float[Tensor, "b n l"]) -> Scores:
        """Take the slice that shows a label most."""
        logits, chosen = slices.max(dim=1)
        weights = F.one_hot(chosen, slices.shape[1]).transpose(1, 2).to(slices.dtype)
        return Scores(logits, slices, weights, logits[:, None])


class EachSlice(Aggregation):
    """Every slice is taught by itself; the volume's probability is the mean, or the greatest, of its slices'."""

    def __init__(self, width: int, labels: int, dropout: float, *, greatest: bool) -> None:
        super().__init__(width, labels, dropout)
        self.greatest = greatest

    def pool(self, vectors: Float[Tensor, "b n e"], slices: Float[Tensor, "b n l"]) -> Scores:
        """Teach slices, answer for volumes."""
        if self.greatest:
            logits, chosen = slices.max(dim=1)
            weights = F.one_hot(chosen, slices.shape[1]).transpose(1, 2).to(slices.dtype)
            return Scores(logits, slices, weights, slices)
        probability = slices.float().sigmoid().mean(dim=1).clamp(MARGIN, 1 - MARGIN)
        return Scores(torch.logit(probability), slices, _alike(slices), slices)


def _alike(slices: Float[Tensor, "b n l"]) -> Float[Tensor, "b n l"]:
    return torch.full_like(slices, 1 / slices.shape[1])
