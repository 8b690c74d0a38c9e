"""FeatureFusionGate: how much of the frequencies each patch token takes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

REDUCTION = 4


class FeatureFusionGate(nn.Module):
    """out = patch + alpha * gate(patch, freq) * transform(freq); the class token never passes here.

    Args:
        width: Channels of a token.
        alpha: Start of the learnable fusion weight.
    """

    def __init__(self, width: int, alpha: float = 0.1) -> None:
        super().__init__()
        self.fusion_alpha = nn.Parameter(torch.tensor(alpha))
        self.freq_transform = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.GELU())
        hidden = width // REDUCTION
        self.gate = nn.Sequential(nn.Linear(2 * width, hidden), nn.GELU(), nn.Linear(hidden, 1), nn.Sigmoid())

    def forward(self, patch: Float[Tensor, "b p d"], freq: Float[Tensor, "b q d"]) -> Float[Tensor, "b p d"]:
        """Fuse.

        Args:
            patch: Patch tokens, without the class token.
            freq: As many frequency tokens.

        Raises:
            ValueError: The token counts differ.
        """
        if patch.shape[1] != freq.shape[1]:
            raise ValueError(
                f"{patch.shape[1]} patch tokens but {freq.shape[1]} frequency tokens: the projection's total stride"
                " must equal the vision tower's patch size"
            )
        gate = self.gate(torch.cat([patch, freq], dim=-1))
        fused: Tensor = patch + self.fusion_alpha * gate * self.freq_transform(freq)
        return fused
