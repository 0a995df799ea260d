"""What a config may contain, and how mistakes in it are reported.

Holds the config keys with their types, defaults and ranges; the reading of YAML and
`--set`; the error messages; what may change when a run continues; and the two ways to
talk to the user: `Problem`, which ends a command, and `say`.

Nothing here reads a run, draws a random number or imports TensorFlow, so a mistake is
reported within a second.
"""
