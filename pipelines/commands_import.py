"""`thaw import`: a foreign checkpoint rewritten as safetensors, with a report of what matched."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from components.core.errors import BadInput
from pipelines.grammar import Commands

if TYPE_CHECKING:
    from torch import nn

SAM = {"sam_vit_b": "vit_b", "sam_vit_l": "vit_l", "sam_vit_h": "vit_h"}
KINDS = (*SAM, "biomedclip")


def add(commands: Commands) -> None:
    """Mount the command."""
    command = commands.add_parser("import", help="rewrite a foreign checkpoint as safetensors, without running it")
    command.add_argument("file", type=Path, metavar="FILE", help=".pth, .pt, .bin or .safetensors")
    command.add_argument("--kind", required=True, choices=KINDS, help="the model it is of")
    command.add_argument("--output", type=Path, required=True, metavar="FILE", help=".safetensors to write")
    command.set_defaults(handler=_import)


def _import(arguments: argparse.Namespace) -> int:
    from components.core.models.importing import import_checkpoint

    if arguments.output.suffix != ".safetensors":
        raise BadInput(
            "what is written is safetensors", where=str(arguments.output), remedy="end --output in .safetensors"
        )
    report = import_checkpoint(arguments.file, arguments.output, _model(arguments.kind))
    out = Console()
    out.print(str(report), soft_wrap=True, markup=False, highlight=False)
    out.print(f"wrote {arguments.output}", soft_wrap=True, markup=False, highlight=False)
    if not report.complete:
        out.print("The file is not exactly this model: training will refuse it.", markup=False)
    return 0


def _model(kind: str) -> "nn.Module":
    """The model's key names and shapes: on the meta device, nothing is allocated."""
    if kind in SAM:
        from components.core.models.sam_build import sam_on_meta

        sam: nn.Module = sam_on_meta(SAM[kind])
        return sam
    from components.core.models.clip_build import biomedclip_on_meta

    clip: nn.Module = biomedclip_on_meta()
    return clip
