"""Errors of the connection; refused requests are `xsd.client.XenStoreError`."""


class NotListeningError(ConnectionError):
    """No daemon could be reached at the socket.

    Attributes:
        path: The socket that was tried.
        reason: The system's word for what went wrong.
        number: The system's number for it, as in `errno`; 0 if there is none.
    """

    def __init__(self, path: str, reason: str, number: int = 0) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason
        self.number = number

    def __str__(self) -> str:
        return f"no XenStore daemon listens at {self.path}: {self.reason}"


class DisconnectedError(ConnectionError):
    """The connection has ended: nothing can be asked on it any more."""
