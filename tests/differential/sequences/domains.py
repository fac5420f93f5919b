"""Requests about domains; the hypervisor has domains 5 and 6 where it is said."""

from typing import Final

from tests.differential.model import Sequence, c0, c1, sequence
from xsd.protocol.ops import Op

_ONE_STRING: Final = (b"", b"5", b"5\0x", b"5\0x\0", b"5\0\0")
_NO_DOMIDS: Final = (
    *("", "abc", "-1", "5x", " 5", "+5", "0x5", "65541", "4294967301", "5 "),
    "99999999999999999999",
)
_DOMIDS: Final = ("0", "5", "6", "7", "05", "00000", "32751", "32753", "65535")
_PORTS: Final = (
    *(b"5\0", b"5\0004096\0", b"5\0004096\000105", b"5\0004096\0000\0"),
    *(b"5\0004096\0-1\0", b"5\0004096\0x\0", b"5\0004096\0\0", b"", b"\0"),
)


def _bad_domid(op: Op, text: str, rest: tuple[str, ...] = ()) -> Sequence:
    return sequence(
        f"{op.name} of domain {text!r}",
        c0.introduce(5),
        c0.strings(op, text, *rest),
        domains=(5,),
    )


SEQUENCES: Final = (
    sequence(
        "a domain is introduced and released",
        c1.watch("@introduceDomain", "in"),
        c1.watch("@releaseDomain", "out"),
        c1.watch("@introduceDomain", "in too"),
        c0.is_introduced(5),
        c0.introduce(5),
        c0.is_introduced(5),
        c0.introduce(5),
        c0.introduce(6),
        c0.release(5),
        c0.is_introduced(5),
        c0.release(5),
        c0.introduce(5),
        c0.release(6),
        domains=(5, 6),
    ),
    sequence(
        "the one who introduces and releases watches",
        c0.watch("@introduceDomain", "in"),
        c0.watch("@releaseDomain", "out"),
        c0.introduce(5),
        c0.release(5),
        domains=(5,),
    ),
    sequence(
        "nodes of a released domain are removed, with events",
        c0.introduce(5),
        c0.introduce(6),
        c0.write("/a/own/child", "v"),
        c0.set_perms("/a/own", "n5", "r6"),
        c0.set_perms("/a/own/child", "n6"),
        c0.write("/a/other", "v"),
        c0.set_perms("/a/other", "n0", "r5", "r6"),
        c0.write("/b/z/own", "v"),
        c0.set_perms("/b/z/own", "n5"),
        c1.watch("@releaseDomain", "out"),
        c1.watch("/", "root"),
        c1.watch("/a/own/child", "child"),
        c0.release(5),
        c0.ls("/a"),
        c0.ls("/b/z"),
        c0.read("/a/own/child"),
        c0.release(6),
        domains=(5, 6),
    ),
    sequence(
        "what is inside another's tree goes alone",
        c0.introduce(5),
        c0.write("/a/b/c", "v"),
        c0.set_perms("/a/b", "n5"),
        c0.write("/a/d/e", "v"),
        c0.set_perms("/a/d/e", "n5"),
        c1.watch("/", "root"),
        c1.watch("/a/b/c", "c"),
        c0.release(5),
        c0.ls("/a"),
        c0.ls("/a/d"),
        domains=(5,),
    ),
    sequence(
        "a transaction that touched what a release removes",
        c0.introduce(5),
        c0.write("/a/own", "v"),
        c0.set_perms("/a/own", "n5"),
        c1.start("t"),
        c1.read("/a/own", tx="t"),
        c0.release(5),
        c1.commit("t"),
        domains=(5,),
    ),
    sequence(
        "rights of a domain after its release",
        c0.introduce(5),
        c0.write("/a"),
        c0.set_perms("/a", "n0", "r5", "w6", "r5"),
        c0.release(5),
        c0.get_perms("/a"),
        c0.introduce(5),
        c0.get_perms("/a"),
        domains=(5,),
    ),
    sequence(
        "owner is who was released",
        c0.introduce(5),
        c0.write("/a"),
        c0.release(5),
        c0.set_perms("/a", "n5"),
        domains=(5,),
    ),
    sequence(
        "owner is who was never introduced",
        c0.write("/a"),
        c0.set_perms("/a", "n0", "r5"),
        c0.get_perms("/a"),
        c0.set_perms("/a", "n5"),
        domains=(5,),
    ),
    sequence(
        "payloads of INTRODUCE that are not three strings or have no port",
        *[c0.request(Op.INTRODUCE, payload) for payload in _PORTS],
        c0.is_introduced(5),
        domains=(5,),
    ),
    sequence(
        "INTRODUCE with more than three strings, and a frame that is no number",
        c0.strings(Op.INTRODUCE, "5", "x", "105", "more"),
        c0.is_introduced(5),
        domains=(5,),
    ),
    sequence(
        "INTRODUCE of a domain again with other numbers",
        c1.watch("@introduceDomain", "in"),
        c0.introduce(5),
        c0.strings(Op.INTRODUCE, "5", "9999", "105"),
        c0.strings(Op.INTRODUCE, "5", "4096", "105"),
        domains=(5,),
    ),
    sequence(
        "INTRODUCE and RELEASE with a transaction",
        c1.watch("@introduceDomain", "in"),
        c1.watch("@releaseDomain", "out"),
        c0.start("t"),
        c0.request(Op.INTRODUCE, b"5\0004096\000105\0", tx="t"),
        c0.request(Op.RELEASE, b"5\0", tx="t"),
        c0.abort("t"),
        domains=(5,),
    ),
    *[
        sequence(
            f"{op.name} with payloads that are not one string",
            c0.introduce(5),
            *[c0.request(op, payload) for payload in _ONE_STRING],
            domains=(5,),
        )
        for op in (Op.RELEASE, Op.RESUME, Op.IS_DOMAIN_INTRODUCED, Op.GET_DOMAIN_PATH)
    ],
    *[
        sequence(
            f"{op.name} of known and unknown domains",
            c0.introduce(5),
            *[c0.strings(op, text) for text in _DOMIDS],
            domains=(5, 6),
        )
        for op in (Op.RESUME, Op.IS_DOMAIN_INTRODUCED, Op.GET_DOMAIN_PATH)
    ],
    *[
        sequence(f"RELEASE of {text}", c0.introduce(5), c0.release(text), domains=(5,))
        for text in ("0", "6", "7", "32752", "05")
    ],
    *[
        _bad_domid(op, text)
        for op in (Op.GET_DOMAIN_PATH, Op.IS_DOMAIN_INTRODUCED, Op.RESUME, Op.RELEASE)
        for text in _NO_DOMIDS
    ],
    *[_bad_domid(Op.SET_TARGET, text, ("6",)) for text in ("abc", "-1", "70000", "")],
    *[_bad_domid(Op.SET_TARGET, "5", (text,)) for text in ("abc", "-1", "70000", "")],
    *[_bad_domid(Op.INTRODUCE, text, ("1", "2")) for text in ("-1", "65536", "")],
    sequence(
        "SET_TARGET",
        c0.introduce(5),
        c0.introduce(6),
        c0.set_target(5, 6),
        c0.set_target(5, 7),
        c0.set_target(7, 5),
        c0.request(Op.SET_TARGET, b""),
        c0.request(Op.SET_TARGET, b"5\0"),
        c0.request(Op.SET_TARGET, b"5\0006"),
        c0.request(Op.SET_TARGET, b"5\0006\0x"),
        c0.release(5),
        c0.release(6),
        domains=(5, 6),
    ),
    sequence(
        "the control domain under its own id and as DOMID_SELF",
        c0.is_introduced(0),
        c0.is_introduced(32752),
        c0.domain_path(32752),
        c0.resume(0),
        c0.release(0),
    ),
)
