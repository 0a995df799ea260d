"""What a run keeps on disk, and the rules for keeping it.

Holds the run's folder and lock, its rows of JSON, its checkpoints and which of them are
kept, which checkpoint is best, its sessions, the TensorBoard events, the rollback to an
older checkpoint, and the pages made from all this.

Nothing here knows a network or imports TensorFlow: states are passed as named arrays.
"""
