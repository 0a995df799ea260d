"""The two networks: stock Keras layers, plain arguments.

Holds the architectures, their blocks, and the arithmetic of depth and width. Sizes are
arguments without defaults: the config of a run sets them. Losses and optimizers are
elsewhere.
"""
