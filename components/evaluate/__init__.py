"""Judge every phase's model on the test split and write the report."""
