"""What an iteration is, and what happens between iterations.

Here belong the step with its losses, the inputs of an iteration and their chance, the
state, how networks and optimizers are built from a config, and the loop with what it
watches, measures and writes. architecture.md in docs/ follows one iteration through
these files.

What only one command does belongs into commands/; how a file is kept, into records/.
"""
