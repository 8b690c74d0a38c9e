"""`thaw study`: variants of a recipe, each with every seed, and what their differences are worth."""
