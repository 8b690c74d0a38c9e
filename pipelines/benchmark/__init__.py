"""Measurements of Thaw on itself: what the cache of frozen features saves, and that it changes no number."""
