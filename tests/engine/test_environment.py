"""The environment names everything whose version may decide a bit."""

import platform
from importlib import metadata

import numpy as np
import pytest
import torch

from components.core.engine import device
from components.core.engine.device import Device
from components.core.runtime import Runtime


def test_the_fingerprint_names_python_and_the_libraries() -> None:
    found = Device(Runtime(device="cpu")).fingerprint()
    assert found["python"] == platform.python_version()
    assert (found["torch"], found["numpy"]) == (torch.__version__, np.__version__)
    assert set(device.PACKAGES) <= set(found)


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_numpy(name: str) -> str:
        if name != "numpy":
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", only_numpy)
    device.versions.cache_clear()
    assert device.versions() == {"python": platform.python_version(), "numpy": "1"}
    device.versions.cache_clear()
