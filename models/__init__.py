"""The two networks: stock Keras layers, plain arguments.

Sizes are arguments without defaults: the config of a run sets them.
"""
