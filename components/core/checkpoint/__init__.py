"""Checkpoints: safetensors and JSON in a store, committed so that a crash at any point leaves the last one whole.

Import what is needed from its module: `repository` and `artifact` need torch, `failures`, `lease` and `model` do not.
"""
