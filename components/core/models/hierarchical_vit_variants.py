"""The sizes of HierarchicalViT under their names in timm's registry; importing this module registers them."""

from typing import Any

from timm.models._builder import build_model_with_cfg
from timm.models._registry import generate_default_cfgs, register_model

from components.core.models.hierarchical_vit import HierarchicalViT, resample_positions

DEFAULT = {
    "url": "",
    "num_classes": 1000,
    "input_size": (3, 256, 256),
    "pool_size": (2, 2),
    "crop_pct": 0.95,
    "interpolation": "bicubic",
    "fixed_input_size": True,
    "first_conv": "patch_embed.proj",
    "classifier": "head.fc",
    "notes": ("forward_features gives NHWC",),
}
LITTLE = {**DEFAULT, "input_size": (3, 64, 64)}
default_cfgs = generate_default_cfgs(
    {
        **{name: dict(LITTLE) for name in ("hvit_micro", "hvit_nano")},
        **{name: dict(DEFAULT) for name in ("hvit_tiny", "hvit_small", "hvit_base")},
    }
)


def _create(variant: str, pretrained: bool, defaults: dict[str, Any], arguments: dict[str, Any]) -> Any:
    features = {"out_indices": (0, 1, 2, 3), "feature_cls": "getter"}
    return build_model_with_cfg(
        HierarchicalViT,
        variant,
        pretrained,
        pretrained_filter_fn=resample_positions,
        feature_cfg=features,
        **{**defaults, **arguments},
    )


@register_model
def hvit_micro(pretrained: bool = False, **kwargs: Any) -> Any:
    """For tests: patches of 4 and one block on each level, for pictures of 32 px and more."""
    sizes = {"patch_size": 4, "dims": (16, 16, 32, 32), "depths": (1, 1, 1, 1), "heads": (1, 1, 2, 2)}
    return _create("hvit_micro", pretrained, sizes, kwargs)


@register_model
def hvit_nano(pretrained: bool = False, **kwargs: Any) -> Any:
    """For pictures of about 64 px without a GPU: patches of 4, a third of small's width."""
    sizes = {"patch_size": 4, "dims": (32, 64, 128, 192), "depths": (1, 1, 2, 1), "heads": (1, 2, 4, 6)}
    return _create("hvit_nano", pretrained, sizes, kwargs)


@register_model
def hvit_tiny(pretrained: bool = False, **kwargs: Any) -> Any:
    """Two thirds of small's width, 4 blocks on the third level."""
    sizes = {"dims": (64, 128, 256, 512), "depths": (2, 2, 4, 2), "heads": (2, 4, 8, 16)}
    return _create("hvit_tiny", pretrained, sizes, kwargs)


@register_model
def hvit_small(pretrained: bool = False, **kwargs: Any) -> Any:
    """The reference size: 96 to 768 channels, 2/2/6/2 blocks."""
    sizes = {"dims": (96, 192, 384, 768), "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24)}
    return _create("hvit_small", pretrained, sizes, kwargs)


@register_model
def hvit_base(pretrained: bool = False, **kwargs: Any) -> Any:
    """A third wider than small, 18 blocks on the third level."""
    sizes = {"dims": (128, 256, 512, 1024), "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32)}
    return _create("hvit_base", pretrained, sizes, kwargs)
