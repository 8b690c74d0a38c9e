"""What every test shares: shapes and types of tensor code are checked at run time, in tests only."""

import os

from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")

CHECKED = ["components.core.models", "components.core.losses", "components.recipes"]
"""Packages whose annotations hold at run time; the hook must be in place before their first import."""

install_import_hook(CHECKED, "beartype.beartype")
