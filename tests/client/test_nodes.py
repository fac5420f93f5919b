"""xsd.client.nodes: requests that name a node, and long directories."""

import pytest

from tests.support.scripted import ScriptedDaemon
from xsd.client import Client, nodes
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op


def test_value_comes_back_as_written(client: Client) -> None:
    """Any byte is allowed in a value, NUL too."""
    value = bytes(range(256))

    client.write("/t/a", value)

    assert client.read("/t/a") == value


def test_path_may_be_text_or_bytes(client: Client) -> None:
    """Both name the same node."""
    client.write(b"/t/a", b"1")

    assert client.read("/t/a") == b"1"


def test_text_is_sent_as_utf_8(scripted: ScriptedDaemon) -> None:
    """The daemon decides what it thinks of such a path."""
    scripted.refuse(b"EINVAL")

    with pytest.raises(XenStoreError):
        scripted.client.read("/ä")

    assert scripted.requests()[0].payload == b"/\xc3\xa4\0"


def test_nul_in_a_path_is_refused_without_asking(client: Client) -> None:
    """The daemon would see a shorter path, or a value."""
    with pytest.raises(XenStoreError, match="NUL") as caught:
        client.write("/t/a\0b", b"1")

    assert caught.value.errno == Errno.EINVAL
    assert not client.exists("/t/a")


def test_missing_node_is_enoent(client: Client) -> None:
    """The errno is that of the daemon."""
    with pytest.raises(XenStoreError) as caught:
        client.read("/t/none")

    assert caught.value.errno == Errno.ENOENT
    assert caught.value.path == b"/t/none"


def test_mkdir_makes_an_empty_node_and_keeps_an_old_one(client: Client) -> None:
    """MKDIR of an existing node changes nothing."""
    client.mkdir("/t/a/b")
    client.write("/t/a", b"1")

    client.mkdir("/t/a")

    assert client.read("/t/a") == b"1"
    assert client.read("/t/a/b") == b""


def test_rm_takes_the_subtree(client: Client) -> None:
    """And a missing node below an existing one is no error."""
    client.write("/t/a/b/c", b"1")

    client.rm("/t/a")
    client.rm("/t/a")

    assert client.directory("/t") == []


def test_exists_is_about_enoent_only(scripted: ScriptedDaemon) -> None:
    """That a node may not be read does not say that there is none."""
    scripted.answer(Op.READ, b"")
    scripted.refuse(b"ENOENT")
    scripted.refuse(b"EACCES")

    assert scripted.client.exists("/a")
    assert not scripted.client.exists("/a")
    with pytest.raises(XenStoreError, match="EACCES"):
        scripted.client.exists("/a")


def test_directory_lists_in_the_order_of_making(client: Client) -> None:
    """A node without children gives an empty list."""
    for name in ("/t/b", "/t/a", "/t/c"):
        client.mkdir(name)

    assert client.directory("/t") == [b"b", b"a", b"c"]
    assert client.directory("/t/a") == []


def test_permissions_come_back_as_set(client: Client) -> None:
    """Text or bytes go in, bytes come out."""
    client.set_permissions("/t", ["n0", b"r5", "b6"])

    assert client.get_permissions("/t") == [b"n0", b"r5", b"b6"]


def test_directory_over_4096_bytes_comes_in_parts(client: Client) -> None:
    """The daemon refuses DIRECTORY with E2BIG, and the client asks for parts."""
    names = [b"node-with-a-rather-long-name-%04d" % n for n in range(300)]
    for name in names:
        client.mkdir(b"/t/" + name)

    assert client.directory("/t") == names


def test_parts_are_asked_for_by_offset(scripted: ScriptedDaemon) -> None:
    """The offset counts bytes of names, NULs included; an empty name is the end."""
    scripted.refuse(b"E2BIG")
    scripted.answer(Op.DIRECTORY_PART, b"7\0aa\0b\0")
    scripted.answer(Op.DIRECTORY_PART, b"7\0ccc\0\0")

    assert scripted.client.directory("/d") == [b"aa", b"b", b"ccc"]
    assert [(frame.op, frame.payload) for frame in scripted.requests()] == [
        (Op.DIRECTORY, b"/d\0"),
        (Op.DIRECTORY_PART, b"/d\x000\0"),
        (Op.DIRECTORY_PART, b"/d\x005\0"),
    ]


def test_end_may_come_alone(scripted: ScriptedDaemon) -> None:
    """The last names may fill a part, so that the end is in the next."""
    scripted.refuse(b"E2BIG")
    scripted.answer(Op.DIRECTORY_PART, b"7\0aa\0")
    scripted.answer(Op.DIRECTORY_PART, b"7\0\0")

    assert scripted.client.directory("/d") == [b"aa"]


def test_directory_emptied_meanwhile_is_empty(scripted: ScriptedDaemon) -> None:
    """After E2BIG there may be nothing left to list."""
    scripted.refuse(b"E2BIG")
    scripted.answer(Op.DIRECTORY_PART, b"7\0\0")

    assert scripted.client.directory("/d") == []


def test_other_generation_begins_anew(scripted: ScriptedDaemon) -> None:
    """The names of two states of the node are never mixed."""
    scripted.refuse(b"E2BIG")
    scripted.answer(Op.DIRECTORY_PART, b"7\0aa\0b\0")
    scripted.answer(Op.DIRECTORY_PART, b"8\0ccc\0\0")
    scripted.answer(Op.DIRECTORY_PART, b"8\0b\0")
    scripted.answer(Op.DIRECTORY_PART, b"8\0ccc\0\0")

    assert scripted.client.directory("/d") == [b"b", b"ccc"]


def test_directory_that_never_holds_still_is_eagain(
    scripted: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beginning anew has a limit."""
    monkeypatch.setattr(nodes, "LISTING_ATTEMPTS", 3)
    scripted.refuse(b"E2BIG")
    for part in (b"7\0aa\0", b"8\0b\0") * 3:
        scripted.answer(Op.DIRECTORY_PART, part)

    with pytest.raises(XenStoreError, match="kept changing") as caught:
        scripted.client.directory("/d")

    assert caught.value.errno == Errno.EAGAIN
    assert caught.value.path == b"/d"


def test_part_without_anything_is_an_error(scripted: ScriptedDaemon) -> None:
    """Asking again would go on for ever."""
    scripted.refuse(b"E2BIG")
    scripted.answer(Op.DIRECTORY_PART, b"7\0")

    with pytest.raises(XenStoreError, match="empty part") as caught:
        scripted.client.directory("/d")

    assert caught.value.errno == Errno.EIO


def test_other_refusal_of_a_directory_is_raised(client: Client) -> None:
    """Only E2BIG leads to parts."""
    with pytest.raises(XenStoreError) as caught:
        client.directory("/t/none")

    assert caught.value.errno == Errno.ENOENT
