"""Data: reading what users have, splitting it once, and the prepared form that every later stage reads."""
