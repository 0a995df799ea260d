"""Distances of generated images from photographs. Arrays in, floats out.

Holds the distances, the networks that extract features, and their weights. When to
measure a run, and what to do about the result, is decided in training/ and commands/.
"""
