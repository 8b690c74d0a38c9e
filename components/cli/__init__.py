"""The command line of the stages: one grammar for every door."""
