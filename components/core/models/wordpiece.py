"""A small WordPiece tokeniser over a bundled vocabulary: texts for the tiny CLIP, with no network and no download."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

VOCABULARY = Path(__file__).parent / "bundled" / "tiny_vocabulary.txt"
PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
_WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")


class WordPiece:
    """Greedy longest match, as in BERT's uncased tokeniser.

    Args:
        context: Tokens per text, start and end included; longer texts are cut before the end token.
        vocabulary: One piece per line. `[PAD]` comes first and `[SEP]` last: a tower that pools at the greatest id
            pools at the end of the text.
    """

    def __init__(self, context: int, vocabulary: Path = VOCABULARY) -> None:
        pieces = vocabulary.read_text(encoding="utf-8").split()
        self.ids = {piece: index for index, piece in enumerate(pieces)}
        self.context = context

    @property
    def size(self) -> int:
        """Number of pieces."""
        return len(self.ids)

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "n context"]:
        """Ids of each text, padded with 0."""
        table = torch.zeros(len(texts), self.context, dtype=torch.int64)
        for row, text in enumerate(texts):
            pieces = [piece for word in _WORD.findall(text.lower()) for piece in self._split(word)]
            ids = [self.ids[piece] for piece in [START, *pieces[: self.context - 2], END]]
            table[row, : len(ids)] = torch.tensor(ids)
        return table

    def _split(self, word: str) -> list[str]:
        pieces: list[str] = []
        while word:
            mark = "##" if pieces else ""
            length = next((n for n in range(len(word), 0, -1) if mark + word[:n] in self.ids), 0)
            if not length:
                return [UNKNOWN]
            pieces.append(mark + word[:length])
            word = word[length:]
        return pieces
