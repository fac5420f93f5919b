"""xsd.client.errors: what a user is told when there is no connection."""

import xsd.client
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


def test_what_users_catch_and_compare_is_in_the_package() -> None:
    """Nobody needs to know in which module it is."""
    assert {"DisconnectedError", "Errno", "NotListeningError", "XenStoreError"} <= set(
        xsd.client.__all__
    )
    for name in xsd.client.__all__:
        assert hasattr(xsd.client, name)
