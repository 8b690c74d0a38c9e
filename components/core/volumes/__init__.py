"""CT volumes: read once from NIfTI, MetaImage or DICOM, in Hounsfield units, and cut into slices for training."""
