"""What a config may say, and how the program answers.

Here belong the keys of a config with their types, defaults and ranges, the reading of
YAML and `--set`, the words for mistakes, what may change when a run continues, and the
two ways of speaking to people: `Problem`, which ends a command, and `say`.

Nothing here reads a run, draws a number or imports TensorFlow: a mistake is answered
within a second.
"""
