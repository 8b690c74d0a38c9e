"""First phase: train the new parts on frozen towers."""
