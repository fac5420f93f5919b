"""Paths: from text to parts and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.path import (
    ROOT,
    Path,
    domain_path,
    format_path,
    is_name,
    is_special,
    parse_path,
)


def errno_of(raw: bytes, *, special: bool = False, limit: int = 0) -> Errno:
    with pytest.raises(XenStoreError) as caught:
        parse_path(raw, special=special, limit=limit)
    assert caught.value.path == raw
    return caught.value.errno


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", (b"",)),
        (b"/a", (b"", b"a")),
        (b"/a/b", (b"", b"a", b"b")),
        (b"/local/domain", (b"", b"local", b"domain")),
        (b"/A-z/0_9/@x@", (b"", b"A-z", b"0_9", b"@x@")),
        (b"/@releaseDomain", (b"", b"@releaseDomain")),
    ],
)
def test_an_absolute_path_is_its_parts(raw: bytes, path: Path) -> None:
    """An ordinary path begins with an empty part, the root; only that one is empty."""
    assert parse_path(raw) == path
    assert path[:1] == ROOT
    assert not is_special(path)
    assert format_path(path) == raw


def test_a_relative_path_begins_at_the_domains_directory() -> None:
    """That of domain 0 unless told otherwise, and what GET_DOMAIN_PATH says."""
    home = (b"", b"local", b"domain")

    assert domain_path(0) == b"/local/domain/0"
    assert parse_path(b"a/b") == (*home, b"0", b"a", b"b")
    assert parse_path(b"a", b"/local/domain/5") == (*home, b"5", b"a")
    assert parse_path(b"a", domain_path(32751)) == (*home, b"32751", b"a")


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"@releaseDomain", (b"@releaseDomain",)),
        (b"@releaseDomain/5", (b"@releaseDomain", b"5")),
        (b"@releaseDomain/x", (b"@releaseDomain", b"x")),
        (b"@releaseDomain/99999", (b"@releaseDomain", b"99999")),
        (b"@introduceDomain/0", (b"@introduceDomain", b"0")),
        (b"@foo/bar", (b"@foo", b"bar")),
        (b"@/a", (b"@", b"a")),
        (b"@@", (b"@@",)),
        (b"@", (b"@",)),
    ],
)
def test_a_special_name_begins_with_at(raw: bytes, path: Path) -> None:
    """Any path after @ can be watched, as in C; elsewhere it is EINVAL."""
    assert parse_path(raw, special=True) == path
    assert is_special(path)
    assert format_path(path) == raw
    assert errno_of(raw) is Errno.EINVAL


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"//", b"///", b"/a/", b"/a//b", b"//a", b"a/", b"a//b"),
        *(b"/local/domain/", b"/local/domain/5/"),
        *(b"/a b", b"/a.b", b"/a:b", b"/a\n", b"/a\x80", b"/\xc3\xa4", b".."),
    ],
)
def test_what_is_no_path_is_einval(raw: bytes) -> None:
    """Empty parts (XSA-481) and characters outside A-Za-z0-9-/_@ are refused."""
    assert errno_of(raw) is Errno.EINVAL
    assert errno_of(raw, special=True) is Errno.EINVAL


@pytest.mark.parametrize(
    "raw",
    [
        *(b"@foo/", b"@foo//bar", b"@releaseDomain/", b"@releaseDomain/5/", b"@/"),
        *(b"@ a", b"@a.b", b"@\xff", b"@releaseDomain\n"),
    ],
)
def test_a_special_name_is_a_path_like_others(raw: bytes) -> None:
    """A misspelt one is refused, and not watched in vain for ever."""
    assert errno_of(raw, special=True) is Errno.EINVAL


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_is_allowed_or_not(byte: int) -> None:
    """Letters, digits, minus, underscore and @ stand in names, / between."""
    raw = b"/x" + bytes([byte]) + b"x"
    allowed = bytes([byte]).isalnum() or byte in b"-_@/"

    if allowed:
        assert b"/".join(parse_path(raw)) == raw
    else:
        assert errno_of(raw) is Errno.EINVAL


@pytest.mark.parametrize(
    ("prefix", "counted"),
    [
        # The same node has the same length for every domain (XSA-323).
        *[(b"/local/domain/5/", 0), (b"/local/domain/65535/", 0), (b"", 0)],
        # Only up to five digits with a part behind make a domain's directory.
        *[(b"/", 1), (b"/local/domain/", 14), (b"/local/domain/123456/", 21)],
        *[(b"/local/domain/x/", 16), (b"/local/domain/1", 15)],
        # A guest cannot watch a special name that is longer than a path may be.
        (b"@", 1),
    ],
)
def test_the_limit_counts_all_but_the_domains_directory(
    prefix: bytes, counted: int
) -> None:
    """No more than so many bytes of what is counted; without a limit any number."""
    special = prefix == b"@"
    fits = prefix + b"5" * (2048 - counted)

    path = parse_path(fits, special=special, limit=2048)
    assert path == parse_path(fits, special=special)
    assert errno_of(fits + b"5", special=special, limit=2048) is Errno.EINVAL
    assert parse_path(fits + b"5", special=special)[-1].endswith(b"5")


def test_the_domain_directory_itself_counts_whole() -> None:
    """Without a part behind it the domain's directory is a path like others."""
    assert errno_of(b"/local/domain/12345", limit=18) is Errno.EINVAL
    assert parse_path(b"/local/domain/12345", limit=19)[-1] == b"12345"


@settings(deadline=None)
@given(
    raw=st.binary(max_size=12) | st.text("/@a0.", max_size=12).map(str.encode),
    special=st.booleans(),
    limit=st.integers(0, 12),
)
def test_any_bytes_are_a_sound_path_or_einval(
    raw: bytes, special: bool, limit: int
) -> None:
    """A path has no empty part but an ordinary one's first; nothing else is raised."""
    try:
        path: Path | None = parse_path(raw, special=special, limit=limit)
    except XenStoreError:
        path = None

    if path is not None:
        assert all(path[1:])
        assert special or not is_special(path)
        assert parse_path(format_path(path), special=special) == path


@pytest.mark.parametrize("name", [b"a", b"0", b"-_@A"])
def test_parts_of_paths(name: bytes) -> None:
    """What a path may have between its slashes."""
    assert is_name(name)
    assert parse_path(b"/" + name) == (b"", name)


@pytest.mark.parametrize("name", [b"", b"\0", b"a b", b"\xff"])
def test_what_is_no_part_of_a_path(name: bytes) -> None:
    """Nor is a path with it one."""
    assert not is_name(name)
    with pytest.raises(XenStoreError):
        parse_path(b"/" + name + b"/a")
