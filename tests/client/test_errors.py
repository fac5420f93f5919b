"""xsd.client.errors: what users catch."""

import xsd.client
from xsd.client.errors import DisconnectedError, NotListeningError


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
