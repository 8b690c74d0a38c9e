"""What `Phase.mix` does to the batches of a phase and to the features of its frozen layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from components.core.augment.blending import PARTNER, WEIGHT, blended, mix_pixels, pair_up
from components.core.augment.mixing import Mix, Pairing, partners
from components.core.engine.features import FrozenFeatures
from components.core.engine.task import Batch, Features, Prefix, Task
from components.core.errors import BadInput

VIEW = "view"
"""Number of the view that each sample shows; in a batch only on its way to the mixing of features."""


@dataclass(frozen=True)
class Mixing:
    """The mixing of one phase.

    Attributes:
        mix: Its values.
        fields: Batch fields that hold pixels (`Task.mixed`).
        seed: Of the training.
    """

    mix: Mix
    fields: frozenset[str]
    seed: int

    @staticmethod
    def of(mix: Mix | None, task: Task, seed: int) -> "Mixing | None":
        """The mixing of a phase; None where it mixes nothing.

        Raises:
            BadInput: The recipe knows no mixed labels.
        """
        if mix is None:
            return None
        if not task.mixed:
            raise BadInput(
                "this recipe cannot mix samples: its loss terms know no mixed labels",
                where="mix",
                remedy="leave `mix` out of the phase",
            )
        return Mixing(mix, task.mixed, seed)

    def check(self, prefixes: Sequence[Prefix]) -> None:
        """Refuse to mix features where no frozen layer gives any.

        Raises:
            BadInput: There are none.
        """
        if self.mix.where == "features" and all(prefix.table is not None for prefix in prefixes):
            raise BadInput(
                "nothing in front of what this phase trains is frozen, so it has no features to mix",
                where="mix.where = 'features'",
                remedy="use mix.where: pixels with views: 0, or leave `mix` out",
            )

    @staticmethod
    def needs(own: Sequence[int], size: int) -> list[int]:
        """Positions in a window of `size` samples that mixing some of them takes: these, then their partners."""
        mates = partners(size)
        return list(dict.fromkeys([*own, *(int(mates[position]) for position in own)]))

    def window(
        self,
        batch: Batch,
        views: Sequence[int],
        epoch: int,
        number: int,
        size: int | None = None,
        positions: Sequence[int] | None = None,
        own: int | None = None,
    ) -> Batch:
        """Mix (a share of) a window of the epoch, on the CPU and before anything cuts it further. Thread-safe.

        Args:
            batch: The samples at `positions`, as they are.
            views: Number of each one's view.
            epoch: From 0.
            number: Of the window in its epoch, from 0.
            size: Samples of the whole window; None for those of the batch.
            positions: Places of the samples in the window; None where the batch is the whole window.
            own: How many of them to give back: all (None), or the first ones, whose partners come after them.

        Returns:
            The mixed samples as `Task.mixed` describes them. Features are mixed later, by `features`: until then
            every field has a partner, `row` and the number of the view included.
        """
        places = range(len(batch["row"])) if positions is None else positions
        wanted = len(places) if own is None else own
        pairing = self.mix.pairing(self.seed, epoch, number, len(places) if size is None else size)
        paired = pair_up({**batch, VIEW: torch.tensor(list(views))}, pairing, places, wanted)
        if self.mix.where == "pixels":
            plain = {name: paired[name] for name in paired if name.removesuffix(PARTNER) not in {"row", VIEW}}
            return {**mix_pixels(plain, pairing, places[:wanted], self.fields), "row": paired["row"]}
        return {**paired, WEIGHT: _weights(pairing, places[:wanted])}

    def features(self, frozen: FrozenFeatures, piece: Batch, views: Sequence[int]) -> tuple[Batch, Features]:
        """A piece of a window and its frozen features, mixed where that is to be done.

        Args:
            piece: Samples of what `window` gave, on the CPU.
            views: Number of each one's view.

        Returns:
            (the piece as `Task.mixed` describes it, its features on the device).
        """
        if self.mix.where == "pixels":
            return piece, frozen.of(piece, views)
        own = frozen.of(piece, views)
        other = self._partners(frozen, piece, own)
        tables = frozen.tables
        weight = {value.device: piece[WEIGHT].to(value.device) for value in own.values()}
        mixed = {
            name: value if name in tables else blended(value, other[name], weight[value.device])
            for name, value in own.items()
        }
        return self._plain(piece), mixed

    @staticmethod
    def _partners(frozen: FrozenFeatures, piece: Batch, own: Mapping[str, torch.Tensor]) -> Features:
        """Features of the partners: those of the piece itself where it holds them all, read or computed otherwise."""
        places = {int(row): place for place, row in enumerate(piece["row"].tolist())}
        mates = piece[f"row{PARTNER}"].tolist()
        if all(row in places for row in mates):
            index = torch.tensor([places[row] for row in mates])
            return {name: value[index.to(value.device)] for name, value in own.items()}
        partner = {name.removesuffix(PARTNER): value for name, value in piece.items() if name.endswith(PARTNER)}
        return frozen.of(partner, partner[VIEW].tolist())

    def _plain(self, piece: Batch) -> Batch:
        """The piece as the objective reads it: pixels that it reads beside the features are mixed like them."""
        done = {name: value for name, value in piece.items() if name.removesuffix(PARTNER) not in {"row", VIEW}}
        for name in self.fields & piece.keys():
            done[name] = blended(piece[name], done.pop(f"{name}{PARTNER}"), piece[WEIGHT])
        return {**done, "row": piece["row"]}


def _weights(pairing: Pairing, positions: Sequence[int]) -> torch.Tensor:
    return torch.from_numpy(pairing.own[list(positions)]).float()
