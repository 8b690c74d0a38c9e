"""NT-Xent: of all other views in the batch, the one of the same picture should be the most similar."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def nt_xent(
    first: Float[Tensor, "b d"],
    second: Float[Tensor, "b d"],
    temperature: float,
    everyone: tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]] | None = None,
    start: int = 0,
) -> Float[Tensor, "b"]:
    """Normalised temperature-scaled cross entropy of each sample, the mean over its two views.

    For views i and j of one picture among 2n views, with cosine similarity s and temperature t,

        l(i, j) = -log( exp(s_ij / t) / sum_{k != i} exp(s_ik / t) )

    and a sample's loss is (l(i, j) + l(j, i)) / 2. Its mean over samples is the paper's loss. Computed in float32,
    whatever the precision around it.

    Args:
        first: Projections of the samples' first views.
        second: Those of their second views, in the same order.
        temperature: t, above 0.
        everyone: Both views' projections of the whole batch, of which these samples are some (the other processes'
            included); None where these are all.
        start: Row of the first of these samples in `everyone`.

    Source:
        Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
        arXiv:2002.05709, equation 1 and algorithm 1.
    """
    with torch.autocast(first.device.type, enabled=False):
        ours = F.normalize(torch.cat([first, second]).float(), dim=1)
        others = ours if everyone is None else F.normalize(torch.cat(everyone).float(), dim=1)
        count, total = len(first), len(others) // 2
        rows = torch.arange(start, start + count, device=first.device)
        itself = torch.cat([rows, rows + total])
        positive = torch.cat([rows + total, rows])
        is_itself = torch.arange(2 * total, device=first.device) == itself[:, None]
        logits = ((ours @ others.T) / temperature).masked_fill(is_itself, -torch.inf)
        losses = F.cross_entropy(logits, positive, reduction="none")
        return (losses[:count] + losses[count:]) / 2
