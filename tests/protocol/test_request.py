"""Payloads of requests: what each message type accepts and what it makes of it."""

from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xsd.protocol import request as sent
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.protocol.request import GLOBAL, OWN, UNLIMITED, Request, parse_request

ONE_PATH: Final[dict[Op, Request]] = {
    Op.DIRECTORY: sent.Directory(b"/local//domain"),
    Op.READ: sent.Read(b"/local//domain"),
    Op.GET_PERMS: sent.GetPerms(b"/local//domain"),
    Op.MKDIR: sent.Mkdir(b"/local//domain"),
    Op.RM: sent.Rm(b"/local//domain"),
}
ONE_DOMID: Final[dict[Op, Request]] = {
    Op.RELEASE: sent.Release(65535),
    Op.GET_DOMAIN_PATH: sent.GetDomainPath(65535),
    Op.IS_DOMAIN_INTRODUCED: sent.IsDomainIntroduced(65535),
    Op.RESUME: sent.Resume(65535),
}
NOT_ONE: Final = [b"", b"5", b"5\0x", b"5\0\0", b"5\x006\0"]
"""No NUL, or something after it."""

MALFORMED: Final[dict[Op, list[bytes]]] = {
    Op.CONTROL: [b"", b"help"],
    Op.WATCH: [
        *(b"", b"/a\0", b"/a\0t", b"/a\0t\x000\x000\0", b"/a\0t\0-1\0"),
        b"/a\0t\x002147483648\0",
    ],
    Op.UNWATCH: [b"/a\0", b"/a\0t", b"/a\0t\0x\0"],
    Op.TRANSACTION_END: [b"", b"\0", b"T", b"t\0", b"T\0\0", b"T\0x"],
    Op.INTRODUCE: [
        *(b"5\x004101\0", b"5\x004101\x00105", b"abc\x004101\x00105\0"),
        *(b"65536\x004101\x00105\0", b"5\x004101\x000\0", b"5\x004101\0-1\0"),
        b"5\x004101\0x\0",
    ],
    Op.WRITE: [b"", b"/a"],
    Op.SET_PERMS: [b"/a", b"/a\0", b"/a\0n0"],
    Op.SET_TARGET: [b"5\0", b"5\x006", b"5\0x\0", b"x\x005\0"],
    Op.DIRECTORY_PART: [b"/a\0", b"/a\x000", b"/a\x000\x000\0"],
    Op.GET_FEATURE: [b"\0", b"x\0", b"1\x002\0"],
    Op.SET_FEATURE: [b"5\0", b"5\x0014", b"5\x0014\x001\0", b"x\x0014\0"],
    Op.GET_QUOTA: [b"\0", b"5\0\0", b"x\0nodes\0", b"5\0nodes\0x\0"],
    Op.SET_QUOTA: [
        *(b"nodes\0", b"nodes\x005", b"x\0nodes\x005\0", b"5\0nodes\x005\0x\0"),
        *(b"nodes\x004294967295\0", b"nodes\0-1\0"),
    ],
    **dict.fromkeys(ONE_PATH, NOT_ONE),
    **{op: [*NOT_ONE, b"\0", b"5x\0", b"65536\0"] for op in ONE_DOMID},
}

