"""The node operations, which are the same outside and inside a transaction."""

from typing import Final

import pytest

from tests.store.script import Play, play
from tests.store.support import Client, Enter
from xsd.store import Store

RULES: Final[dict[str, str]] = {
    # Reading.
    "what is missing is ENOENT, for whoever may know": """
        mkdir /a; 0* read /a/b -> ENOENT; 0* dir /a/b -> ENOENT; 0* get /a/b/c -> ENOENT
        0* set /a/b n0 -> ENOENT; 0* rm /a/b/c -> ENOENT""",
    "children are listed in the order of creation; one that comes again goes last": """
        write /d/c; write /d/a; write /d/b; 0* dir /d -> c a b; 0* rm /d/c
        0* write /d/c; 0* write /d/a 1; 0* dir /d -> a b c; 0* dir /d/a -> -""",
    # Who may read.
    "READ, DIRECTORY and GET_PERMS need the right to read": """
        1 mkdir here
        write /for-all x; set /for-all r0; write /for-1 x; set /for-1 n0 r1
        write /own x; set /own n1; write /both x; set /both n0 b1
        1* read /for-all -> x; 1* dir /for-all -> -; 1* get /for-all -> r0
        1* read /for-1 -> x; 1* dir /for-1 -> -; 1* get /for-1 -> n0 r1
        1* read /own -> x; 1* dir /own -> -; 1* get /own -> n1
        1* read /both -> x; 1* dir /both -> -; 1* get /both -> n0 b1""",
    "without it they are EACCES: none, to write only, of another domain, denied": """
        write /no; write /write-only; set /write-only n0 w1
        write /of-2; set /of-2 n0 r2; 1 mkdir here; write /not-1; set /not-1 r0 n1
        1* read /no -> EACCES; 1* dir /no -> EACCES; 1* get /no -> EACCES
        1* read /write-only -> EACCES; 1* dir /write-only -> EACCES
        1* get /write-only -> EACCES
        1* read /of-2 -> EACCES; 1* dir /of-2 -> EACCES; 1* get /of-2 -> EACCES
        1* read /not-1 -> EACCES; 1* dir /not-1 -> EACCES; 1* get /not-1 -> EACCES""",
    "the first entry that names the domain decides": """
        1 mkdir here; write /a x; set /a n0 n1 r1; 1* read /a -> EACCES""",
    "names of missing nodes cannot be probed without a right above": """
        mkdir /secret; mkdir /readable; set /readable r0
        1* read /secret/x -> EACCES; 1* read /x -> EACCES
        1* read /readable/x -> ENOENT; 1* read /readable/x/y -> ENOENT
        1* set /readable/x n1 -> EACCES; 1* set /local/domain/1/x n1 -> ENOENT
        1* rm /readable/x -> EACCES; 1* rm /readable/x/y -> EACCES""",
    # Writing.
    "a write creates what is missing above, with empty values": """
        0* write /a/b/c 1; 0* read /a -> -; 0* read /a/b -> -; 0* read /a/b/c -> 1
        0* write /a/b 2; 0* read /a/b -> 2; 0* dir /a/b -> c""",
    "the root has a value and permissions too": """
        0* write / x; 0* set / r0; 0* read / -> x; 0* get / -> r0; 0* dir / -> tool""",
    "MKDIR of an existing node leaves its value": """
        write /a x; 0* mkdir /a; 0* mkdir /b/c; 0* read /a -> x; 0* read /b/c -> -""",
    "a guest needs the right to write, on the nearest node there is": """
        1 mkdir here; write /read-only x; set /read-only r0
        write /write-only x; set /write-only n0 w1
        1* write /read-only y -> EACCES; 1* write /read-only/a/b -> EACCES
        1* mkdir /read-only -> EACCES; 1* mkdir /read-only/a -> EACCES
        1* rm /read-only -> EACCES
        1* write /write-only y; 1* mkdir /write-only; 1* mkdir /write-only/a/b
        1* rm /write-only""",
    "a new node, and those on the way to it, have the permissions of the nearest": """
        mkdir /a; set /a r0 b2; 0* write /a/b/c
        0* get /a/b -> r0 b2; 0* get /a/b/c -> r0 b2""",
    "a guest owns what it creates; letters and other entries are inherited": """
        1 mkdir here; mkdir /a; set /a r0 b1 w2; 1* write /a/b/c
        1* get /a/b -> r1 b1 w2; 1* get /a/b/c -> r1 b1 w2""",
    "a refused request makes no node on the way, and counts nothing": """
        1 write a x; quota 1 nodes 3; set /tool r0
        1* write /tool/b/c -> EACCES; 1* rm /tool/xenstored -> EACCES
        1 write b/c x*2048 -> ENOSPC; 1* write b/c/d -> ENOSPC
        nodes 1 -> 2; 1 dir /local/domain/1 -> a; dir /tool -> xenstored""",
    # Removing.
    "RM removes all that is below": """
        write /a/b/c; 0* rm /a
        0* read /a -> ENOENT; 0* read /a/b/c -> ENOENT; 0* dir / -> tool""",
    "RM of a missing child succeeds; of what has no parent it is ENOENT": """
        0* rm /tool/nothing-here; 0* rm /tool/nothing-here/nor-here -> ENOENT""",
    "the root cannot be removed: EINVAL, EACCES for a guest": """
        0* rm / -> EINVAL; 1* rm / -> EACCES""",
    "RM asks for no right to what is below": """
        1 mkdir a/b; set /local/domain/1/a/b n0; set /local/domain/1/a n0 w1; 1* rm a
        1* dir /local/domain/1 -> -""",
    # Permissions.
    "SET_PERMS replaces the list; value and children stay": """
        write /a/b x; write /a y; 0* set /a b0
        0* get /a -> b0; 0* read /a -> y; 0* dir /a -> b""",
    "only the owner sets permissions, whoever may write": """
        mkdir /a; set /a b0; 1* set /a n1 -> EACCES
        1* write own; 1* set own r1; 1* get own -> r1""",
    "a guest cannot give its node away (XSA-352)": """
        1 mkdir a; 1* set a n0 -> EPERM; 1* get a -> n1""",
    "permissions of special nodes are set and read": """
        1* get @releaseDomain -> n0 r32757
        1* get @introduceDomain -> EACCES
        0* set @introduceDomain n0 r1; 0* get @introduceDomain -> n0 r1
        0* get @other -> ENOENT""",
}


