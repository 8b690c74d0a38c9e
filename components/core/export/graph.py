"""An ONNX graph as a function of NumPy arrays, by onnxruntime on the CPU. No torch."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.errors import BadInput

QUIET = 3
"""onnxruntime's severity `error`."""


class Graph:
    """A loaded graph.

    Args:
        path: `.onnx` file; external data lies beside it.
        threads: Intra-op threads; 0 leaves onnxruntime's default.

    Raises:
        BadInput: onnxruntime is missing.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise BadInput(
                "onnxruntime is not installed", where=str(path), remedy="install thaw[train], or onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = QUIET
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs the graph has kept, in order."""
        return [one.name for one in self._session.get_inputs()]

    def __call__(self, **arrays: NDArray[Any]) -> NDArray[np.float32]:
        """Run the graph.

        Args:
            arrays: float32 by input name, of the exported shapes.

        Returns:
            Its first output.
        """
        result: NDArray[np.float32] = self._session.run(None, arrays)[0]
        return result
