"""Thaw's components: core (how anything is computed), recipes (what is trained), stages (one step each)."""
