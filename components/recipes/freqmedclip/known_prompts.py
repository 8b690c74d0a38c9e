"""Prompts whose embeddings a bundle holds: asking one of them needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from components.core.checkpoint.arrays import decode_arrays, encode_arrays
from components.core.errors import BadInput
from components.core.export.bundle import Bundle
from components.recipes.freqmedclip.model_config import ModelConfig

FILE = "prompts.safetensors"
EMBEDDINGS = "embeddings"
SHOWN = 8
"""Prompts that an error lists."""


@dataclass(frozen=True)
class KnownPrompts:
    """Texts and their embeddings.

    Attributes:
        texts: Distinct prompts.
        embeddings: [n, j], unit length.
        bundle: Where the text tower's weights lie, for new prompts; None where there is no bundle yet.
        config: The model, for new prompts.
    """

    texts: tuple[str, ...]
    embeddings: Float[np.ndarray, "n j"]
    config: ModelConfig
    bundle: Bundle | None = None

    @classmethod
    def open(cls, bundle: Bundle, config: ModelConfig) -> "KnownPrompts":
        """Read a bundle's prompts. Raises BadInput where they are missing or damaged."""
        path = bundle.folder / FILE
        texts = tuple(str(entry["text"]) for entry in bundle.metadata.get("prompts", ()))
        if not path.is_file():
            raise BadInput("the bundle holds no prompts", where=str(path), remedy="export again")
        found = decode_arrays(path.read_bytes(), str(path)).get(EMBEDDINGS)
        if found is None or len(found) != len(texts):
            raise BadInput("the bundle's prompts and embeddings differ", where=str(path), remedy="export again")
        return cls(texts, found, config, bundle)

    def save(self, folder: Path) -> None:
        """Write the embeddings; the texts go into the metadata."""
        (folder / FILE).write_bytes(encode_arrays({EMBEDDINGS: self.embeddings}))

    def resolve(self, prompt: str) -> str:
        """The prompt that is meant: the only one where none is given.

        Raises:
            BadInput: None is given and there are several.
        """
        asked = prompt.strip()
        if asked:
            return asked
        if len(self.texts) != 1:
            raise BadInput(f"which target? {self._listed()}", where="--prompt", remedy="give --prompt TEXT")
        return self.texts[0]

    def embed(self, prompt: str) -> Float[np.ndarray, "j"]:
        """Embedding of a prompt: kept, or computed by the text tower.

        Raises:
            BadInput: The prompt is new and torch is not installed.
        """
        if prompt in self.texts:
            return np.asarray(self.embeddings[self.texts.index(prompt)])
        if self.bundle is None:
            raise BadInput(f"no embedding of {prompt!r}. {self._listed()}", where="prompt", remedy="ask one of these")
        try:
            from components.recipes.freqmedclip.new_prompt import embed_prompt
        except ImportError as error:
            raise BadInput(
                f"a new prompt needs torch and open_clip ({error}). {self._listed()}",
                where="--prompt",
                remedy="ask one of these, or install thaw[train]",
            ) from error
        return embed_prompt(self.bundle, self.config, prompt)

    def _listed(self) -> str:
        return f"The bundle knows {listed(self.texts)}"


def listed(texts: Sequence[str]) -> str:
    """The first few texts, quoted."""
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(repr(text) for text in texts[:SHOWN]) + more
