"""What every test shares: tensor code is checked at run time, by processes of one thread each."""

import os

from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of every worker and child: they share the cores among themselves

pytest_plugins = ["tests.store.servers"]

CHECKED = ["components.core.models", "components.core.losses", "components.recipes"]
"""Packages whose annotations hold at run time; the hook must be in place before their first import."""

install_import_hook(CHECKED, "beartype.beartype")
