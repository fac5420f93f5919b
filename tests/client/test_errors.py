"""xsd.client.errors: what a user is told when there is no connection."""

from xsd.client.errors import DisconnectedError, NotListeningError


def test_not_listening_names_the_socket_and_the_reason() -> None:
    """A wrong path must be seen, not guessed."""
    error = NotListeningError("/run/x/socket", "No such file or directory")

    assert (error.path, error.reason) == ("/run/x/socket", "No such file or directory")
    assert str(error) == (
        "no XenStore daemon listens at /run/x/socket: No such file or directory"
    )


def test_both_are_connection_errors() -> None:
    """A caller may treat them as Python's own."""
    assert issubclass(NotListeningError, ConnectionError)
    assert issubclass(DisconnectedError, ConnectionError)
