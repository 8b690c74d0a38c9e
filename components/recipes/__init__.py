"""What is trained. Each recipe is a member of the tagged union AnyRecipe."""
