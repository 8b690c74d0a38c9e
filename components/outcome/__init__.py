"""How a whole pipeline ended: what its exit handler pushes."""
