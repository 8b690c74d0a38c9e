"""The evaluation report: one self-contained HTML file, readable offline."""
