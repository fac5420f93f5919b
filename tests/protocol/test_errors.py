"""Errors and how they read."""

import copy
import errno as system
import pickle
import struct
from pathlib import Path

import pytest

from tests.support.scripted import ScriptedDaemon
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
    """And no two are equal: a second name would vanish from the table unseen."""
    error = XenStoreError(Errno[name], "")

    assert Errno[name].name == name
    assert Errno[name] == error.errno == getattr(system, name)
    assert system.errorcode[error.errno] == name
    assert len(Errno) == len(ERROR_NAMES) == 16


@pytest.mark.parametrize("errno", Errno)
def test_an_error_is_of_the_class_that_python_has_for_its_number(errno: Errno) -> None:
    """`except FileNotFoundError` catches what is missing here, too, and only that."""
    error = XenStoreError(errno, "no", b"/a")

    assert isinstance(error, XenStoreError)
    assert isinstance(error, type(OSError(int(errno), "no")))
    assert [kind for kind in set(BUILT_IN.values()) if isinstance(error, kind)] == (
        [BUILT_IN[errno.name]] if errno.name in BUILT_IN else []
    )


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
    header = struct.pack("=III", 2, 1, 0)
    reply = encode_error(Frame(header, 2, 0, b"/a\0"), Errno[name])
    with ScriptedDaemon(tmp_path) as scripted:
        scripted.send(reply)
        with pytest.raises(BUILT_IN.get(name, OSError)) as caught:
            scripted.client.read("/a")

    assert reply[16:] == name.encode() + b"\0"
    assert isinstance(caught.value, XenStoreError)
    assert caught.value.errno is Errno[name]
    assert caught.value.path == b"/a"


@pytest.mark.parametrize(
    ("path", "filename", "text"),
    [
        (b"/a", b"/a", "ENOENT: gone: /a"),
        (b"", None, "ENOENT: gone"),
        (b"/\xff", b"/\xff", "ENOENT: gone: /\\xff"),
    ],
    ids=["with a path", "without", "with bytes that are no text, which logs escape"],
)
def test_an_error_tells_what_and_where(
    path: bytes, filename: bytes | None, text: str
) -> None:
    """As text, in its parts, and as every OSError does."""
    error = XenStoreError(Errno.ENOENT, "gone", path)
    general: OSError = error

    assert error.errno is Errno.ENOENT
    assert (error.reason, error.path) == ("gone", path)
    assert (general.errno, general.strerror) == (system.ENOENT, "gone")
    assert general.filename == filename
    assert str(error) == text


def test_a_framing_error_tells_the_offset() -> None:
    """The offset is that of the bad header in the connection's stream."""
    error = FramingError("payload of 5000 bytes", 32)

    assert (error.reason, error.offset) == ("payload of 5000 bytes", 32)
    assert "5000" in str(error)
    assert "32" in str(error)
