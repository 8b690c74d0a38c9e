"""Stores: bytes by key in a folder or an `s3://` prefix, with conditional writes."""

from components.core.store.errors import Conflict, NotFound, TooLarge
from components.core.store.open import open_store
from components.core.store.protocol import Entry, Store, Versioned

__all__ = ["Conflict", "Entry", "NotFound", "Store", "TooLarge", "Versioned", "open_store"]
