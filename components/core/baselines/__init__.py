"""Yardsticks printed beside every table: arrays in, arrays out; they know no recipe.

Besides the U-Net, each has `predict(image) -> mask`, and `fit` where there is anything to fit.
"""
