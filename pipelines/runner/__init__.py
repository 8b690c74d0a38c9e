"""Runs a compiled graph on this machine: kfp's own orchestrator, with its gaps closed."""
