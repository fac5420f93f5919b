"""The node operations, which are the same outside and inside a transaction."""

from tests.store.support import Client, Enter, perms, refused, shape
from xsd.protocol.errors import Errno
from xsd.protocol.perms import Caller
from xsd.store import Store
from xsd.store.quota import NODES

# Reading.


def test_a_value_is_any_bytes(dom0: Client, enter: Enter) -> None:
    """READ returns what was written, NULs and all; empty too."""
    dom0.write(b"/a", b"x\0\xff")
    dom0.write(b"/b", b"")
    client = enter(dom0)

    assert client.read(b"/a") == b"x\0\xff"
    assert client.read(b"/b") == b""


def test_what_is_missing_is_enoent(dom0: Client, enter: Enter) -> None:
    """For whoever may know."""
    dom0.mkdir(b"/a")
    client = enter(dom0)

    refused(Errno.ENOENT, client.read, b"/a/b")
    refused(Errno.ENOENT, client.directory, b"/a/b")
    refused(Errno.ENOENT, client.get_perms, b"/a/b/c")
    refused(Errno.ENOENT, client.set_perms, b"/a/b", b"n0")
    refused(Errno.ENOENT, client.rm, b"/a/b/c")


def test_a_directory_lists_children_in_the_order_of_creation(
    dom0: Client, enter: Enter
) -> None:
    """A node that is removed and made again goes to the end."""
    for name in (b"/d/c", b"/d/a", b"/d/b"):
        dom0.write(name)
    client = enter(dom0)

    assert client.directory(b"/d") == [b"c", b"a", b"b"]
    client.rm(b"/d/c")
    client.write(b"/d/c")
    client.write(b"/d/a", b"1")
    assert client.directory(b"/d") == [b"a", b"b", b"c"]
    assert client.directory(b"/d/a") == []


def test_a_directory_over_4096_bytes_is_e2big(dom0: Client, enter: Enter) -> None:
    """By the bytes of its names with their NULs, of whatever length."""
    for number in range(16):
        dom0.write(b"/d/%s" % (b"%02d" % number).zfill(255))
    client = enter(dom0)

    assert len(client.directory(b"/d")) == 16
    client.write(b"/d/x")
    refused(Errno.E2BIG, client.directory, b"/d")


def test_short_names_may_be_many(dom0: Client, enter: Enter) -> None:
    """1,386 of one and two bytes are a directory of 4,094."""
    letters = [b"%c" % letter for letter in b"0123456789-_" + bytes(range(65, 91))]
    letters += [letter.lower() for letter in letters[12:]]
    names = letters + [first + second for first in letters for second in letters]
    for name in names[: 64 + 1322]:
        dom0.write(b"/d/" + name)
    client = enter(dom0)

    assert client.directory(b"/d") == names[: 64 + 1322]


def test_a_directory_of_very_many_children_is_e2big(dom0: Client, enter: Enter) -> None:
    """2,049 names take more than 4,096 bytes, however short they are."""
    for number in range(2049):
        dom0.write(b"/d/%d" % number)

    refused(Errno.E2BIG, enter(dom0).directory, b"/d")


def test_a_part_of_a_directory_begins_with_the_generation(
    dom0: Client, enter: Enter
) -> None:
    """Then the names from the offset on; a NUL more stands for the end."""
    dom0.write(b"/d/abc")
    dom0.write(b"/d/de")
    generation = b"%d\0" % dom0.store.generation
    client = enter(dom0)

    assert client.directory_part(b"/d", 0) == generation + b"abc\0de\0\0"
    assert client.directory_part(b"/d", 4) == generation + b"de\0\0"
    assert client.directory_part(b"/d", 7) == generation + b"\0"


def test_the_generation_of_a_directory_changes_with_the_node_itself(
    dom0: Client,
) -> None:
    """With its value, permissions and names, not with its children's values."""
    dom0.write(b"/d/a")
    seen = [dom0.directory_part(b"/d", 0)]
    dom0.write(b"/d", b"1")
    seen.append(dom0.directory_part(b"/d", 0))
    dom0.set_perms(b"/d", b"n0")
    seen.append(dom0.directory_part(b"/d", 0))
    dom0.rm(b"/d/a")
    dom0.write(b"/d/a")
    seen.append(dom0.directory_part(b"/d", 0))
    dom0.write(b"/d/a", b"1")

    assert len(set(seen)) == 4
    assert dom0.directory_part(b"/d", 0) == seen[-1]


# Who may read.


