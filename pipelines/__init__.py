"""Graphs and launchers: how stages are linked and started."""
