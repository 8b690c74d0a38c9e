"""`model.json`: what is known of a finished model besides its tensors. Needs no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.core.checkpoint.document import LIMIT, decode_document
from components.core.digest import digest_bytes
from components.core.errors import BadInput

SCHEMA = 1
FILE = "model.json"


class ModelMeta(BaseModel):
    """Where a model comes from and what it can do.

    Attributes:
        recipe: The resolved recipe section it was trained with.
        phase: The stage that made it.
        step: Optimiser steps of that stage.
        metrics: Of the weights stored, by name. Undefined ones are NaN.
        history: One mapping of plain values per epoch.
        decision: Choices that validation made, such as which mask to predict.
        data_digest: Of the prepared dataset.
        parent_digest: `ModelRecord.digest` of the model it started from; None for one that started from a seed.
        environment: Versions, device type, precision, threads: what bit-identity depends on.
        extra: Plain values a later phase needs (state of schedules, for example).
        scope: Whether the weights are those of a whole model, or of its encoder alone (what `pretrain` hands on). An
            encoder without weights says: the recipe's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Mapping[str, Any]
    phase: str
    step: int = Field(ge=0)
    metrics: Mapping[str, float] = {}
    history: Sequence[Mapping[str, Any]] = ()
    decision: Mapping[str, str] = {}
    data_digest: str = ""
    parent_digest: str | None = None
    environment: Mapping[str, Any] = {}
    extra: Mapping[str, Any] = {}
    scope: Literal["model", "encoder"] = "model"


class ModelRecord(BaseModel):
    """The whole of `model.json`.

    Attributes:
        files: sha256 by name of the tensor files beside it.
        meta: What was saved with them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    version: Literal[1] = Field(default=1, alias="schema")
    files: Mapping[str, str]
    meta: ModelMeta


def read_record(folder: Path) -> tuple[ModelRecord, str]:
    """Read a model folder's `model.json`, and its digest: the digest of the whole model, which it names.

    Raises:
        BadInput: The folder holds no finished model, or one of another schema.
    """
    path = folder / FILE
    try:
        if path.stat().st_size > LIMIT:
            raise BadInput("larger than any model.json", where=str(path), remedy="restore the file")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"not a finished model: {error.strerror}",
            where=str(path),
            remedy="give the folder that a training stage made; foreign weights come in by `thaw import`",
        ) from error
    values = decode_document(data, str(path))
    if values.get("schema") != SCHEMA:
        raise BadInput(
            f"model of schema {values.get('schema')!r}, this version reads {SCHEMA}",
            where=str(path),
            remedy="use the version of Thaw that wrote it, or train again",
        )
    try:
        return ModelRecord.model_validate(values), digest_bytes(data)
    except ValidationError as error:
        raise BadInput(f"not a valid model.json: {error}", where=str(path), remedy="restore the file") from error


def require_trained_on(meta: ModelMeta, data_digest: str, where: Path) -> None:
    """Refuse a model of another dataset: what one split trained on may be what the other one tests.

    Args:
        data_digest: Of the prepared dataset in use.
        where: The model's folder, for the error.

    Raises:
        BadInput: The model names another dataset. One that names none is taken.
    """
    if meta.data_digest not in ("", data_digest):
        raise BadInput(
            "the model was trained on another dataset or another split of it",
            where=str(where),
            remedy="give the dataset it was trained on, or train it again on this one"
            " (an encoder may be taken all the same: foreign_encoder: true)",
        )
