"""The two networks: stock Keras layers, plain arguments.

Here belong the architectures, their blocks, and the arithmetic of depth and width. The
sizes are arguments without defaults: what a run uses is its config's to say.
"""
