"""Layouts of image and mask files: each module turns one way of keeping them into a list of `Found`."""
