"""Calling functions of C libraries: what becomes of their failures."""

import ctypes
import errno

import pytest

from tests.hypervisor.fake import FakeLibrary
from xsd.hypervisor.xenlibrary import Library, load


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


def test_failures_are_told_by_the_result(fake: FakeLibrary) -> None:
    """A null pointer is one; without errno it is EIO, as 0 would look like success."""
    library = Library(fake(), "xenmanage")
    again = library.function("fake_address", ctypes.c_int, result=ctypes.c_void_p)
    assert again(1) > 0
    with pytest.raises(OSError, match=r"fake_address\(0\)") as caught:
        again(0)
    assert caught.value.errno == errno.EINVAL

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


def test_what_a_library_lacks_is_not_called_nor_one_that_is_closed(
    fake: FakeLibrary,
) -> None:
    """ENOSYS, not an AttributeError, in one of another age; EBADF in freed memory."""
    library = Library(fake(), "xenmanage")
    with pytest.raises(OSError, match="xenmanage_of_tomorrow") as caught:
        library.function("xenmanage_of_tomorrow")
    assert caught.value.errno == errno.ENOSYS

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
