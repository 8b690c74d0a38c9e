"""A finished model: a folder of safetensors files and the `model.json` that names their digests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from components.core.checkpoint.codec import decode_tensors, encode_tensors
from components.core.checkpoint.document import encode_document
from components.core.checkpoint.foreign import refuse_foreign_file
from components.core.checkpoint.model import FILE, ModelMeta, ModelRecord, read_record
from components.core.digest import digest_bytes
from components.core.errors import BadInput
from components.core.store import durable

WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"


@dataclass(frozen=True)
class ModelArtifact:
    """A finished model in memory.

    Attributes:
        weights: CPU tensors by name, as `model.load_state_dict` takes them.
        optimizer: The optimiser's tensors, where the phase hands them on.
        meta: Where it comes from.
        digest: Of the whole model: what a model trained from it records as its parent.
    """

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor] | None
    meta: ModelMeta
    digest: str

    @staticmethod
    def save(
        folder: Path, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor] | None, meta: ModelMeta
    ) -> str:
        """Write a model folder; `model.json` comes last, so a folder that has one is whole.

        Returns:
            The model's digest.

        Raises:
            BadInput: A value is no tensor, or the folder cannot be written.
        """
        groups = {WEIGHTS: weights} if optimizer is None else {WEIGHTS: weights, OPTIMIZER: optimizer}
        with durable.explained(folder):
            for name in (FILE, WEIGHTS, OPTIMIZER):
                (folder / name).unlink(missing_ok=True)
            files = {}
            for name, tensors in groups.items():
                data = encode_tensors(tensors)
                durable.replace(folder / name, data)
                files[name] = digest_bytes(data)
            record = encode_document(ModelRecord(files=files, meta=meta).model_dump(by_alias=True))
            durable.replace(folder / FILE, record)
        return digest_bytes(record)

    @classmethod
    def load(cls, folder: Path) -> "ModelArtifact":
        """Read a model folder and verify every digest.

        Raises:
            BadInput: It is no finished model, a pickle, of another schema, or damaged.
        """
        if folder.is_file():
            refuse_foreign_file(folder)
        record, digest = read_record(folder)
        if WEIGHTS not in record.files or set(record.files) - {WEIGHTS, OPTIMIZER}:
            raise BadInput(
                f"model.json names the files {sorted(record.files)}", where=str(folder), remedy="restore the folder"
            )
        groups = {name: _read(folder / name, expected) for name, expected in record.files.items()}
        return cls(groups[WEIGHTS], groups.get(OPTIMIZER), record.meta, digest)


def _read(path: Path, digest: str) -> dict[str, Tensor]:
    refuse_foreign_file(path)
    data = path.read_bytes()
    if digest_bytes(data) != digest:
        raise BadInput(
            "the file is damaged: its digest is not the one in model.json",
            where=str(path),
            remedy="restore it, or run the stage that made it again with --restart",
        )
    return decode_tensors(data, str(path))
