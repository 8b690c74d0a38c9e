"""The stage `prepare`: validates raw data, splits it once and writes the dataset that later stages read."""
