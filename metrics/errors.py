"""The error for feature networks and weights that cannot be used."""


class FeaturesError(Exception):
    """Says which file or name is wrong, and what to do about it."""
