"""The `data:` section of hvit: which pictures, and which class and source each has."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from components.core.config import Values
from components.core.data.images import read_image
from components.core.data.index import Row
from components.core.data.layouts.detect import classes, find
from components.core.data.layouts.found import Found
from components.core.data.layouts.sources import SourcePattern, source_of
from components.core.data.slices import Planes, Window
from components.core.data.splits import UNLABELLED, Split
from components.core.errors import BadInput
from components.recipes.contract import Arrays, RawCase
from components.recipes.hvit import synthetic
from components.recipes.hvit.synthetic import Synthetic


class HVitData(Values):
    """Pictures in class folders or in a table.

    Attributes:
        layout: How the raw folder is arranged: `folders` CLASS/any/depth/picture.png; `csv` a table with the columns
            image, label and perhaps group and id; `auto` finds out.
        group_pattern: Regular expression searched in a picture's id (its path without suffix); its first group (or
            the whole match) is the source: leaf, patient. A column of the table goes first.
        unlabelled: Folder beside the class folders whose pictures nobody labelled; in a table their label is empty.
            Only `pretrain` sees them.
        planes: Which planes of volumes are taken, and how their grey levels are shown.
        window: Grey levels that become 0 and 255 in pictures of more than 8 bits; None: percentiles.
        synthetic: What is drawn where there is no raw folder.
    """

    layout: Literal["auto", "folders", "csv"] = "auto"
    group_pattern: SourcePattern | None = None
    unlabelled: str = Field(default="unlabelled", pattern=r"^[^/\\.][^/\\]*$")
    planes: Planes = Planes()
    window: Window | None = None
    synthetic: Synthetic = Synthetic()

    def label_names(self, strata: Sequence[str]) -> dict[str, str]:
        """Class by number, in the alphabetical order of the names, for the card."""
        return {str(number): name for number, name in enumerate(sorted(strata))}

    def synthesize(self, folder: Path) -> "HVitData":
        """Write the synthetic leaves, in the layout `csv`."""
        synthetic.write(self.synthetic, folder)
        return HVitData(layout="csv", synthetic=self.synthetic)

    def read(self, raw: Path) -> list[RawCase]:
        """List the pictures of a raw folder; the only array is `image` [h, w, 3], native size, uint8.

        Raises:
            BadInput: The folder's structure is at fault, or there is one class only.
        """
        layout, found = find(raw, self.layout, self.planes, classes(self.unlabelled))
        names = sorted({item.stratum for item in found if item.stratum})
        if len(names) == 1:
            raise BadInput(
                f"all labelled pictures are of one class, {names[0]!r}",
                where=str(raw),
                remedy="give two classes or more, or none at all to pretrain only",
            )
        return [self._case(layout, item) for item in found]

    def check(self, rows: Sequence[Row], split: Split) -> None:
        """Refuse a division in which a class cannot be learned or judged.

        With folds only what trains is required: over all folds every picture is tested once.

        Raises:
            BadInput: Naming the class, its groups and the parts that lack it.
        """
        if split.folds is not None:
            return
        labelled = [row for row in rows if row.split != UNLABELLED]
        parts = sorted({row.split for row in labelled})
        for name in sorted({row.stratum for row in labelled}):
            own = [row for row in labelled if row.stratum == name]
            absent = sorted(set(parts) - {row.split for row in own})
            if absent:
                groups = len({row.group for row in own})
                raise BadInput(
                    f"the class {name!r} is absent from {', '.join(absent)}: {len(own)} picture(s) of {groups} group(s)"
                    f" for {len(parts)} parts",
                    where=own[0].id,
                    remedy="give pictures of more sources, or merge or drop the class"
                    + ("" if split.every_stratum else ", or set split.every_stratum=true"),
                )

    def _case(self, layout: str, found: Found) -> RawCase:
        return RawCase(
            id=found.id,
            sources=found.sources,
            stratum=found.stratum,
            load=partial(self._load, found),
            group=source_of(found, self.group_pattern),
            attributes={"layout": layout},
            labelled=bool(found.stratum),
        )

    def _load(self, found: Found) -> Arrays:
        return {
            "image": read_image(found.image, found.plane, self.window if found.plane is None else self.planes.window)
        }
