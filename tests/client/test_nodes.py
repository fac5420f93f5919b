"""xsd.client.nodes: requests that name a node, and long directories."""

import pytest

from tests.support.scripted import ScriptedDaemon
from xsd.client import Client, nodes
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op


def test_nul_in_a_path_is_refused_without_asking(client: Client) -> None:
    """The daemon would see a shorter path, or a value."""
    with pytest.raises(XenStoreError, match=r"^EINVAL.*NUL"):
        client.write("/t/a\0b", b"1")

    assert not client.exists("/t/a")


def test_missing_node_is_enoent(client: Client) -> None:
    """The errno is that of the daemon; only E2BIG leads to parts of a directory."""
    for call in (client.read, client.directory):
        with pytest.raises(XenStoreError) as caught:
            call("/t/none")

        assert (caught.value.errno, caught.value.path) == (Errno.ENOENT, b"/t/none")


def test_exists_is_about_enoent_only(scripted: ScriptedDaemon) -> None:
    """That a node may not be read does not say that there is none."""
    scripted.answer(Op.READ, b"")
    scripted.refuse(b"ENOENT")
    scripted.refuse(b"EACCES")

    assert scripted.client.exists("/a")
    assert not scripted.client.exists("/a")
    with pytest.raises(XenStoreError, match="EACCES"):
        scripted.client.exists("/a")


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


PARTS: dict[str, tuple[list[bytes], list[bytes] | str]] = {
    "the end may come alone": ([b"7\0aa\0", b"7\0\0"], [b"aa"]),
    "a directory that was emptied meanwhile is empty": ([b"7\0\0"], []),
    "names of two generations are never mixed": (
        [b"7\0aa\0b\0", b"8\0ccc\0\0", b"8\0b\0", b"8\0ccc\0\0"],
        [b"b", b"ccc"],
    ),
    "beginning anew has a limit": (
        [b"7\0aa\0", b"8\0b\0"] * 3,
        r"^EAGAIN: .*kept changing.*: /d$",
    ),
    "a part without anything would be asked for for ever": (
        [b"7\0"],
        r"^EIO: .*empty part",
    ),
}


@pytest.mark.parametrize(("parts", "found"), PARTS.values(), ids=PARTS)
def test_parts_make_one_list_or_none(
    scripted: ScriptedDaemon,
    monkeypatch: pytest.MonkeyPatch,
    parts: list[bytes],
    found: list[bytes] | str,
) -> None:
    """Of one state of the node."""
    monkeypatch.setattr(nodes, "LISTING_ATTEMPTS", 3)
    scripted.refuse(b"E2BIG")
    for part in parts:
        scripted.answer(Op.DIRECTORY_PART, part)

    if isinstance(found, list):
        assert scripted.client.directory("/d") == found
    else:
        with pytest.raises(XenStoreError, match=found):
            scripted.client.directory("/d")
