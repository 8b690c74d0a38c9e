"""Second phase: train the last blocks too."""
