"""Recipe `freqmedclip`: text-prompted segmentation with a frequency-aware BiomedCLIP and SAM."""
