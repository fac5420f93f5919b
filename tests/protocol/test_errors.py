"""Errors and how they read."""

from xsd.protocol.errors import ERROR_NAMES, Errno, FramingError, XenStoreError


def test_errnos_are_in_the_order_of_xs_wire() -> None:
    """The value is the place in the table of the header file."""
    names = [errno.name for errno in sorted(Errno)]

    assert " ".join(names) == (
        "EINVAL EACCES EEXIST EISDIR ENOENT ENOMEM ENOSPC EIO ENOTEMPTY ENOSYS "
        "EROFS EBUSY EAGAIN EISCONN E2BIG EPERM"
    )
    assert names == ERROR_NAMES
    assert [int(errno) for errno in Errno] == list(range(16))


def test_an_error_tells_what_and_where() -> None:
    """The text is errno, reason and path; the parts can be had singly."""
    error = XenStoreError(Errno.ENOENT, "no such node", b"/a")

    assert error.errno is Errno.ENOENT
    assert error.reason == "no such node"
    assert error.path == b"/a"
    assert str(error) == "ENOENT: no such node: /a"


def test_an_error_without_path_does_not_show_one() -> None:
    """Not every error is about a node."""
    error = XenStoreError(Errno.EBUSY, "nested transaction")

    assert error.path == b""
    assert str(error) == "EBUSY: nested transaction"


def test_an_error_shows_bytes_that_are_no_text_escaped() -> None:
    """A guest's path cannot put raw bytes above 127 into a log."""
    error = XenStoreError(Errno.EINVAL, "not a path", b"/\xff")

    assert str(error) == "EINVAL: not a path: /\\xff"


def test_a_framing_error_tells_the_offset() -> None:
    """The offset is that of the bad header in the connection's stream."""
    error = FramingError("payload of 5000 bytes", 32)

    assert (error.reason, error.offset) == ("payload of 5000 bytes", 32)
    assert "5000" in str(error)
    assert "32" in str(error)
