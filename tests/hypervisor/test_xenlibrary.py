"""Calling functions of C libraries: what becomes of their failures."""

import ctypes
import errno
from pathlib import Path

import pytest

from tests.conftest import NeedProgram
from tests.hypervisor.fake import FakeLibrary, fake_library
from xsd.hypervisor.xenlibrary import Library, load


@pytest.fixture
def fake(need_program: NeedProgram, tmp_path: Path) -> FakeLibrary:
    """Compile a library."""
    return fake_library(need_program, tmp_path)


def test_a_library_that_is_missing_is_a_missing_file() -> None:
    """The reason names it, as an administrator must install it."""
    with pytest.raises(FileNotFoundError, match=r"libxenabsent\.so\.1") as caught:
        load("libxenabsent.so.1")

    assert caught.value.errno == errno.ENOENT


def test_a_call_that_fails_tells_function_arguments_and_errno(
    fake: FakeLibrary,
) -> None:
    """The errno is the one that the library left."""
    library = Library(fake(), "xenmanage")
    info = library.function(
        "xenmanage_get_domain_info",
        ctypes.c_uint,
        *[ctypes.POINTER(ctypes.c_uint)] * 2,
        ctypes.POINTER(ctypes.c_uint64),
    )

    with pytest.raises(OSError, match=r"get_domain_info\(4\): No such") as caught:
        info(4, None, None, None)
    assert caught.value.errno == errno.ESRCH
    library.close()


def test_a_null_pointer_is_a_failure(fake: FakeLibrary) -> None:
    """Functions that return an address have no -1."""
    library = Library(fake(), "xenmanage")
    again = library.function("fake_address", ctypes.c_int, result=ctypes.c_void_p)

    assert again(1) > 0
    with pytest.raises(OSError, match=r"fake_address\(0\)") as caught:
        again(0)
    assert caught.value.errno == errno.EINVAL
    library.close()


def test_a_failure_without_errno_is_an_io_error(fake: FakeLibrary) -> None:
    """An OSError with errno 0 would look like success."""
    library = Library(fake(), "xenmanage")
    ctypes.set_errno(0)

    with pytest.raises(OSError, match=r"fake_silent_failure\(\)") as caught:
        library.function("fake_silent_failure")()
    assert caught.value.errno == errno.EIO
    library.close()


def test_a_handle_that_cannot_be_opened_is_a_failure(fake: FakeLibrary) -> None:
    """As without root, or without Xen."""
    path = fake("-DNO_DEVICE")

    with pytest.raises(OSError, match="xenmanage_open") as caught:
        Library(path, "xenmanage")
    assert caught.value.errno == errno.ENODEV


def test_a_function_that_a_library_lacks_is_enosys(fake: FakeLibrary) -> None:
    """A library of another age does not end the daemon with an AttributeError."""
    library = Library(fake(), "xenmanage")

    with pytest.raises(OSError, match="xenmanage_of_tomorrow") as caught:
        library.function("xenmanage_of_tomorrow")
    assert caught.value.errno == errno.ENOSYS
    library.close()


def test_a_closed_library_is_not_called(fake: FakeLibrary) -> None:
    """It would use memory that it has freed."""
    library = Library(fake(), "xenmanage")
    counted = library.function("fake_handles")
    assert counted() == 1
    library.close()
    library.close()

    with pytest.raises(OSError, match="fake_handles") as caught:
        counted()
    assert caught.value.errno == errno.EBADF


def test_functions_of_the_same_name_have_types_of_their_own(fake: FakeLibrary) -> None:
    """Who declares a function does not change it for another who has done so."""
    path = fake()
    first = Library(path, "xenmanage")
    second = Library(path, "xenmanage")
    address = first.function("fake_address", ctypes.c_int, result=ctypes.c_void_p)
    second.function("fake_address")

    assert address(1) > 0
    first.close()
    second.close()
