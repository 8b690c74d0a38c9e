"""A torch module as an ONNX file: fixed shapes, one picture at a time."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

EXTERNAL_BYTES = 1 << 30
"""Weights above this lie beside the graph: an ONNX file cannot exceed 2 GiB."""

TALKATIVE = ("onnx_ir", "onnxscript")
"""Loggers that report every folded constant at level INFO."""


def write_graph(path: Path, module: nn.Module, inputs: Mapping[str, Tensor], output: str, opset: int) -> None:
    """Export a module by torch.export, and strip what names files of the machine it was exported on.

    Args:
        path: `.onnx` file to write; large weights go to `.onnx.data` beside it.
        module: Called with the inputs in their order; returns one tensor.
        inputs: Example inputs by name; their shapes become the graph's.
        output: Name of the output.
        opset: Version of the operators.
    """
    module.eval()
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=[output],
            opset_version=opset,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    tensors = (value.const_value for value in program.model.graph.initializers.values())
    size = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    program.save(path, external_data=size > EXTERNAL_BYTES)
    _strip(path)
    onnx.checker.check_model(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporter says of itself: its own deprecated names, its own optimisations."""
    levels = {name: logging.getLogger(name).level for name in TALKATIVE}
    with warnings.catch_warnings():
        # torch 2.13 uses its own deprecated name while it decomposes a graph.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        try:
            for name in levels:
                logging.getLogger(name).setLevel(logging.WARNING)
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def _strip(path: Path) -> None:
    """Drop stack traces and comments: they hold paths of the exporting machine. External data stays as it is."""
    model = onnx.load(path, load_external_data=False)
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        graph.ClearField("doc_string")
        del graph.metadata_props[:]
        for node in graph.node:
            _strip_node(node)
        for value in graph.value_info:
            del value.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("doc_string")
        del value.metadata_props[:]
    onnx.save(model, path)


def _strip_node(node: onnx.NodeProto) -> None:
    node.ClearField("doc_string")
    del node.metadata_props[:]
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for below in inner.node:
                _strip_node(below)
