"""The `data:` section of freqmedclip: which files, and which texts go with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from components.core.config import Values
from components.core.data.dataset import Dataset, Row
from components.core.data.images import read_image
from components.core.data.labels import name_labels
from components.core.data.layouts.detect import find
from components.core.data.layouts.found import Found
from components.core.data.layouts.sources import SourcePattern, source_of
from components.core.data.slices import Planes, Window
from components.core.errors import BadInput
from components.recipes.contract import Arrays, RawCase
from components.recipes.freqmedclip import synthetic
from components.recipes.freqmedclip.synthetic import Synthetic

Label = Annotated[int, Field(ge=1, le=255)]

ANY = "*"
"""Key of the caption template for whatever has none of its own."""

PLACEHOLDERS = {"stratum", "prompt"}

PROMPTS = {
    synthetic.DARK_ELLIPSE: "a smooth dark oval lesion in the ultrasound image",
    synthetic.SPICULATED_MASS: "a bright spiculated mass in the ultrasound image",
}
"""Prompts of the synthetic data set."""

CAPTIONS = {ANY: "{prompt}, in {stratum} tissue"}
"""Caption templates of the synthetic data set."""


class FreqMedClipData(Values):
    """Pictures, masks and texts.

    Attributes:
        layout: How the raw folder is arranged; auto finds out.
        prompts: Text by mask value: what is asked at inference, one honest sentence that says nothing of the
            individual picture. One value takes binary masks (0 and 1, or 0 and 255) as that value.
        ignore_values: Stored mask values that count as background.
        captions: Templates of the texts that only training sees, by mask value ("1"), else by stratum, else "*".
            `{stratum}` and `{prompt}` are filled in.
        group_pattern: Regular expression searched in a case's id; its first group (or the whole match) is the
            patient. A column of the layout goes first.
        planes: Which planes of volumes are taken, and how their grey levels are shown.
        window: Grey levels that become 0 and 255 in pictures of more than 8 bits; None: percentiles.
        synthetic: What is drawn where there is no raw folder.
    """

    layout: Literal["auto", "busi", "pairs", "csv", "coco"] = "auto"
    prompts: dict[Label, str] = Field(default=PROMPTS, min_length=1)
    ignore_values: tuple[Label, ...] = ()
    captions: dict[str, str] = CAPTIONS
    group_pattern: SourcePattern | None = None
    planes: Planes = Planes()
    window: Window | None = None
    synthetic: Synthetic = Synthetic()

    @field_validator("prompts")
    @classmethod
    def _prompts_differ(cls, prompts: dict[int, str]) -> dict[int, str]:
        texts = [text.strip() for text in prompts.values()]
        if not all(texts) or len(set(texts)) < len(texts):
            raise ValueError("every value needs a prompt of its own: the text must tell which target is meant")
        return prompts

    @field_validator("captions")
    @classmethod
    def _templates_are_known(cls, captions: dict[str, str]) -> dict[str, str]:
        for key, template in captions.items():
            try:
                template.format(**dict.fromkeys(PLACEHOLDERS, ""))
            except (KeyError, IndexError, ValueError, AttributeError) as error:
                raise ValueError(
                    f"captions.{key}: only {{stratum}} and {{prompt}} can be filled in ({error})"
                ) from error
        return captions

    @model_validator(mode="after")
    def _values_are_apart(self) -> "FreqMedClipData":
        both = sorted(set(self.ignore_values) & set(self.prompts))
        if both:
            raise ValueError(f"mask values {both} have a prompt and are ignored")
        return self

    def label_names(self, strata: Sequence[str] = ()) -> dict[str, str]:
        """Prompt by mask value, for the card."""
        return {str(value): text for value, text in sorted(self.prompts.items())}

    def synthesize(self, folder: Path) -> "FreqMedClipData":
        """Write the synthetic data set, in the layout `csv`; what reads it has that data set's own two prompts."""
        synthetic.write(self.synthetic, folder)
        return FreqMedClipData(layout="csv", prompts=PROMPTS, captions=CAPTIONS, synthetic=self.synthetic)

    def read(self, raw: Path) -> list[RawCase]:
        """List the cases of a raw folder; arrays are `image` [h, w, 3] and `mask` [h, w], native size, uint8.

        Raises:
            BadInput: The folder's structure is at fault.
        """
        layout, found = find(raw, self.layout, self.planes)
        return [self._case(layout, item) for item in found]

    def _case(self, layout: str, found: Found) -> RawCase:
        return RawCase(
            id=found.id,
            sources=found.sources,
            stratum=found.stratum,
            load=partial(self._load, found),
            group=source_of(found, self.group_pattern),
            attributes={"layout": layout, **self._texts(found)},
        )

    def _texts(self, found: Found) -> dict[str, str]:
        """Index columns: `prompt` if the layout gives it, and `caption_VALUE` for every mask value."""
        texts: dict[str, str] = {}
        own = found.texts.get("prompt", "")
        if own and len(self.prompts) > 1:
            raise BadInput(
                f"a prompt of its own is ambiguous for a picture with {len(self.prompts)} targets",
                where=str(found.image),
                remedy="leave the prompt column empty, or keep one value in data.prompts",
            )
        if own:
            texts["prompt"] = own
        for value, prompt in self.prompts.items():
            template = self.captions.get(str(value), self.captions.get(found.stratum, self.captions.get(ANY, "")))
            made = template.format(stratum=found.stratum, prompt=own or prompt)
            caption = found.texts.get("caption", made)
            if caption:
                texts[f"caption_{value}"] = caption
        return texts

    def _load(self, found: Found) -> Arrays:
        window = self.window if found.plane is None else self.planes.window
        image = read_image(found.image, found.plane, window)
        stored = found.mask(found.plane, *image.shape[:2])
        mask = name_labels(stored, self.prompts, self.ignore_values, found.sources[-1])
        return {"image": image, "mask": mask}


@dataclass(frozen=True)
class Sample:
    """What the model is asked: one target in one picture.

    Attributes:
        id: The case's id, with "#VALUE" where there are several targets.
        case_id: Id of the case whose `image` and `mask` it uses.
        value: Mask value of the target. The picture may hold none of it.
        prompt: Text asked at inference.
        caption: Text for contrastive training; empty outside the train split.
    """

    id: str
    case_id: str
    value: int
    prompt: str
    caption: str


def samples(rows: Iterable[Row], prompts: Mapping[int, str]) -> list[Sample]:
    """Every target of every case, by case and then by value.

    Args:
        rows: Cases of a prepared dataset.
        prompts: `FreqMedClipData.prompts`.
    """
    several = len(prompts) > 1
    return [
        Sample(
            id=f"{row.id}#{value}" if several else row.id,
            case_id=row.id,
            value=value,
            prompt=str(row.attributes.get("prompt", prompts[value])),
            caption=str(row.attributes.get(f"caption_{value}", "")) if row.split == "train" else "",
        )
        for row in rows
        for value in sorted(prompts)
    ]


def prompts_of(dataset: Dataset) -> dict[int, str]:
    """Prompt by mask value, as the dataset was prepared: the synthetic one has its own."""
    return {int(value): text for value, text in dataset.card.label_names.items()}
