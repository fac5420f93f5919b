"""CONTROL, as far as it changes nothing outside the daemon."""

from typing import Final

from tests.differential.model import c0, sequence
from xsd.protocol.ops import Op

_WRONG: Final = (
    *(("unknown",), ("HELP",), ("help", "x"), ("check", "x"), ("print",), ("",)),
    *(("print", "a", "b"), ("log", "x"), ("log", "on", "off"), ("log", "+nothing")),
    *(
        ("logfile",),
        ("logfile", "a", "b"),
        ("memreport", "a", "b"),
        ("memreport", "/no/such/x"),
    ),
    *(("quota", "set"), ("quota", "set", "nodes"), ("quota", "set", "nodes", "0")),
    *(("quota", "set", "unknown", "5"), ("quota", "set", "nodes", "x"), ()),
    *(("quota", "set", "nodes", "-5"), ("quota", "get", "nodes"), ("quota", "7")),
    *(("quota-soft", "set", "nodes", "5"), ("live-update",), ("live-update", "x")),
)

SEQUENCES: Final = (
    *[
        sequence(f"CONTROL {' '.join(words) or '(nothing)'}", c0.control(*words))
        for words in _WRONG
    ],
    sequence("CONTROL without any string", c0.request(Op.CONTROL, b"")),
    sequence("CONTROL help", c0.control("help")),
    sequence("CONTROL check", c0.control("check"), c0.request(Op.CONTROL, b"check")),
    sequence("CONTROL check with an empty argument", c0.control("check", "")),
    sequence(
        "CONTROL check with transactions open",
        c0.write("/a", "1"),
        c0.start("t"),
        c0.rm("/a", tx="t"),
        c0.control("check"),
        c0.control("check", tx="t"),
        c0.commit("t"),
    ),
    sequence("CONTROL print", c0.control("print", "a line for the log")),
    sequence("CONTROL print without a NUL", c0.request(Op.CONTROL, b"print\0x")),
    sequence("CONTROL log", c0.control("log")),
    sequence(
        "CONTROL log on and off", c0.control("log", "on"), c0.control("log", "off")
    ),
    sequence("CONTROL log +obj", c0.control("log", "+obj"), c0.control("log", "-tdb")),
    sequence(
        "CONTROL logfile and memreport",
        c0.control("logfile", "/dev/null"),
        c0.write("/a", "1"),
        c0.control("memreport"),
        c0.control("log", "off"),
        c0.write("/a", "2"),
        c0.control("memreport"),
        c0.control("logfile", "/no/such/log"),
        c0.control("log", "off"),
    ),
    sequence(
        "CONTROL memreport to a file",
        c0.control("memreport", "/dev/null"),
        c0.control("memreport", "/dev/full"),
        c0.control("memreport", ""),
        c0.control("memreport", "/"),
    ),
    sequence("CONTROL quota", c0.control("quota")),
    sequence("CONTROL quota 0", c0.control("quota", "0")),
    sequence("CONTROL quota-soft", c0.control("quota-soft")),
    sequence(
        "CONTROL quota set",
        c0.control("quota", "set", "nodes", "1001"),
        c0.control("quota", "set", "nodes", "1000"),
        c0.control("quota-soft", "set", "memory", "2097152"),
    ),
    sequence("CONTROL live-update -a", c0.control("live-update", "-a")),
    sequence("CONTROL live-update -s", c0.control("live-update", "-s")),
)
