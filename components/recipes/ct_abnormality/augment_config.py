"""What views of train volumes differ in, as values."""

from pydantic import Field, field_validator

from components.core.augment.volume import VolumeAugment


class CtAugment(VolumeAugment):
    """Rotation, scale, shift, grey levels, and slices that grow with the epochs (progressive resizing).

    Attributes:
        sizes: Side of the slices, pixels, by the epoch from which it holds, of fresh views (`views: 0`).
            Before the first entry, and for validation, it is the model's `image_size`.
    """

    sizes: dict[int, int] = Field(default_factory=dict)

    @field_validator("sizes")
    @classmethod
    def _sizes_grow(cls, sizes: dict[int, int]) -> dict[int, int]:
        ordered = dict(sorted(sizes.items()))
        if any(epoch < 0 or size < 16 for epoch, size in ordered.items()):
            raise ValueError(f"epochs count from 0 and sides are 16 px or more, got {ordered}")
        if list(ordered.values()) != sorted(ordered.values()):
            raise ValueError(f"slices grow with the epochs, got {ordered}")
        return ordered
