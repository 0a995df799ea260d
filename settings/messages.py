"""The one exception that ends a command with a readable message."""


class Problem(Exception):
    """Something the user must change (status 2), or training gone bad (status 3).

    Attributes:
        status: Exit status of the command.
    """

    def __init__(self, message: str, status: int = 2) -> None:
        """Takes the whole message and the exit status."""
        super().__init__(message)
        self.status = status
