"""Before the phases: train the encoder without labels."""
