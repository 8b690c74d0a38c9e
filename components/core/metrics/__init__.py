"""Metrics of masks at native resolution (numpy and OpenCV, no torch) and their summaries over cases.

A metric of one case is a float, NaN where it is undefined for that case: where the truth is empty, say.
"""
