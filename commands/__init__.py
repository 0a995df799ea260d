"""Implements train.py, generate.py and evaluate.py; no other room imports this one.

Holds the options of each command and their checks, the start of a run, the choice of a
checkpoint, and all checks that run before TensorFlow is imported.
"""
