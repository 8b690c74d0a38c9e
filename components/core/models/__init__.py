"""Models as parts: adapters over open_clip and segment_anything, the wavelet stream, and foreign checkpoints."""
