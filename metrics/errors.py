"""What the user must change before features can be taken."""


class FeaturesError(Exception):
    """Says which file or name is wrong, and what to do about it."""
