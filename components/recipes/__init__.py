"""What is trained. Each recipe is a member of the union AnyRecipe, told apart by its `name`."""

from typing import TypeAlias

from components.recipes.freqmedclip.recipe import FreqMedClip

AnyRecipe: TypeAlias = FreqMedClip
"""A second recipe makes this `Annotated[FreqMedClip | Other, Field(discriminator="name")]`."""
