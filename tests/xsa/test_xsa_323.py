"""XSA-323: paths so long that nobody, dom0 included, can name them any more."""

from typing import Final

import pytest

from tests.xsa.support import OF_NODES, World
from xsd.protocol.errors import Errno
from xsd.protocol.limits import ABS_PATH_MAX
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, PATH_MAX
from xsd.testing import Session

LIMIT: Final = DEFAULTS[PATH_MAX]

OF_PATHS: Final = {**OF_NODES, Op.WATCH: b"t\0", Op.UNWATCH: b"t\0"}
"""Message types with a path, and what follows it."""


def relative(size: int) -> bytes:
    """A relative path of so many bytes."""
    return (b"%063d/" % 7 * (size // 64 + 1))[: size - 1] + b"x"


def long(size: int) -> str:
    """The same as text."""
    return relative(size).decode()


assert len("/local/domain/32751/" + long(LIMIT)) <= ABS_PATH_MAX


@pytest.mark.parametrize("op", OF_PATHS)
@pytest.mark.parametrize("beginning", [b"", b"/local/domain/1/", b"/x/", b"@x/"])
def test_no_request_of_a_guest_takes_a_longer_path(
    hostile: Session, op: int, beginning: bytes
) -> None:
    """EINVAL, wherever the path leads."""
    path = beginning + relative(LIMIT + 1)

    assert hostile.refused(op, path + b"\0" + OF_PATHS[op]) == Errno.EINVAL


RULES: Final[dict[str, str]] = {
    **{
        f"dom0 can name the longest path of domain {domid}, by its absolute form": f"""
            {domid} write {long(LIMIT)} value; 0 read ~{domid}/{long(LIMIT)} -> value
            0 watch ~{domid}/{long(LIMIT)} t
            0 start t1; t1 write ~{domid}/{long(LIMIT)} other; t1 commit -> OK
            {domid} read {long(LIMIT)} -> other
            0 rm ~{domid}/{long(LIMIT)}; 0 hear
        """
        for domid in (9, 10000)
    },
    # A domain that is moved keeps its nodes' names.
    **{
        f"the limit is the same for both forms of a path, of domain {domid}": f"""
            {domid} write {long(LIMIT + 1)} -> EINVAL; {domid} write {long(LIMIT)}
            {domid} write ~{domid}/{long(LIMIT + 1)} -> EINVAL
            {domid} write ~{domid}/{long(LIMIT)}
        """
        for domid in (9, 10000)
    },
    # Another beginning is part of the path's length.
    **{
        f"only a home is not counted, {beginning} is": f"""
            enter 1; 0 mkdir {beginning}; 0 set {beginning} b0
            mkdir {beginning}/{(allowed := long(LIMIT - len(beginning) - 1))}x -> EINVAL
            mkdir {beginning}/{allowed}; 0 rm {beginning}/{allowed}
        """
        for beginning in (
            *("/local/domain/123456", "/local/domain/x", "/local/domains/1", "/vm/1"),
        )
    },
    "what became too long is hidden from its guest, and removed by dom0": f"""
        mkdir {long(1000)}; limit path-max 500
        read {long(1000)} -> EINVAL; 0 rm ~1/{long(1000)}
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_dom0_can_name_what_a_guest_cannot(world: World, rule: str) -> None:
    """But only a guest's own home is left out of the account."""
    world.play(RULES[rule])
