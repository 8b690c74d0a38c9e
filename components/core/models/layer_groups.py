"""Names of the layer groups that strategies thaw one after the other, whatever the model. Needs no torch."""

HEAD = "head"
"""What is new in a model, and learns first."""

BACKBONE_GROUPS = ("stage4", "stage3", "stage2", "early")
"""The layers of a backbone from map to stem: by the resolution of their maps, or a transformer's blocks by quarters.
The stem or embedding belongs to the last."""

LAYER_GROUPS = (HEAD, *BACKBONE_GROUPS)
"""All of them, from head to stem."""

PREFIX = "group:"
"""What a key of `Phase.trainable` begins with that names a layer group instead of parts."""


def group_key(group: str) -> str:
    """The key of `Phase.trainable` for a layer group."""
    return PREFIX + group


def block_group(index: int, count: int) -> str:
    """The group of block `index` (from the embedding on) of a transformer that has `count`: four equal quarters."""
    return BACKBONE_GROUPS[(count - 1 - index) * 4 // count]
