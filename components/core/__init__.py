"""How anything is computed. Knows no recipe, no stage and no pipeline."""
