"""Payloads of requests: what each message type accepts and what it makes of it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.protocol.request import (
    GLOBAL,
    OWN,
    UNLIMITED,
    Control,
    Directory,
    DirectoryPart,
    GetDomainPath,
    GetFeature,
    GetPerms,
    GetQuota,
    Introduce,
    IsDomainIntroduced,
    Mkdir,
    Read,
    Release,
    Request,
    ResetWatches,
    Resume,
    Rm,
    SetFeature,
    SetPerms,
    SetQuota,
    SetTarget,
    TransactionEnd,
    TransactionStart,
    Unwatch,
    Watch,
    Write,
    parse_request,
)

ONE_PATH: list[tuple[Op, type[Request]]] = [
    (Op.DIRECTORY, Directory),
    (Op.READ, Read),
    (Op.GET_PERMS, GetPerms),
    (Op.MKDIR, Mkdir),
    (Op.RM, Rm),
]
ONE_DOMID: list[tuple[Op, type[Request]]] = [
    (Op.RELEASE, Release),
    (Op.GET_DOMAIN_PATH, GetDomainPath),
    (Op.IS_DOMAIN_INTRODUCED, IsDomainIntroduced),
    (Op.RESUME, Resume),
]
MALFORMED: list[tuple[Op, bytes]] = [
    (Op.CONTROL, b""),
    (Op.CONTROL, b"help"),
    (Op.WATCH, b""),
    (Op.WATCH, b"/a\0"),
    (Op.WATCH, b"/a\0t"),
    (Op.WATCH, b"/a\0t\x000\x000\0"),
    (Op.WATCH, b"/a\0t\0-1\0"),
    (Op.WATCH, b"/a\0t\x002147483648\0"),
    (Op.UNWATCH, b"/a\0"),
    (Op.UNWATCH, b"/a\0t"),
    (Op.UNWATCH, b"/a\0t\0x\0"),
    (Op.TRANSACTION_END, b""),
    (Op.TRANSACTION_END, b"\0"),
    (Op.TRANSACTION_END, b"T"),
    (Op.TRANSACTION_END, b"t\0"),
    (Op.TRANSACTION_END, b"T\0\0"),
    (Op.TRANSACTION_END, b"T\0x"),
    (Op.INTRODUCE, b"5\x004101\0"),
    (Op.INTRODUCE, b"5\x004101\x00105"),
    (Op.INTRODUCE, b"abc\x004101\x00105\0"),
    (Op.INTRODUCE, b"65536\x004101\x00105\0"),
    (Op.INTRODUCE, b"5\x004101\x000\0"),
    (Op.INTRODUCE, b"5\x004101\0-1\0"),
    (Op.INTRODUCE, b"5\x004101\0x\0"),
    (Op.WRITE, b""),
    (Op.WRITE, b"/a"),
    (Op.SET_PERMS, b"/a"),
    (Op.SET_PERMS, b"/a\0"),
    (Op.SET_PERMS, b"/a\0n0"),
    (Op.SET_TARGET, b"5\0"),
    (Op.SET_TARGET, b"5\x006"),
    (Op.SET_TARGET, b"5\0x\0"),
    (Op.SET_TARGET, b"x\x005\0"),
    (Op.DIRECTORY_PART, b"/a\0"),
    (Op.DIRECTORY_PART, b"/a\x000"),
    (Op.DIRECTORY_PART, b"/a\x000\x000\0"),
    (Op.GET_FEATURE, b"\0"),
    (Op.GET_FEATURE, b"x\0"),
    (Op.GET_FEATURE, b"1\x002\0"),
    (Op.SET_FEATURE, b"5\0"),
    (Op.SET_FEATURE, b"5\x0014"),
    (Op.SET_FEATURE, b"5\x0014\x001\0"),
    (Op.SET_FEATURE, b"x\x0014\0"),
    (Op.GET_QUOTA, b"\0"),
    (Op.GET_QUOTA, b"5\0\0"),
    (Op.GET_QUOTA, b"x\0nodes\0"),
    (Op.GET_QUOTA, b"5\0nodes\0x\0"),
    (Op.SET_QUOTA, b"nodes\0"),
    (Op.SET_QUOTA, b"nodes\x005"),
    (Op.SET_QUOTA, b"x\0nodes\x005\0"),
    (Op.SET_QUOTA, b"5\0nodes\x005\0x\0"),
    (Op.SET_QUOTA, b"nodes\x004294967295\0"),
    (Op.SET_QUOTA, b"nodes\0-1\0"),
]


def errno_of(op: int, payload: bytes) -> Errno:
    with pytest.raises(XenStoreError) as caught:
        parse_request(op, payload)
    return caught.value.errno


@pytest.mark.parametrize(("op", "kind"), ONE_PATH)
def test_one_path_is_the_whole_payload(op: Op, kind: type[Request]) -> None:
    """Exactly one string, which is not looked at yet."""
    request = parse_request(op, b"/local//domain\0")

    assert type(request) is kind
    assert isinstance(request, (Directory, Read, GetPerms, Mkdir, Rm))
    assert request.path == b"/local//domain"


@pytest.mark.parametrize(("op", "kind"), ONE_PATH + ONE_DOMID)
@pytest.mark.parametrize("payload", [b"", b"5", b"5\0x", b"5\0\0", b"5\x006\0"])
def test_one_string_ends_with_the_only_nul(
    op: Op, kind: type[Request], payload: bytes
) -> None:
    """No NUL, or anything after it, is EINVAL."""
    assert errno_of(op, payload) is Errno.EINVAL, kind


@pytest.mark.parametrize(("op", "kind"), ONE_DOMID)
def test_one_domain_id_is_the_whole_payload(op: Op, kind: type[Request]) -> None:
    """Exactly one string, and it is a domain id."""
    request = parse_request(op, b"65535\0")

    assert type(request) is kind
    assert isinstance(request, (Release, GetDomainPath, IsDomainIntroduced, Resume))
    assert request.domid == 65535
    assert errno_of(op, b"\0") is Errno.EINVAL
    assert errno_of(op, b"5x\0") is Errno.EINVAL
    assert errno_of(op, b"65536\0") is Errno.EINVAL


@pytest.mark.parametrize(("op", "payload"), MALFORMED)
def test_a_payload_that_does_not_fit_its_type_is_einval(op: Op, payload: bytes) -> None:
    """Missing or superfluous strings and bad numbers are refused."""
    assert errno_of(op, payload) is Errno.EINVAL


@pytest.mark.parametrize("op", [Op.WATCH_EVENT, Op.ERROR, 20, 27, 0xFFFF, 2**32 - 1])
def test_types_that_nobody_can_call_are_enosys(op: int) -> None:
    """WATCH_EVENT and ERROR go to clients only; 20 was RESTRICT."""
    assert errno_of(op, b"/a\0") is Errno.ENOSYS


def test_control_takes_any_number_of_strings() -> None:
    """A command and its arguments; bytes after the last NUL are ignored."""
    request = parse_request(Op.CONTROL, b"log\0on\0\0junk")

    assert isinstance(request, Control)
    assert request.arguments == [b"log", b"on", b""]


def test_watch_has_a_path_and_a_token() -> None:
    """Both are strings; bytes after the last NUL are ignored."""
    for payload in (b"/a\0tok en\xff\0", b"/a\0tok en\xff\0junk"):
        request = parse_request(Op.WATCH, payload)

        assert isinstance(request, Watch)
        assert request.path == b"/a"
        assert request.token == b"tok en\xff"
        assert request.depth == UNLIMITED


def test_watch_may_have_an_empty_token() -> None:
    """An empty string is a string."""
    request = parse_request(Op.WATCH, b"/a\0\0")

    assert isinstance(request, Watch)
    assert request.token == b""


@pytest.mark.parametrize(
    ("text", "depth"),
    [(b"0", 0), (b"1", 1), (b"2147483647", 2**31 - 1), (b"x", 0), (b"", 0)],
)
def test_watch_may_have_a_depth(text: bytes, depth: int) -> None:
    """The depth is read as by atoi; what is no number counts as 0."""
    request = parse_request(Op.WATCH, b"/a\0t\0" + text + b"\0")

    assert isinstance(request, Watch)
    assert request.depth == depth


def test_unwatch_has_a_path_and_a_token() -> None:
    """Two strings; bytes after the last NUL are ignored."""
    request = parse_request(Op.UNWATCH, b"/a\0t\0junk")

    assert isinstance(request, Unwatch)
    assert (request.path, request.token) == (b"/a", b"t")


@pytest.mark.parametrize("payload", [b"", b"\0", b"junk"])
def test_requests_without_argument_ignore_their_payload(payload: bytes) -> None:
    """TRANSACTION_START and RESET_WATCHES do not look at it."""
    start = parse_request(Op.TRANSACTION_START, payload)
    reset = parse_request(Op.RESET_WATCHES, payload)

    assert isinstance(start, TransactionStart)
    assert isinstance(reset, ResetWatches)


def test_transaction_end_says_t_or_f() -> None:
    """T commits, F discards."""
    commit = parse_request(Op.TRANSACTION_END, b"T\0")
    discard = parse_request(Op.TRANSACTION_END, b"F\0")

    assert isinstance(commit, TransactionEnd)
    assert isinstance(discard, TransactionEnd)
    assert commit.commit
    assert not discard.commit


@pytest.mark.parametrize(
    "payload",
    [
        b"5\x004101\x00105\0",
        b"5\x004101\x00105\0more\0",
        b"5\x004101\x00105\0junk",
        b"5\x004101x\x00 105x\0",
        b"5\x004101\x004294967401\0",
    ],
)
def test_introduce_has_a_domain_a_frame_number_and_a_port(payload: bytes) -> None:
    """At least three strings; the port is read as by atoi."""
    request = parse_request(Op.INTRODUCE, payload)

    assert isinstance(request, Introduce)
    assert (request.domid, request.gfn, request.port) == (5, 4101, 105)


def test_introduce_does_not_mind_the_frame_number() -> None:
    """The page is mapped by grant; whatever stands there will do."""
    request = parse_request(Op.INTRODUCE, b"5\0x\x00105\0")

    assert isinstance(request, Introduce)
    assert request.gfn == 0


@pytest.mark.parametrize("value", [b"", b"v", b"v\0w\0", b"\0", b"\xff" * 4000])
def test_write_takes_any_value(value: bytes) -> None:
    """The value is all bytes after the first NUL, NULs included."""
    request = parse_request(Op.WRITE, b"/a\0" + value)

    assert isinstance(request, Write)
    assert request.path == b"/a"
    assert request.value == value


def test_set_perms_has_a_path_and_entries() -> None:
    """The entries are not looked at yet; bytes after the last NUL are ignored."""
    request = parse_request(Op.SET_PERMS, b"/a\0n0\0\0r5\0w6")

    assert isinstance(request, SetPerms)
    assert request.path == b"/a"
    assert request.permissions == [b"n0", b"", b"r5"]


def test_set_target_has_two_domains() -> None:
    """At least two strings; more are ignored."""
    for payload in (b"5\x006\0", b"5\x006\0x\0", b"5\x006\0junk"):
        request = parse_request(Op.SET_TARGET, payload)

        assert isinstance(request, SetTarget)
        assert (request.domid, request.target) == (5, 6)


@pytest.mark.parametrize(
    ("text", "offset"),
    [(b"0", 0), (b"7", 7), (b" 7x", 7), (b"x", 0), (b"", 0), (b"-7", 2**32 - 7)],
)
def test_directory_part_has_a_path_and_an_offset(text: bytes, offset: int) -> None:
    """The offset is read as by atoi; a negative one is behind every list."""
    request = parse_request(Op.DIRECTORY_PART, b"/a\0" + text + b"\0junk")

    assert isinstance(request, DirectoryPart)
    assert request.path == b"/a"
    assert request.offset == offset


@pytest.mark.parametrize("payload", [b"", b"no string"])
def test_get_feature_without_domain_is_about_the_caller(payload: bytes) -> None:
    """No string, no domain id."""
    request = parse_request(Op.GET_FEATURE, payload)

    assert isinstance(request, GetFeature)
    assert request.domid == OWN


def test_get_feature_may_name_a_domain() -> None:
    """One string: a domain id. An empty one is not domain 0."""
    request = parse_request(Op.GET_FEATURE, b"5\0")

    assert isinstance(request, GetFeature)
    assert request.domid == 5


@pytest.mark.parametrize(
    ("text", "features"),
    [(b"14", 14), (b"0", 0), (b"x", 0), (b" 6x", 6), (b"-1", 2**32 - 1)],
)
def test_set_feature_has_a_domain_and_32_bits(text: bytes, features: int) -> None:
    """Which bits exist is decided later."""
    request = parse_request(Op.SET_FEATURE, b"5\0" + text + b"\0")

    assert isinstance(request, SetFeature)
    assert (request.domid, request.features) == (5, features)


@pytest.mark.parametrize(
    ("payload", "domid", "name"),
    [
        (b"", GLOBAL, b""),
        (b"nodes\0", GLOBAL, b"nodes"),
        (b"5\0nodes\0", 5, b"nodes"),
        (b"5\0", GLOBAL, b"5"),
    ],
)
def test_get_quota_has_up_to_two_strings(
    payload: bytes, domid: int, name: bytes
) -> None:
    """Nothing asks for all names, one string is a name, two a domain's."""
    request = parse_request(Op.GET_QUOTA, payload)

    assert isinstance(request, GetQuota)
    assert (request.domid, request.name) == (domid, name)


@pytest.mark.parametrize(
    ("payload", "domid", "value"),
    [
        (b"nodes\x0010\0", GLOBAL, 10),
        (b"5\0nodes\x0010\0", 5, 10),
        (b"5\0nodes\0\0", 5, 0),
        (b"nodes\0x\0junk", GLOBAL, 0),
        (b"nodes\0-2\0", GLOBAL, 2**32 - 2),
    ],
)
def test_set_quota_has_a_name_a_value_and_perhaps_a_domain(
    payload: bytes, domid: int, value: int
) -> None:
    """The value is read as by atoi; 0 is no limit."""
    request = parse_request(Op.SET_QUOTA, payload)

    assert isinstance(request, SetQuota)
    assert (request.domid, request.name, request.value) == (domid, b"nodes", value)


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

    if isinstance(outcome, Write):
        assert outcome.path + b"\0" + outcome.value == payload
    else:
        assert b"\0" not in payload
