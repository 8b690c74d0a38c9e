"""The training engine: phases, exact resume, and caches of what is frozen."""