REQUESTS: Final[dict[str, dict[bytes, Request]]] = {
    **{
        f"{op.name} has one path, which is not looked at yet": {
            b"/local//domain\0": request
        }
        for op, request in ONE_PATH.items()
    },
    **{
        f"{op.name} has one domain id": {b"65535\0": request}
        for op, request in ONE_DOMID.items()
    },
    "WRITE has a path and all bytes after the first NUL, NULs included": {
        b"/a\0" + value: sent.Write(b"/a", value)
        for value in (b"", b"v", b"v\0w\0", b"\0", b"\xff" * 4000)
    },
    "CONTROL has any number of strings; bytes after the last NUL are ignored": {
        b"log\0on\0\0junk": sent.Control([b"log", b"on", b""]),
    },
    "WATCH has a path and a token, if only an empty one; the rest is ignored": {
        b"/a\0tok en\xff\0": sent.Watch(b"/a", b"tok en\xff", UNLIMITED),
        b"/a\0tok en\xff\0junk": sent.Watch(b"/a", b"tok en\xff", UNLIMITED),
        b"/a\0\0": sent.Watch(b"/a", b"", UNLIMITED),
    },
    "WATCH may have a depth, read as by atoi; what is no number counts as 0": {
        b"/a\0t\x000\0": sent.Watch(b"/a", b"t", 0),
        b"/a\0t\x001\0": sent.Watch(b"/a", b"t", 1),
        b"/a\0t\x002147483647\0": sent.Watch(b"/a", b"t", 2**31 - 1),
        b"/a\0t\0x\0": sent.Watch(b"/a", b"t", 0),
        b"/a\0t\0\0": sent.Watch(b"/a", b"t", 0),
    },
    "UNWATCH has a path and a token; bytes after the last NUL are ignored": {
        b"/a\0t\0junk": sent.Unwatch(b"/a", b"t"),
    },
    "TRANSACTION_START does not look at its payload": {
        payload: sent.TransactionStart() for payload in (b"", b"\0", b"junk")
    },
    "RESET_WATCHES does not look at its payload": {
        payload: sent.ResetWatches() for payload in (b"", b"\0", b"junk")
    },
    "TRANSACTION_END says T to commit and F to discard": {
        b"T\0": sent.TransactionEnd(commit=True),
        b"F\0": sent.TransactionEnd(commit=False),
    },
    "INTRODUCE has three strings or more; the port is read as by atoi": {
        b"5\x004101\x00105\0": sent.Introduce(5, 4101, 105),
        b"5\x004101\x00105\0more\0": sent.Introduce(5, 4101, 105),
        b"5\x004101\x00105\0junk": sent.Introduce(5, 4101, 105),
        b"5\x004101x\x00 105x\0": sent.Introduce(5, 4101, 105),
        b"5\x004101\x004294967401\0": sent.Introduce(5, 4101, 105),
    },
    "INTRODUCE does not mind the frame number: the page is mapped by grant": {
        b"5\0x\x00105\0": sent.Introduce(5, 0, 105),
    },
    "SET_PERMS has entries that are not looked at yet; bytes at the end are ignored": {
        b"/a\0n0\0\0r5\0w6": sent.SetPerms(b"/a", [b"n0", b"", b"r5"]),
    },
    "SET_TARGET has two domains or more; more are ignored": {
        payload: sent.SetTarget(5, 6)
        for payload in (b"5\x006\0", b"5\x006\0x\0", b"5\x006\0junk")
    },
    "DIRECTORY_PART has an offset as by atoi; a negative one is behind every list": {
        b"/a\x000\0junk": sent.DirectoryPart(b"/a", 0),
        b"/a\x007\0junk": sent.DirectoryPart(b"/a", 7),
        b"/a\0 7x\0junk": sent.DirectoryPart(b"/a", 7),
        b"/a\0x\0junk": sent.DirectoryPart(b"/a", 0),
        b"/a\0\0junk": sent.DirectoryPart(b"/a", 0),
        b"/a\0-7\0junk": sent.DirectoryPart(b"/a", 2**32 - 7),
    },
    "GET_FEATURE is about the caller without a string, else about a domain": {
        b"": sent.GetFeature(OWN),
        b"no string": sent.GetFeature(OWN),
        b"5\0": sent.GetFeature(5),
    },
    "SET_FEATURE has a domain and 32 bits; which exist is decided later": {
        b"5\x0014\0": sent.SetFeature(5, 14),
        b"5\x000\0": sent.SetFeature(5, 0),
        b"5\0x\0": sent.SetFeature(5, 0),
        b"5\0 6x\0": sent.SetFeature(5, 6),
        b"5\0-1\0": sent.SetFeature(5, 2**32 - 1),
    },
    "GET_QUOTA without string is about all names, one is a name, two a domain's": {
        b"": sent.GetQuota(GLOBAL, b""),
        b"nodes\0": sent.GetQuota(GLOBAL, b"nodes"),
        b"5\0nodes\0": sent.GetQuota(5, b"nodes"),
        b"5\0": sent.GetQuota(GLOBAL, b"5"),
    },
    "SET_QUOTA has perhaps a domain, a name, and a value as by atoi; 0 is no limit": {
        b"nodes\x0010\0": sent.SetQuota(GLOBAL, b"nodes", 10),
        b"5\0nodes\x0010\0": sent.SetQuota(5, b"nodes", 10),
        b"5\0nodes\0\0": sent.SetQuota(5, b"nodes", 0),
        b"nodes\0x\0junk": sent.SetQuota(GLOBAL, b"nodes", 0),
        b"nodes\0-2\0": sent.SetQuota(GLOBAL, b"nodes", 2**32 - 2),
    },
}


