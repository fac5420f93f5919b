"""Requests about domains; the hypervisor has domains 5 and 6 where it is said."""

from typing import Final

from tests.differential.model import Sequence, ask, scripts, sequence

_ABOUT_ONE: Final = ("GET_DOMAIN_PATH", "IS_DOMAIN_INTRODUCED", "RESUME", "RELEASE")
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


def _bad_domid(op: str, text: str, *strings: str) -> Sequence:
    payload = "".join(f"{string}\0" for string in strings)
    return sequence(
        f"{op} of domain {text!r}", "introduce 5", ask(0, op, payload), domains=(5,)
    )


_SCRIPTS: Final = """
the control domain under its own id and as DOMID_SELF
    is_introduced 0; is_introduced 32752; domain_path 32752; resume 0; release 0
"""
_WITH_5: Final = """
the one who introduces and releases watches
    watch @introduceDomain in; watch @releaseDomain out; introduce 5; release 5
what is inside another's tree goes alone
    introduce 5; write /a/b/c v; set_perms /a/b n5; write /a/d/e v; set_perms /a/d/e n5
    1 watch / root; 1 watch /a/b/c c; release 5; ls /a; ls /a/d
a transaction that touched what a release removes
    introduce 5; write /a/own v; set_perms /a/own n5; 1 start t; 1 t: read /a/own
    release 5; 1 commit t
rights of a domain after its release
    introduce 5; write /a; set_perms /a n0 r5 w6 r5; release 5; get_perms /a
    introduce 5; get_perms /a
owner is who was released
    introduce 5; write /a; release 5; set_perms /a n5
owner is who was never introduced
    write /a; set_perms /a n0 r5; get_perms /a; set_perms /a n5
INTRODUCE with more than three strings, and a frame that is no number
    introduce 5 x 105 more; is_introduced 5
INTRODUCE of a domain again with other numbers
    1 watch @introduceDomain in; introduce 5; introduce 5 9999 105; introduce 5
INTRODUCE and RELEASE with a transaction
    1 watch @introduceDomain in; 1 watch @releaseDomain out; start t; t: introduce 5
    t: release 5; abort t
"""
_WITH_5_AND_6: Final = r"""
a domain is introduced and released
    1 watch @introduceDomain in; 1 watch @releaseDomain out
    1 watch @introduceDomain 'in too'; is_introduced 5; introduce 5; is_introduced 5
    introduce 5; introduce 6; release 5; is_introduced 5; release 5; introduce 5
    release 6
nodes of a released domain are removed, with events
    introduce 5; introduce 6; write /a/own/child v; set_perms /a/own n5 r6
    set_perms /a/own/child n6; write /a/other v; set_perms /a/other n0 r5 r6
    write /b/z/own v; set_perms /b/z/own n5; 1 watch @releaseDomain out; 1 watch / root
    1 watch /a/own/child child; release 5; ls /a; ls /b/z; read /a/own/child; release 6
SET_TARGET
    introduce 5; introduce 6; set_target 5 6; set_target 5 7; set_target 7 5; SET_TARGET
    set_target 5; SET_TARGET 5\x006; SET_TARGET 5\x006\0x; release 5; release 6
"""

SEQUENCES: Final = (
    *scripts(_SCRIPTS),
    *scripts(_WITH_5, domains=(5,)),
    *scripts(_WITH_5_AND_6, domains=(5, 6)),
    sequence(
        "payloads of INTRODUCE that are not three strings or have no port",
        *[ask(0, "INTRODUCE", payload) for payload in _PORTS],
        "is_introduced 5",
        domains=(5,),
    ),
    *[
        sequence(
            f"{op} with payloads that are not one string",
            "introduce 5",
            *[ask(0, op, payload) for payload in _ONE_STRING],
            domains=(5,),
        )
        for op in _ABOUT_ONE
    ],
    *[
        sequence(
            f"{op} of known and unknown domains",
            "introduce 5",
            *[ask(0, op, f"{text}\0") for text in _DOMIDS],
            domains=(5, 6),
        )
        for op in _ABOUT_ONE[:3]
    ],
    *[
        sequence(f"RELEASE of {text}", f"introduce 5; release {text}", domains=(5,))
        for text in ("0", "6", "7", "32752", "05")
    ],
    *[_bad_domid(op, text, text) for op in _ABOUT_ONE for text in _NO_DOMIDS],
    *[
        _bad_domid("SET_TARGET", text, *strings)
        for text in ("abc", "-1", "70000", "")
        for strings in ((text, "6"), ("5", text))
    ],
    *[_bad_domid("INTRODUCE", text, text, "1", "2") for text in ("-1", "65536", "")],
)
