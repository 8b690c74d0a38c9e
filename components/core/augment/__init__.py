"""Augmentation as pure functions of integers: the same seed and view key give the same pixels everywhere."""
