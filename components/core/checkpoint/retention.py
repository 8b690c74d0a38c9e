"""What is kept and what is deleted."""

import logging
from collections.abc import Collection, Mapping

from components.core.checkpoint.manifest import BLOBS, FOLDER, Damaged, Manifest, names, read_manifest
from components.core.store import Store

log = logging.getLogger(__name__)


def retained(manifests: Mapping[str, Manifest], keep_last: int) -> set[str]:
    """Names to keep: the newest `keep_last`, and for every tag the newest checkpoint that carries it."""
    ordered = sorted(manifests)
    by_tag = {tag: name for name in ordered for tag in manifests[name].tags}
    return {*ordered[-keep_last:], *by_tag.values()}


def prune(
    store: Store,
    known: dict[str, Manifest],
    *,
    keep_last: int,
    grace: float,
    newest: str,
    broken: Collection[str],
    own: Collection[str],
) -> set[str]:
    """Delete manifests that are not retained, then blobs that no manifest names: own ones now, others after `grace`.

    A model that trains fast would otherwise fill a disk with the checkpoints of one hour.

    Args:
        known: Manifests read so far; brought up to date.
        grace: Seconds. Younger blobs of others may belong to a checkpoint that is being written.
        newest: Name of the checkpoint just committed; kept whatever the rules say.
        broken: Names of checkpoints found damaged: not kept, and they take nobody's place.
        own: Digests of blobs of this writer's committed checkpoints. No checkpoint may be under way.

    Returns:
        Digests of the blobs deleted.
    """
    listed = names(store)
    damaged = _refresh(store, known, listed)
    whole = {name: manifest for name, manifest in known.items() if name not in broken}
    keep = retained(whole, keep_last) | {newest}
    for name in [name for name in listed if name in known and name not in keep]:
        store.delete(FOLDER + name)
        del known[name]
    for name in damaged:
        if store.head(FOLDER + name).age > grace:
            log.warning("deleting the damaged manifest %s", name)
            store.delete(FOLDER + name)
    named = {blob.digest for manifest in known.values() for blob in manifest.groups.values()}
    return _sweep(store, named, grace, own)


def _refresh(store: Store, known: dict[str, Manifest], listed: list[str]) -> list[str]:
    """Read the manifests that are new; forget those that are gone. Returns the names of damaged ones."""
    for name in set(known) - set(listed):
        del known[name]
    damaged = []
    for name in listed:
        if name not in known:
            try:
                known[name] = read_manifest(store, name)
            except Damaged:
                damaged.append(name)
    return damaged


def _sweep(store: Store, named: set[str], grace: float, own: Collection[str]) -> set[str]:
    deleted = set()
    for entry in store.list(BLOBS):
        digest = entry.key.removeprefix(BLOBS)
        if digest not in named and (digest in own or entry.age > grace):
            store.delete(entry.key)
            deleted.add(digest)
    return deleted
