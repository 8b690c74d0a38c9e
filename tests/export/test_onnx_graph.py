"""A torch module as an ONNX file."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from components.core.export import onnx_graph
from components.core.export.graph import Graph
from components.core.export.onnx_graph import write_graph


class Scaled(nn.Module):
    """One weight, two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(2048.0))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return (first * self.weight).sum(dim=1) - second


INPUTS = {"first": torch.ones(1, 2048), "second": torch.zeros(1)}


@pytest.mark.parametrize("limit", [0, onnx_graph.EXTERNAL_BYTES])
def test_large_weights_lie_beside_the_graph(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "EXTERNAL_BYTES", limit)
    write_graph(tmp_path / "scaled.onnx", Scaled(), INPUTS, "out", opset=18)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == (["scaled.onnx", "scaled.onnx.data"] if limit == 0 else ["scaled.onnx"])
    graph = Graph(tmp_path / "scaled.onnx")
    assert graph.inputs == ["first", "second"]
    first = np.zeros((1, 2048), np.float32)
    first[0, 7] = 2
    np.testing.assert_allclose(graph(first=first, second=np.full(1, 3, np.float32)), [11.0])


@pytest.mark.parametrize("opset", [18, 20])
def test_the_opset_is_the_one_asked_for(opset: int, tmp_path: Path) -> None:
    write_graph(tmp_path / "scaled.onnx", Scaled(), INPUTS, "out", opset=opset)
    model = onnx.load(tmp_path / "scaled.onnx")
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [opset]
    assert [one.name for one in model.graph.output] == ["out"]


def test_traces_and_comments_are_stripped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    write_graph(tmp_path / "scaled.onnx", Scaled(), INPUTS, "out", opset=18)
    assert b".py" not in (tmp_path / "scaled.onnx").read_bytes()
    assert [record for record in caplog.records if record.name.startswith("onnx")] == []