@pytest.mark.parametrize("inside", [False, True], ids=["direct", "in transaction"])
@pytest.mark.parametrize("rule", RULES)
def test_the_node_operations(store: Store, rule: str, *, inside: bool) -> None:
    """What is done by 0* and 1* is done in both ways."""
    Play(store, inside=inside).run(RULES[rule])


LETTERS: Final = [b"%c" % each for each in b"0123456789-_" + bytes(range(65, 91))]
SHORT: Final = [*LETTERS, *[letter.lower() for letter in LETTERS[12:]]]
WIDE: Final[dict[str, tuple[int, list[bytes]]]] = {
    "16 names of 255 bytes are 4,096": (
        16,
        [*[b"%0255d" % n for n in range(16)], b"x"],
    ),
    "1,386 of one and two bytes are 4,094": (
        1386,
        [*SHORT, *[one + other for one in SHORT for other in SHORT]][:2049],
    ),
}
"""How many of these names still fit into 4,096 bytes."""


@pytest.mark.parametrize("names", WIDE)
def test_a_directory_over_4096_bytes_is_e2big(
    dom0: Client, enter: Enter, names: str
) -> None:
    """By the bytes of its names with their NULs, of whatever length."""
    fitting, all_names = WIDE[names]
    for name in all_names[:fitting]:
        dom0.write(b"/d/" + name)
    client = enter(dom0)

    assert client.directory(b"/d") == all_names[:fitting]
    for name in all_names[fitting:]:
        client.write(b"/d/" + name)
    play(client, "dir /d -> E2BIG")


def test_the_generation_of_a_directory_changes_with_the_node_itself(
    dom0: Client,
) -> None:
    """With its value, permissions and names, not with its children's values."""
    seen: list[bytes] = []
    for script in ("write /d/a", "write /d 1", "set /d n0", "rm /d/a; write /d/a"):
        play(dom0, script)
        seen.append(dom0.directory_part(b"/d", 0))
    dom0.write(b"/d/a", b"1")

    assert len(set(seen)) == 4
    assert dom0.directory_part(b"/d", 0) == seen[-1]
