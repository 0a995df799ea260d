"""What a run keeps on disk, and the rules for keeping it.

Here belong the run's folder and lock, its rows of JSON, checkpoints and which of them
stay, which checkpoint is best, sessions, the TensorBoard events, the way back to an
older checkpoint, and the pages that are made of all this.

Nothing here knows a network or imports TensorFlow: states come and go as named arrays.
"""
