"""Losses: one noun per file, each one value per sample, so that the engine alone decides how samples are averaged."""
