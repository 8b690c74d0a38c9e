"""What is trained. Each recipe is a member of the union AnyRecipe, told apart by its `name`."""

from typing import Annotated, TypeAlias

from pydantic import Field

from components.recipes.ct_abnormality.recipe import CtAbnormality
from components.recipes.freqmedclip.recipe import FreqMedClip
from components.recipes.hvit.recipe import HVit

AnyRecipe: TypeAlias = Annotated[CtAbnormality | FreqMedClip | HVit, Field(discriminator="name")]
"""Every recipe: a new one is one word here."""
