"""The training iteration, and what happens between iterations.

Holds the step and its losses, an iteration's inputs and random draws, the state, the
construction of networks and optimizers from a config, and the loop with what it
monitors, measures and writes. docs/architecture.md follows one iteration through these
files. Code for a single command belongs in commands/, file storage in records/.
"""
