"""Which images a graph's tasks run in: named by hand, or as `make images` recorded them."""

import json
import re
from pathlib import Path

from components.core.component import IMAGES
from components.core.errors import BadInput

PINNED = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
RECORD = Path("images") / "digests.json"
"""Written by `make images` in the folder of the sources: references by kind, each one standing for one content."""


def read_images(given: str | None) -> dict[str, str]:
    """Image reference by kind, `cpu` and `gpu`.

    Args:
        given: `cpu=NAME,gpu=NAME`, or one NAME for both; None takes the record.

    Raises:
        BadInput: A kind is unknown or missing, or nothing is recorded here.
    """
    if given is None:
        return _recorded()
    if "=" not in given:
        return dict.fromkeys(IMAGES, given)
    images = dict(pair.strip().split("=", 1) for pair in given.split(",") if "=" in pair)
    return _checked(images, "--image", "write cpu=NAME,gpu=NAME")


def read_pinned(given: str | None) -> dict[str, str]:
    """The same for a cluster. Raises BadInput also for an image that is not pinned by the digest of a registry."""
    images = read_images(given)
    for name in images.values():
        if not PINNED.fullmatch(name):
            raise BadInput(
                "an image must be pinned by its digest: a tag can change, and a cluster cannot pull a local one",
                where=name,
                remedy="push it (`make images PUSH=registry/team` records the digest), or write name@sha256:<64 hex>",
            )
    return images


def _recorded() -> dict[str, str]:
    remedy = "`make images` in the folder of the sources, or name them: --image cpu=NAME,gpu=NAME"
    try:
        images = json.loads(RECORD.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput("no images were built here", where=str(RECORD), remedy=remedy) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {error}", where=str(RECORD), remedy=remedy) from error
    if not isinstance(images, dict):
        raise BadInput("not a record of images", where=str(RECORD), remedy=remedy)
    return _checked({kind: images[kind] for kind in IMAGES if kind in images}, str(RECORD), remedy)


def _checked(images: dict[str, str], where: str, remedy: str) -> dict[str, str]:
    wrong = sorted(set(images) ^ set(IMAGES)) or [kind for kind, name in images.items() if not name]
    if wrong:
        raise BadInput(f"an image is unknown or missing: {', '.join(wrong)}", where=where, remedy=remedy)
    return images
