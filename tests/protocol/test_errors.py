"""Errors and how they read."""

import copy
import errno as system
import pickle
import struct
from pathlib import Path

import pytest

from tests.support.scripted import ScriptedDaemon
from xsd.client import Client
from xsd.protocol.errors import ERROR_NAMES, Errno, FramingError, XenStoreError
from xsd.protocol.frame import Frame
from xsd.protocol.reply import encode_error

BUILT_IN = {
    "ENOENT": FileNotFoundError,
    "EACCES": PermissionError,
    "EPERM": PermissionError,
    "EEXIST": FileExistsError,
    "EISDIR": IsADirectoryError,
    "EAGAIN": BlockingIOError,
}


def test_error_names_are_in_the_order_of_xs_wire() -> None:
    """That of the table of the header file."""
    assert " ".join(ERROR_NAMES) == (
        "EINVAL EACCES EEXIST EISDIR ENOENT ENOMEM ENOSPC EIO ENOTEMPTY ENOSYS "
        "EROFS EBUSY EAGAIN EISCONN E2BIG EPERM"
    )


@pytest.mark.parametrize("name", ERROR_NAMES)
def test_an_errno_is_the_systems_number(name: str) -> None:
    """A conflict is no lack of memory."""
    error = XenStoreError(Errno[name], "")

    assert Errno[name] == getattr(system, name)
    assert error.errno == getattr(system, name)
    assert system.errorcode[error.errno] == name


def test_no_two_errnos_are_equal() -> None:
    """A second name for a number would vanish from the table unseen."""
    assert len({int(each) for each in Errno}) == len(ERROR_NAMES) == 16
    assert [Errno[name].name for name in ERROR_NAMES] == ERROR_NAMES


@pytest.mark.parametrize("errno", Errno)
def test_an_error_is_of_the_class_that_python_has_for_its_number(errno: Errno) -> None:
    """`except FileNotFoundError` catches what is missing here, too, and only that."""
    error = XenStoreError(errno, "no", b"/a")

    assert isinstance(error, XenStoreError)
    assert isinstance(error, type(OSError(int(errno), "no")))
    assert [kind for kind in set(BUILT_IN.values()) if isinstance(error, kind)] == (
        [BUILT_IN[errno.name]] if errno.name in BUILT_IN else []
    )


def test_an_error_has_what_every_os_error_has() -> None:
    """strerror and filename; None where there is no path."""
    error: OSError = XenStoreError(Errno.EACCES, "no right", b"/a")
    without: OSError = XenStoreError(Errno.EBUSY, "nested transaction")

    assert (error.errno, error.strerror, error.filename) == (
        system.EACCES,
        "no right",
        b"/a",
    )
    assert (without.strerror, without.filename) == ("nested transaction", None)


@pytest.mark.parametrize("path", [b"", b"/a"])
@pytest.mark.parametrize("errno", [Errno.ENOENT, Errno.EINVAL])
def test_an_error_survives_a_copy_and_another_process(
    errno: Errno, path: bytes
) -> None:
    """As for the workers of an executor."""
    error = XenStoreError(errno, "no", path)

    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert type(again) is type(error)
        assert (again.errno, again.reason, again.path) == (errno, "no", path)
        assert again.errno is errno
        assert str(again) == str(error)


@pytest.mark.parametrize("name", ERROR_NAMES)
def test_every_name_on_the_wire_comes_back_from_a_client(
    name: str, tmp_path: Path
) -> None:
    """What a daemon refuses with is what a client raises."""
    with ScriptedDaemon(tmp_path) as scripted:
        header = struct.pack("=III", 2, 1, 0)
        reply = encode_error(Frame(header, 2, 1, 0, b"/a\0"), Errno[name])
        scripted.send(reply)

        with pytest.raises(BUILT_IN.get(name, OSError)) as caught:
            refused(scripted.client)

    assert reply[16:] == name.encode() + b"\0"
    assert isinstance(caught.value, XenStoreError)
    assert caught.value.errno is Errno[name]
    assert caught.value.path == b"/a"


def refused(client: Client) -> None:
    """Ask for a node."""
    client.read("/a")


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
