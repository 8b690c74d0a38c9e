"""Where a backbone's values meet timm."""

import difflib
import logging
from typing import Any

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from timm.models._hub import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME, check_cached_file
from torch import Tensor, nn

from components.core.errors import BadInput, Temporary
from components.core.models import hierarchical_vit_variants as _registers_hvit  # noqa: F401
from components.core.models.backbone import Backbone, prefix_tokens
from components.core.models.backbone_config import BackboneConfig
from components.core.models.backbone_layers import Layer, find_layers, one_layer
from components.core.models.backbone_trace import Call, record
from components.core.models.backbone_weights import load_weights

WHERE = "recipe.model.backbone"
TOLERANCE = 1e-4
"""Of the largest value: by so much two ways through the same modules may differ."""

log = logging.getLogger(__name__)


def build(config: BackboneConfig, image_size: int, seed: int) -> Backbone:
    """Build a backbone, find its layers and check them on a random picture.

    Raises:
        BadInput: Naming the key: an unknown model, weights that do not fit, a size it cannot take.
        Temporary: The weights cannot be fetched now.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk = _create(config, image_size)
    training = trunk.training
    trunk.eval()
    picture = torch.rand(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    run, expected = _watch(trunk, picture, config.name)
    heads = _unused(trunk, run)
    if config.file is not None:
        load_weights(trunk, config.file, [*heads, *_classifiers(trunk)])
        run, expected = _watch(trunk, picture, config.name)
    for head in heads:
        setattr(trunk, head, nn.Identity())
    _require_rows(trunk, picture, expected, config.name)
    layers = _checked(trunk, find_layers(trunk, run, prefix_tokens(trunk)), picture, expected, config.name)
    trunk.train(training)
    cfg: dict[str, Any] = trunk.pretrained_cfg
    return Backbone(
        trunk,
        layers,
        mean=cfg["mean"],
        std=cfg["std"],
        image_size=image_size,
        shape=expected.shape,
        channels_last=_is_channels_last(trunk, expected),
        grad_checkpointing=config.grad_checkpointing,
    )


def is_downloaded(name: str) -> bool:
    """Does the download cache hold timm's weights of a model?

    Raises:
        BadInput: The name is unknown.
    """
    cfg = _registered(name)
    if cfg.hf_hub_id:
        names = [cfg.hf_hub_filename] if cfg.hf_hub_filename else [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
        return any(isinstance(try_to_load_from_cache(cfg.hf_hub_id, file), str) for file in names)
    return bool(cfg.url) and bool(check_cached_file(cfg.url))


def backbone_on_meta(name: str, arguments: dict[str, Any] | None = None) -> nn.Module:
    """A timm model without storage, without its classifier: its key names and shapes, for imports."""
    _registered(name)
    with torch.device("meta"):
        return timm.create_model(name, num_classes=0, **(arguments or {}))


def _registered(name: str) -> Any:
    """timm's description of a model.

    Raises:
        BadInput: No such model, or no such tag of it.
    """
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=5)
        remedy = f"did you mean {', '.join(near)}?" if near else "take one of timm.list_models(), or hvit_small"
        raise BadInput(f"timm has no model {name!r}", where=f"{WHERE}.name", remedy=remedy)
    try:
        cfg = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = sorted(timm.models.get_arch_pretrained_cfgs(architecture))
        raise BadInput(
            f"{architecture} has no weights tagged {tag!r}", where=f"{WHERE}.name", remedy=f"take one of {tags}"
        ) from error
    if cfg is None:
        raise BadInput(f"timm does not describe {name!r}", where=f"{WHERE}.name", remedy="take another model")
    return cfg


def _create(config: BackboneConfig, image_size: int) -> Any:
    """The timm model without classifier, for pictures of a size where it has to know it."""
    cfg = _registered(config.name)
    if config.pretrained and not cfg.has_weights:
        raise BadInput(
            f"timm has no weights of {config.name}", where=f"{WHERE}.pretrained", remedy="set it to false, or give file"
        )
    arguments = dict(config.arguments)
    if config.drop_path:
        arguments["drop_path_rate"] = config.drop_path
    if cfg.fixed_input_size:
        arguments["img_size"] = image_size
    try:
        return timm.create_model(config.name, pretrained=config.pretrained, num_classes=0, **arguments)
    except OSError as error:
        raise Temporary(
            f"the weights of {config.name} cannot be fetched: {error}",
            where=f"{WHERE}.pretrained",
            remedy="check the network, or fetch the weights elsewhere and give them as file",
        ) from error
    except (TypeError, ValueError, AssertionError, KeyError, RuntimeError) as error:
        raise BadInput(
            f"timm refuses to build {config.name} with {arguments}: {error}",
            where=WHERE,
            remedy="correct image_size, arguments or drop_path (some models know no drop-path: leave it 0)",
        ) from error


def _watch(trunk: Any, picture: Tensor, name: str) -> tuple[Call, Tensor]:
    size = picture.shape[-1]
    try:
        run = record(trunk, trunk.forward_features, picture)
    except (AssertionError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"{name} cannot take pictures of {size} px: {error}", where=f"image_size {size}", remedy="choose another"
        ) from error
    if run.returned is None or run.returned.tensor.ndim not in (3, 4):
        raise BadInput(f"{name} gives no map before pooling", where=f"{WHERE}.name", remedy="take another model")
    return run, run.returned.tensor


def _unused(trunk: nn.Module, run: Call) -> list[str]:
    """Names of top-level modules that hold tensors and do not run before the map: what belongs to a classifier."""
    ran = {name.partition(".")[0] for name in run.names()}
    containers = nn.ParameterList | nn.ParameterDict | nn.ModuleDict
    return [
        name
        for name, child in trunk.named_children()
        if name not in ran and not isinstance(child, containers) and any(True for _ in child.parameters())
    ]


def _classifiers(trunk: Any) -> list[str]:
    named: Any = trunk.pretrained_cfg.get("classifier") or ()
    return [named] if isinstance(named, str) else list(named)


def _is_channels_last(trunk: nn.Module, output: Tensor) -> bool:
    """Of a four-dimensional output: squareness decides, and where everything is equal, what the model says."""
    if output.ndim != 4:
        return False
    _, first, second, third = output.shape
    if first == second == third:
        return getattr(trunk, "output_fmt", "NCHW") == "NHWC"
    return first == second


def _require_rows(trunk: Any, picture: Tensor, output: Tensor, name: str) -> None:
    """Refuse tokens that are not those of a grid, row by row, as timm's own map of the same picture tells.

    Raises:
        BadInput: timm's map holds other vectors, or there is none.
    """
    if output.ndim != 3:
        return
    tokens, places = output[0, prefix_tokens(trunk) :], _places(trunk, picture)
    if places is None or places.shape != tokens.shape or not _are_close(tokens, places):
        raise BadInput(
            f"{name} gives tokens whose places in the picture are unknown", where=f"{WHERE}.name", remedy="take another"
        )


def _places(trunk: Any, picture: Tensor) -> Tensor | None:
    """The vectors [n, c] of timm's own last map of the first picture, row by row; None where it gives none."""
    if not hasattr(trunk, "forward_intermediates"):
        return None
    for norm in (True, False):
        try:
            with torch.no_grad():
                maps = trunk.forward_intermediates(picture, indices=1, norm=norm, intermediates_only=True)
        except AssertionError:  # it has no norm to apply
            continue
        last: Tensor = maps[-1][0].flatten(1).T
        return last
    return None


def _checked(trunk: nn.Module, layers: list[Layer], picture: Tensor, expected: Tensor, name: str) -> list[Layer]:
    """The layers, if running them in order is the model; else the whole model as one layer."""
    if layers:
        with torch.no_grad():
            hidden = picture
            for layer in layers:
                hidden = layer(hidden)
        if hidden.shape == expected.shape and _are_close(hidden, expected):
            _warn_of_a_large_stem(trunk, layers, name)
            return layers
    log.warning("the structure of %s is not understood: it freezes and trains as one layer, stage4.0", name)
    return one_layer(trunk)


def _are_close(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())


def _warn_of_a_large_stem(trunk: nn.Module, layers: list[Layer], name: str) -> None:
    parameters = dict(trunk.named_parameters())
    stem = sum(
        value.numel()
        for key, value in parameters.items()
        if any(key == prefix or key.startswith(f"{prefix}.") for prefix in layers[0].prefixes)
    )
    total = sum(value.numel() for value in parameters.values())
    if 2 * stem > total:
        log.warning("of %s only %d layers are told apart: %s holds most of its weights", name, len(layers), "early.0")
