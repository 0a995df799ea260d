"""Metrics: how far generated images are from photographs. Arrays in, floats out.

Here belong distances between sets of features, the networks that turn images into
features, and their weights. When a run is measured, and what is done about it, is for
training/ and commands/ to say.
"""
