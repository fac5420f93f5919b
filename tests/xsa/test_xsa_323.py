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


@pytest.fixture(params=[9, 10000])
def guest(request: pytest.FixtureRequest, world: World) -> Session:
    """A domain whose id is short, or long."""
    return world.guest(request.param)


def test_dom0_can_name_whatever_a_guest_has_made(
    world: World, dom0: Session, guest: Session
) -> None:
    """The longest path that a guest may use, by its absolute form."""
    path = relative(LIMIT)
    full = world.connection(guest).home + b"/" + path
    guest.ok(Op.WRITE, path + b"\0value")

    assert len(full) <= ABS_PATH_MAX
    assert dom0.reply(Op.READ, full + b"\0") == (Op.READ, b"value")
    dom0.ok(Op.WATCH, full + b"\0t\0")
    with dom0.transaction() as number:
        dom0.ok(Op.WRITE, full + b"\0other", number)
    assert guest.reply(Op.READ, path + b"\0") == (Op.READ, b"other")
    dom0.ok(Op.RM, full + b"\0")


def test_the_limit_is_the_same_for_both_forms_of_a_path(
    world: World, guest: Session
) -> None:
    """And for every domid: a domain that is moved keeps its nodes' names."""
    for prefix in (b"", world.connection(guest).home + b"/"):
        assert guest.refused(Op.WRITE, prefix + relative(LIMIT + 1) + b"\0") == (
            Errno.EINVAL
        )
        guest.ok(Op.WRITE, prefix + relative(LIMIT) + b"\0")


@pytest.mark.parametrize("op", OF_PATHS)
@pytest.mark.parametrize("beginning", [b"", b"/local/domain/1/", b"/x/", b"@x/"])
def test_no_request_of_a_guest_takes_a_longer_path(
    hostile: Session, op: int, beginning: bytes
) -> None:
    """EINVAL, wherever the path leads."""
    path = beginning + relative(LIMIT + 1)

    assert hostile.refused(op, path + b"\0" + OF_PATHS[op]) == Errno.EINVAL


RULES: Final[dict[str, str]] = {
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