def attributes(request: Request) -> dict[str, object]:
    """What a request says."""
    names = [name for name in dir(request) if not name.startswith("_")]
    return {name: getattr(request, name) for name in names}


@pytest.mark.parametrize("rule", REQUESTS)
def test_a_payload_is_what_its_type_makes_of_it(rule: str) -> None:
    """The rule begins with the type."""
    for payload, expected in REQUESTS[rule].items():
        request = parse_request(Op[rule.split(maxsplit=1)[0]], payload)
        assert type(request) is type(expected)
        assert attributes(request) == attributes(expected), payload


@pytest.mark.parametrize(
    ("op", "payload"), [(op, each) for op, all_ in MALFORMED.items() for each in all_]
)
def test_a_payload_that_does_not_fit_its_type_is_einval(op: Op, payload: bytes) -> None:
    """Missing or superfluous strings and bad numbers are refused."""
    assert outcome_of(op, payload) is Errno.EINVAL


@pytest.mark.parametrize("op", [Op.WATCH_EVENT, Op.ERROR, 20, 27, 0xFFFF, 2**32 - 1])
def test_types_that_nobody_can_call_are_enosys(op: int) -> None:
    """WATCH_EVENT and ERROR go to clients only; 20 was RESTRICT."""
    assert outcome_of(op, b"/a\0") is Errno.ENOSYS


PIECES = st.sampled_from(
    [b"", b"/a", b"5", b"-1", b"x", b"T", b"F", b"nodes", b"n0", b"9" * 20]
)
STRINGS = st.lists(PIECES | st.binary(max_size=4), max_size=5)
PAYLOADS = st.one_of(
    st.binary(max_size=60),
    STRINGS.map(b"\0".join),
    STRINGS.map(lambda strings: b"\0".join([*strings, b""])),
)


def outcome_of(op: int, payload: bytes) -> Request | Errno:
    try:
        return parse_request(op, payload)
    except XenStoreError as error:
        return error.errno


@settings(deadline=None)
@given(op=st.integers(0, 30) | st.integers(0, 2**32 - 1), payload=PAYLOADS)
@example(op=Op.SET_FEATURE, payload=b"5\0" + b"9" * 4093 + b"\0")
@example(op=Op.CONTROL, payload=b"\0" * 4096)
@example(op=Op.GET_DOMAIN_PATH, payload=b"0" * 4095 + b"\0")
def test_any_payload_is_a_request_or_an_error(op: int, payload: bytes) -> None:
    """Whatever a client sends, it gets a reply: nothing else is raised."""
    outcome = outcome_of(op, payload)

    assert isinstance(outcome, (Request, Errno))
    if isinstance(outcome, Errno):
        assert outcome in (Errno.EINVAL, Errno.ENOSYS)


@settings(deadline=None)
@given(payload=PAYLOADS)
def test_a_write_keeps_every_byte(payload: bytes) -> None:
    """Path, NUL and value are the payload again."""
    outcome = outcome_of(Op.WRITE, payload)

    if isinstance(outcome, sent.Write):
        assert outcome.path + b"\0" + outcome.value == payload
    else:
        assert b"\0" not in payload
