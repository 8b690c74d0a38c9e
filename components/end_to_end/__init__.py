"""Third phase: train everything the recipe thaws."""
