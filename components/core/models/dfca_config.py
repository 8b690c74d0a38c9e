"""Disease-focused cross-attention as values (no torch here)."""

from typing import TYPE_CHECKING

from pydantic import Field

from components.core.config import Values

if TYPE_CHECKING:
    from components.core.models.dfca import Dfca


class DfcaConfig(Values):
    """Disease-focused cross-attention between a backbone's map and a second stream.

    Attributes:
        heads: Attention heads; they must divide the backbone's width.
        mask_grid: Side of the grid on which the disease mask is learnt; it is interpolated to the second stream's.
        drop_path: Rate of stochastic depth of its two residual branches.
        start: Factor on both branches before training (LayerScale): small, so that training starts near the model
            without them, and not 0, so that all of their weights and the second stream's learn from the first step.
    """

    heads: int = Field(default=8, ge=1)
    mask_grid: int = Field(default=8, ge=1, le=64)
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)
    start: float = Field(default=0.1, gt=0.0, le=1.0)

    def build(self, width: int) -> "Dfca":
        """Build it for maps of `width` channels, weights from torch's current generator.

        Raises:
            BadInput: The heads do not divide the width.
        """
        from components.core.models.dfca import Dfca

        return Dfca(width, self.heads, mask_grid=self.mask_grid, drop_path=self.drop_path, start=self.start)
