"""A graph that is compared with the module it was made of whenever it is used."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.core.export.graph import Graph
from components.core.export.parity import ParityCheck

Run: TypeAlias = Callable[..., NDArray[np.float32]]
"""A graph: arrays by input name to its output."""


def watched(name: str, module: nn.Module, folder: Path, check: ParityCheck, sample: str) -> Run:
    """The graph `NAME.onnx`, compared with its module on every input it gets.

    Args:
        sample: Id of the sample it is asked about, for the error.

    Raises:
        ParityError: When called, if the outputs differ by more than is allowed.
    """
    graph = Graph(folder / f"{name}.onnx")

    @torch.no_grad()
    def run(**arrays: NDArray[np.float32]) -> NDArray[np.float32]:
        found = graph(**arrays)
        expected = module(*(torch.from_numpy(np.array(array)) for array in arrays.values())).numpy()
        check.outputs_agree(name, found, expected, sample)
        return found

    return run
