"""Words a number and what it counts."""


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Returns "1 photograph", "8,189 photographs"; the plural adds an s by default."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
