"""Recipe `ct_abnormality`: abnormalities of the chest, several at once, from the slices of a CT volume."""