def test_a_guest_reads_what_the_list_lets_it(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """READ, DIRECTORY and GET_PERMS all need the right to read."""
    for path, entries in (
        (b"/for-all", (b"r0",)),
        (b"/for-1", (b"n0", b"r1")),
        (b"/own", (b"n1",)),
        (b"/both", (b"n0", b"b1")),
    ):
        dom0.write(path, b"x")
        dom0.set_perms(path, *entries)
    client = enter(guest)

    for path in (b"/for-all", b"/for-1", b"/own", b"/both"):
        assert client.read(path) == b"x"
        assert client.directory(path) == []
        assert client.get_perms(path) == dom0.get_perms(path)


def test_a_guest_may_not_read_what_the_list_forbids(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """No right, the right to write only, a right of another domain."""
    for path, entries in (
        (b"/no", (b"n0",)),
        (b"/write-only", (b"n0", b"w1")),
        (b"/of-2", (b"n0", b"r2")),
        (b"/not-1", (b"r0", b"n1")),
    ):
        dom0.write(path, b"x")
        dom0.set_perms(path, *entries)
    client = enter(guest)

    for path in (b"/no", b"/write-only", b"/of-2", b"/not-1"):
        refused(Errno.EACCES, client.read, path)
        refused(Errno.EACCES, client.directory, path)
        refused(Errno.EACCES, client.get_perms, path)


def test_the_first_entry_that_names_the_domain_decides(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """A later one does not give what an earlier one denies."""
    dom0.write(b"/a", b"x")
    dom0.set_perms(b"/a", b"n0", b"n1", b"r1")

    refused(Errno.EACCES, enter(guest).read, b"/a")


def test_names_of_missing_nodes_cannot_be_probed(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """ENOENT only for who has the wanted right on the nearest existing node."""
    dom0.mkdir(b"/secret")
    dom0.mkdir(b"/readable")
    dom0.set_perms(b"/readable", b"r0")
    client = enter(guest)

    refused(Errno.EACCES, client.read, b"/secret/x")
    refused(Errno.EACCES, client.read, b"/x")
    refused(Errno.ENOENT, client.read, b"/readable/x")
    refused(Errno.ENOENT, client.read, b"/readable/x/y")
    refused(Errno.EACCES, client.set_perms, b"/readable/x", b"n1")
    refused(Errno.ENOENT, client.set_perms, b"/local/domain/1/x", b"n1")
    refused(Errno.EACCES, client.rm, b"/readable/x")
    refused(Errno.EACCES, client.rm, b"/readable/x/y")


def test_a_domain_has_the_rights_of_its_target(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """A stub domain serves its guest's devices (SET_TARGET)."""
    dom0.store.introduce(2, 2)
    stub = Client(dom0.store, Caller(2, privileged=False, target=1))
    guest.write(b"own", b"x")
    client = enter(stub)

    assert client.read(b"/local/domain/1/own") == b"x"
    client.write(b"/local/domain/1/own", b"y")
    assert client.read(b"/local/domain/1/own") == b"y"


# Writing.


def test_a_write_creates_what_is_missing_above(dom0: Client, enter: Enter) -> None:
    """With empty values."""
    client = enter(dom0)
    client.write(b"/a/b/c", b"1")

    assert client.read(b"/a") == client.read(b"/a/b") == b""
    assert client.read(b"/a/b/c") == b"1"
    client.write(b"/a/b", b"2")
    assert client.read(b"/a/b") == b"2"
    assert client.directory(b"/a/b") == [b"c"]


def test_the_root_has_a_value_too(dom0: Client, enter: Enter) -> None:
    """It can be written and given permissions."""
    client = enter(dom0)
    client.write(b"/", b"x")
    client.set_perms(b"/", b"r0")

    assert client.read(b"/") == b"x"
    assert client.get_perms(b"/") == b"r0\0"
    assert client.directory(b"/") == [b"tool"]


def test_mkdir_of_an_existing_node_leaves_its_value(dom0: Client, enter: Enter) -> None:
    """It makes an empty one only where none is."""
    dom0.write(b"/a", b"x")
    client = enter(dom0)
    client.mkdir(b"/a")
    client.mkdir(b"/b/c")

    assert client.read(b"/a") == b"x"
    assert client.read(b"/b/c") == b""


def test_a_guest_needs_the_right_to_write(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """On the node, or on the nearest one above where it is missing."""
    dom0.write(b"/read-only", b"x")
    dom0.set_perms(b"/read-only", b"r0")
    dom0.write(b"/write-only", b"x")
    dom0.set_perms(b"/write-only", b"n0", b"w1")
    client = enter(guest)

    refused(Errno.EACCES, client.write, b"/read-only", b"y")
    refused(Errno.EACCES, client.write, b"/read-only/a/b")
    refused(Errno.EACCES, client.mkdir, b"/read-only")
    refused(Errno.EACCES, client.mkdir, b"/read-only/a")
    refused(Errno.EACCES, client.rm, b"/read-only")
    client.write(b"/write-only", b"y")
    client.mkdir(b"/write-only")
    client.mkdir(b"/write-only/a/b")
    client.rm(b"/write-only")


def test_a_new_node_has_the_permissions_of_the_nearest_one(
    dom0: Client, enter: Enter
) -> None:
    """So have all that are made on the way to it."""
    dom0.mkdir(b"/a")
    dom0.set_perms(b"/a", b"r0", b"b2")
    client = enter(dom0)
    client.write(b"/a/b/c")

    assert client.get_perms(b"/a/b") == b"r0\0b2\0"
    assert client.get_perms(b"/a/b/c") == b"r0\0b2\0"


def test_a_guest_owns_what_it_creates(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """The letters and the other entries are inherited."""
    dom0.mkdir(b"/a")
    dom0.set_perms(b"/a", b"r0", b"b1", b"w2")
    client = enter(guest)
    client.write(b"/a/b/c")

    assert client.get_perms(b"/a/b") == b"r1\0b1\0w2\0"
    assert client.get_perms(b"/a/b/c") == b"r1\0b1\0w2\0"


# Removing.


def test_rm_removes_all_that_is_below(dom0: Client, enter: Enter) -> None:
    """The node and its children are missing afterwards."""
    dom0.write(b"/a/b/c")
    client = enter(dom0)
    client.rm(b"/a")

    refused(Errno.ENOENT, client.read, b"/a")
    refused(Errno.ENOENT, client.read, b"/a/b/c")
    assert client.directory(b"/") == [b"tool"]


def test_rm_of_a_missing_child_of_an_existing_parent_succeeds(
    dom0: Client, enter: Enter
) -> None:
    """Scripts remove what may be gone; what has no parent is ENOENT."""
    client = enter(dom0)
    client.rm(b"/tool/nothing-here")

    refused(Errno.ENOENT, client.rm, b"/tool/nothing-here/nor-here")


def test_the_root_cannot_be_removed(dom0: Client, guest: Client, enter: Enter) -> None:
    """EINVAL; EACCES for a guest that may not even write it."""
    refused(Errno.EINVAL, enter(dom0).rm, b"/")
    refused(Errno.EACCES, enter(guest).rm, b"/")


def test_rm_asks_for_no_right_to_what_is_below(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """The right to write the node itself is enough."""
    dom0.mkdir(b"/local/domain/1/a/b")
    dom0.set_perms(b"/local/domain/1/a/b", b"n0")
    dom0.set_perms(b"/local/domain/1/a", b"n0", b"w1")
    client = enter(guest)
    client.rm(b"a")

    assert client.directory(b"/local/domain/1") == []


# Permissions.


def test_set_perms_replaces_the_list(dom0: Client, enter: Enter) -> None:
    """The value and the children stay."""
    dom0.write(b"/a/b", b"x")
    dom0.write(b"/a", b"y")
    client = enter(dom0)
    client.set_perms(b"/a", b"b0")

    assert client.get_perms(b"/a") == b"b0\0"
    assert client.read(b"/a") == b"y"
    assert client.directory(b"/a") == [b"b"]


def test_only_the_owner_sets_permissions(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """The right to write is not enough."""
    dom0.mkdir(b"/a")
    dom0.set_perms(b"/a", b"b0")
    client = enter(guest)

    refused(Errno.EACCES, client.set_perms, b"/a", b"n1")
    client.write(b"own")
    client.set_perms(b"own", b"r1")
    assert client.get_perms(b"own") == b"r1\0"


def test_a_guest_cannot_give_its_node_away(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """EPERM: it would make room under its quota (XSA-352)."""
    dom0.mkdir(b"/local/domain/1/a")
    client = enter(guest)

    refused(Errno.EPERM, client.set_perms, b"/local/domain/1/a", b"n0")
    assert client.get_perms(b"a") == b"n1\0"


# All or nothing.


def test_a_refused_request_changes_nothing(
    store: Store, dom0: Client, guest: Client
) -> None:
    """No node on the way, no count, no generation."""
    guest.write(b"a", b"x")
    store.quotas.set(1, NODES, 4)
    dom0.set_perms(b"/tool", b"r0")
    before = (shape(store), store.generation, dict(store.usage.nodes.used))
    refused(Errno.ENOSPC, guest.write, b"/local/domain/1/b/c/d")
    refused(Errno.ENOSPC, guest.write, b"/local/domain/1/b/c", b"x" * 2048)
    refused(Errno.EACCES, guest.write, b"/tool/b/c")
    refused(Errno.EACCES, guest.rm, b"/tool/xenstored")
    refused(Errno.EPERM, guest.set_perms, b"/local/domain/1/a", b"n0")

    assert (shape(store), store.generation, store.usage.nodes.used) == before


def test_permissions_of_special_nodes_are_set_and_read(
    dom0: Client, guest: Client, enter: Enter
) -> None:
    """They say who is told of domains; a guest may read @releaseDomain."""
    assert enter(guest).get_perms(b"@releaseDomain") == b"n0\0r32757\0"
    refused(Errno.EACCES, enter(guest).get_perms, b"@introduceDomain")

    client = enter(dom0)
    client.set_perms(b"@introduceDomain", b"n0", b"r1")
    assert client.get_perms(b"@introduceDomain") == b"n0\0r1\0"
    refused(Errno.ENOENT, client.get_perms, b"@other")
    assert perms(b"n0", b"r1").text == b"n0\0r1\0"
