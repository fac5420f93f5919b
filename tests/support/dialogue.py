"""Requests of several clients as text: a rule is then a row, in whichever world."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, final

from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, Message, strings

OPS: Final[dict[str, int]] = {
    "read": Op.READ,
    "write": Op.WRITE,
    "mkdir": Op.MKDIR,
    "rm": Op.RM,
    "dir": Op.DIRECTORY,
    "part": Op.DIRECTORY_PART,
    "get": Op.GET_PERMS,
    "set": Op.SET_PERMS,
    "watch": Op.WATCH,
    "unwatch": Op.UNWATCH,
    "reset": Op.RESET_WATCHES,
    "start": Op.TRANSACTION_START,
    "commit": Op.TRANSACTION_END,
    "abort": Op.TRANSACTION_END,
    "introduce": Op.INTRODUCE,
    "release": Op.RELEASE,
    "target": Op.SET_TARGET,
    "resume": Op.RESUME,
    "path": Op.GET_DOMAIN_PATH,
    "control": Op.CONTROL,
    "quota": Op.SET_QUOTA,
    "is-introduced": Op.IS_DOMAIN_INTRODUCED,
}


@final
class Dialogue:
    """Clients of one daemon that say and are told what a text says.

    A request is ``who what arguments -> reply``, one in a line or several between
    ``;``. Who is a domain id (a domain that is new comes first), the name of a
    transaction, or left out for the guest. A star behind an id: in a transaction of
    its own, if ``inside`` says so. What is one of `OPS`, of the acts, or

        enter 5 6             domains
        make /a n0 r1         a node, with permissions if any are given
        start t1              a transaction, which has this name now
        commit, abort         t1's end
        wait -> path:token    the next event, which may take some time
        post write /a         without waiting for a reply
        answered -> 2         replies to what was posted, all of them OK
        close                 the connection
        hear -> path:token    all events since the last time; without -> whatever

    ``~1`` is the home of domain 1, ``x*9`` nine times x, ``{1..9}`` stands for as many
    requests. A reply is a refusal's errno (``ENOSPC|EIO`` one of these), or what was
    asked for, ``-`` if that is nothing, ``...`` whatever it is; a request without one
    is not refused. In the end there is no event that was not heard.

    Args:
        enter: Makes a domain's client.
        acts: What else can be done; the arguments are bytes.
        who: The guest.
        inside: Whether a star is a transaction.
    """

    def __init__(
        self,
        enter: Callable[[int], Session],
        acts: Mapping[str, Callable[..., object]] | None = None,
        *,
        who: int = 1,
        inside: bool = False,
    ) -> None:
        self._enter = enter
        self._acts = acts or {}
        self._who = str(who)
        self._inside = inside
        self._clients: dict[str, tuple[Session, int]] = {}
        self._told: dict[Session, list[bytes]] = {}

    def play(self, text: str) -> None:
        """Do all of it, and compare."""
        for line in _lines(text):
            request, arrow, expected = line.partition(" ->")
            words = request.split()
            known = words[0] in {*OPS, *_OTHERS, *self._acts}
            who = self._who if known else words.pop(0)
            got = self._do(who, *words)
            if arrow:
                wanted = b" ".join([_bytes(word) for word in expected.split()])
                fits = wanted == b"..." or got in wanted.split(b"|")
                assert fits, f"{line}: {got[:200]!r}"
            else:
                assert not re.fullmatch(rb"E[A-Z2]+", got), f"{line}: {got!r}"
        for session in {session for session, tx in self._clients.values() if not tx}:
            assert self._hear(session) == [], session

    def client(self, who: str | int) -> tuple[Session, int]:
        """Whoever has that name, and its transaction."""
        who = str(who)
        if who not in self._clients:
            self._clients[who] = self._enter(int(who)), 0
        return self._clients[who]

    def _do(self, who: str, what: str, *texts: str) -> bytes:
        """Do one thing; what came of it, as scripts say it."""
        words = [_bytes(text) for text in texts]
        if what in _ENDS:
            for text in texts:
                self._clients.pop(text, None)
        if what in self._acts:
            found = self._acts[what](*words)
            return b"" if found is None else str(found).encode()
        if what == "enter":
            for text in texts:
                self.client(text)
            return b""
        session, tx = self.client(who.rstrip("*"))
        if what in _OTHERS:
            return self._about(session, what, words)
        with session.transaction(inside=self._inside and who.endswith("*")) as own:
            got = _shown(session.call(OPS[what], _payload(what, words), tx or own))
        if what == "start" and got.isdigit():
            self._clients[texts[0]] = session, int(got)
        elif what == "watch" and got == b"OK":
            *told, first = self._hear(session)
            assert first == b":".join(words[:2])
            if told:
                self._told[session] = told
        return got

    def _about(self, session: Session, what: str, words: list[bytes]) -> bytes:
        """What is no request, or is not waited for."""
        if what == "hear":
            return b" ".join(self._hear(session)) or b"-"
        if what == "wait":
            assert session not in self._told
            return b":".join(session.next_event())
        if what == "answered":
            replies = session.replies(session.look())
            assert {payload for _, payload in replies} <= {OK}
            return b"%d" % len(replies)
        if what == "make":
            session.make(*words)
        elif what == "post":
            what = words[0].decode()
            session.post(OPS[what], _payload(what, words[1:]))
            session.look()
        else:
            session.close()
            self._clients = {
                name: client
                for name, client in self._clients.items()
                if client[0] is not session
            }
        return b""

    def _hear(self, session: Session) -> list[bytes]:
        told = self._told.pop(session, [])
        return [*told, *[b":".join(event) for event in session.events()]]


_ENDS: Final = ("end", "release", "replace")
"""What a domain's client does not outlast; the next one comes when it is named."""

_SAYS: Final = {"start": b"\0", "commit": b"T\0", "abort": b"F\0"}

_OTHERS: Final = ("enter", "make", "hear", "wait", "post", "answered", "close")


def _lines(text: str) -> Iterator[str]:
    for line in re.split(r"[;\n]", text):
        found = re.search(r"{(\d+)\.\.(\d+)}", line)
        if found is None:
            if line.strip():
                yield line.strip() + " "
            continue
        for number in range(int(found[1]), int(found[2]) + 1):
            yield from _lines(line.replace(found[0], str(number)))


def _bytes(word: str) -> bytes:
    word = re.sub(r"~(\d+)", r"/local/domain/\1", word)
    word = re.sub(r"([^/:*]+)\*(\d+)", lambda found: found[1] * int(found[2]), word)
    return word.encode()


def _payload(what: str, words: list[bytes]) -> bytes:
    if what in _SAYS:
        return _SAYS[what]
    if what == "write":
        return words[0] + b"\0" + b"".join(words[1:])
    return strings(*words) or b"\0"


def _shown(message: Message) -> bytes:
    return message[1].rstrip(b"\0").replace(b"\0", b" ") or b"-"
