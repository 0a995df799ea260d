"""What train.py, generate.py and evaluate.py do with all the other rooms.

Here belong the options of a command and their checks, where a run starts and what it
starts from, the choice of a checkpoint to look at, and the refusals that come before
TensorFlow is imported. Nothing imports this room but the three commands.
"""
