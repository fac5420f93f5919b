"""Tapes as text: each input comes back, and what is no tape is refused."""

import json
import sys

import pytest

from xsd.engine.inputs import (
    CAME,
    DOMAINS,
    FOUND,
    KINDS,
    LIMIT,
    ORPHANS,
    REQUEST,
    RESTARTED,
    WENT,
    Input,
)
from xsd.engine.replay import UNKNOWN
from xsd.persistence.tape import (
    VERSION,
    TapeError,
    TapeReader,
    encode,
    encode_header,
)
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame

HEADER = encode_header(0)


def frame_of(payload: bytes) -> Frame:
    """A request as the engine is given it."""
    (frame,) = FrameDecoder().feed(encode_frame(11, 2**32 - 1, 7, payload))
    return frame


EVERY_KIND = [
    Input(CAME, 3, connection=1, domid=5, answers=(17,)),
    Input(WENT, 3, connection=1),
    Input(RESTARTED, 4, connection=2),
    Input(REQUEST, 5, connection=2, domid=5, frame=frame_of(bytes(range(256)) * 16)),
    Input(REQUEST, 5, connection=2, frame=frame_of(b""), answers=(2 + 22, -1)),
    Input(DOMAINS, 9, numbers=(1, 5, 6), answers=(0,)),
    Input(FOUND, 9, domid=6, answers=(1, 1)),
    Input(LIMIT, 9, domid=-1, name="soft-memory", numbers=(2**31,)),
    Input(ORPHANS, UNKNOWN, numbers=(1,)),
]


def values_of(entry: Input) -> tuple[object, ...]:
    """Everything in an input."""
    return (
        *(entry.kind, entry.generation, entry.connection, entry.domid, entry.frame),
        *(entry.name, entry.numbers, entry.answers),
    )


def refusal_of(*lines: bytes) -> str:
    """Why lines are refused."""
    with pytest.raises(TapeError) as caught:
        list(TapeReader(lines))
    return str(caught.value)


def test_examples_are_of_every_kind() -> None:
    """Else nothing would be said of some."""
    assert {entry.kind for entry in EVERY_KIND} == set(range(len(KINDS)))


@pytest.mark.parametrize("entry", EVERY_KIND, ids=repr)
def test_each_input_comes_back(entry: Input) -> None:
    """Whatever bytes are in its frame, and each on one line of ASCII."""
    line = encode(entry, 1234)
    (recorded,) = TapeReader([HEADER, line])

    assert values_of(recorded.entry) == values_of(entry)
    assert recorded.at_ms == 1234
    assert line.isascii()
    assert line.count(b"\n") == 1


def test_format_is_as_the_documentation_has_it() -> None:
    """Other programs read it."""
    entry = Input(REQUEST, 5, connection=7, frame=frame_of(b"\xff/a\0"))

    assert json.loads(HEADER) == {
        "tape": VERSION,
        "control": 0,
        "order": sys.byteorder,
    }
    assert json.loads(encode(entry, 5231)) == {
        "at": 5231,
        "kind": "request",
        "connection": 7,
        "domid": 0,
        "frame": encode_frame(11, 2**32 - 1, 7, b"\xff/a\0").decode("latin-1"),
        "generation": 5,
    }


def test_keys_that_are_not_known_are_ignored() -> None:
    """A later version of the daemon may say more; whoever asks is given them."""
    header = HEADER.replace(b"}", b', "by": "x"}')
    line = encode(Input(WENT, 3, connection=1), 0, {"reply": "OK"})
    (recorded,) = TapeReader([header, line])

    assert values_of(recorded.entry) == values_of(EVERY_KIND[1])
    assert recorded.keys["reply"] == "OK"


def test_control_domain_is_told() -> None:
    """A replay begins with the store of that domain."""
    assert TapeReader([encode_header(3)]).control == 3
    assert [TapeReader([encode_header(3, own)]).own for own in (None, 2, 3)] == [
        3,
        2,
        3,
    ]
    assert encode_header(3, 3) == encode_header(3)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((), "line 1: it ends early"),
        ((b"\n",), "line 1: it is no JSON"),
        ((b"\xff\n",), "line 1: it is no JSON"),
        ((b"[]\n",), "line 1: it is no object"),
        ((b'{"at": 0, "connection": 1}\n',), "line 1: it is no tape"),
        ((b'{"tape": 2, "control": 0}\n',), "line 1: version 2 is not known"),
        (
            (b'{"tape": 1, "control": 0, "order": "pdp"}\n',),
            "line 1: recorded on a machine of byte order 'pdp'",
        ),
        ((b'{"tape": 1, "control": "0"}\n',), "line 1: control is '0'"),
        ((HEADER, b'{"kind": "came"}'), "line 2: it ends early"),
        ((HEADER, b'{"kind": "ca\n'), "line 2: it is no JSON"),
        ((HEADER, b'{"kind": "born"}\n'), "line 2: kind 'born' is not known"),
        ((HEADER, b'{"kind": ["came"]}\n'), "line 2: kind ['came'] is not known"),
        ((HEADER, b'{"kind": "request"}\n'), "line 2: frame is not one frame"),
        (
            (HEADER, b'{"kind": "request", "frame": "\\u0100"}\n'),
            "line 2: frame is not one frame",
        ),
        ((HEADER, b'{"kind": "came", "domid": true}\n'), "line 2: domid is True"),
        ((HEADER, b'{"kind": "limit", "name": 1}\n'), "line 2: name is 1"),
        (
            (HEADER, b'{"kind": "domains", "numbers": ["5"]}\n'),
            "line 2: numbers is ['5']",
        ),
        ((HEADER, b'{"kind": "came", "answers": 5}\n'), "line 2: answers is 5"),
    ],
)
def test_what_is_no_tape_is_refused(lines: tuple[bytes, ...], reason: str) -> None:
    """With the number of the line, of which those before it are good."""
    assert refusal_of(*lines) == reason


@pytest.mark.parametrize("left", [1, 40, 60])
def test_a_line_that_was_cut_off_is_refused(left: int) -> None:
    """The machine went down while it was written; what is before it is whole."""
    good, torn = encode(EVERY_KIND[0], 0), encode(EVERY_KIND[3], 0)
    reader = TapeReader([HEADER, good, torn[:left]])
    found = iter(reader)

    assert values_of(next(found).entry) == values_of(EVERY_KIND[0])
    with pytest.raises(TapeError, match="line 3: it ends early"):
        next(found)


@pytest.mark.parametrize("size", [15, 17, 200])
def test_frame_has_to_be_one_whole_frame(size: int) -> None:
    """Not less, and nothing behind it."""
    text = encode_frame(11, 1, 0, b"x").ljust(200, b"\0")[:size].decode("latin-1")
    line = json.dumps({"kind": "request", "frame": text}).encode() + b"\n"
    expected = [] if size == 17 else ["line 2: frame is not one frame"]

    found = []
    try:
        list(TapeReader([HEADER, line]))
    except TapeError as error:
        found.append(str(error))
    assert found == expected
