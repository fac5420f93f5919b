"""What the engine has to answer, by the naive store of `tests/model`.

The engine says what it carries out, in order, if that is traced; the same is asked of
the naive store, and the replies and events have to be the same. Which domains there
are, and which pages can be mapped, is looked up in the machine.

Not known here are the quota `memory` and features, so a world that is compared has
neither; see `World`.
"""

from typing import Final, NamedTuple, final

from tests.model.cases import LETTERS
from tests.model.compare import contents, naive_contents
from tests.model.naive_state import RefusedError, Right, Rights
from tests.model.naive_store import INTRODUCED, RELEASED, NaiveStore, NaiveTransaction
from tests.model.naive_watches import NaiveWatch, Told
from tests.simulation.machine import Machine
from xsd.engine.tracing import PAYLOAD_SHOWN
from xsd.protocol import request as requests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import Frame
from xsd.protocol.limits import DOMID_SELF, PAYLOAD_MAX
from xsd.protocol.number import c_int, parse_domid
from xsd.protocol.ops import FEATURES, OP_LIMIT, Op
from xsd.protocol.path import Path, parse_path
from xsd.protocol.perms import names_a_domain, parse_permissions
from xsd.protocol.request import one_string
from xsd.store.quota import DEFAULTS, SOFT_DEFAULTS, SOFT_PREFIX
from xsd.store.store import Store

Event = tuple[int, bytes, bytes]
"""Connection, path as it is told, and token."""

_OK: Final = b"OK\0"

_PRIVILEGED: Final = frozenset(
    {
        Op.CONTROL,
        Op.INTRODUCE,
        Op.RELEASE,
        Op.IS_DOMAIN_INTRODUCED,
        Op.RESUME,
        Op.SET_TARGET,
        Op.SET_FEATURE,
        Op.GET_QUOTA,
        Op.SET_QUOTA,
    }
)
_NONE: Final = frozenset({Op.WATCH_EVENT, Op.ERROR, 20})
_QUOTAS: Final = frozenset({*DEFAULTS, *[SOFT_PREFIX + each for each in SOFT_DEFAULTS]})


class Asked(NamedTuple):
    """A request that the engine has carried out.

    Attributes:
        connection: Whose.
        frame: It.
        reply: Payload of the reply, as much as is traced of it.
        channel: Number of the connection that was made meanwhile, or 0.
    """

    connection: int
    frame: Frame
    reply: bytes
    channel: int


@final
class Model:
    """The naive store with connections and domains."""

    def __init__(self, machine: Machine) -> None:
        self.naive = NaiveStore(dict(DEFAULTS))
        self.keep_orphans = False
        self.domids: dict[int, int] = {}
        self._machine = machine
        self._introduced = {0}
        self._unique: dict[int, int] = {}
        self._open: dict[tuple[int, int], NaiveTransaction] = {}
        self._watches: dict[tuple[int, Path, bytes], NaiveWatch] = {}
        self._told: dict[int, tuple[int, bytes]] = {}
        self._registered = 0
        # Events that are told whatever becomes of the request.
        self._extra: list[Event] = []

    def differs(self, store: Store) -> str:
        """In which node the store is not like this one, or nothing."""
        mine, theirs = naive_contents(self.naive.live), contents(store.live.tree.top)
        for one, other in zip(mine, theirs, strict=False):
            if one != other:
                return f"{other} in the place of {one}"
        return (
            "" if len(mine) == len(theirs) else f"{len(theirs)} nodes, not {len(mine)}"
        )

    # What is not a request.

    def came(self, connection: int, domid: int) -> None:
        """A client has come."""
        self._know(domid)
        self.domids[connection] = domid

    def went(self, connection: int) -> None:
        """A client is gone."""
        self.forget(connection)
        self.domids.pop(connection, None)

    def forget(self, connection: int) -> None:
        """Its watches and transactions are gone."""
        for key in [key for key in self._watches if key[0] == connection]:
            self.naive.watches.remove(self._watches.pop(key).number)
        for one in [one for one in self._open if one[0] == connection]:
            self.naive.abort(self._open.pop(one))

    def domains(self, ended: list[int], stopped: list[int]) -> None:
        """Domains have ended or shut down; whom that is told is not looked at."""
        for domid in stopped:
            self.naive.shut_down(domid)
        for domid in ended:
            self._end(domid)

    def found(self, domid: int, channel: int) -> None:
        """A domain was there of which nobody has told."""
        if domid not in self._introduced and self._refusal(domid) is None:
            self._introduce(domid, channel)

    # Requests.

    def answer(self, asked: Asked) -> tuple[bytes | None, list[Event]]:
        """Carry a request out.

        Returns:
            The payload of the reply, or None if that is not known here; and events.
        """
        self._extra = []
        who = self.domids[asked.connection]
        try:
            reply, told = self._answer(asked, who, asked.frame)
        except (XenStoreError, RefusedError) as error:
            errno = error.errno
            return Errno(errno).name.encode() + b"\0", self._extra
        return reply, [*self._extra, *self._events(told)]

    def _answer(
        self, asked: Asked, who: int, frame: Frame
    ) -> tuple[bytes | None, list[Told]]:
        op = frame.op
        if op >= OP_LIMIT or op in _NONE:
            raise RefusedError(Errno.ENOSYS)
        if op in _PRIVILEGED and who:
            raise RefusedError(Errno.EACCES)
        tx: NaiveTransaction | None = None
        if frame.tx_id and op not in (Op.WATCH, Op.UNWATCH):
            tx = self._open.get((asked.connection, frame.tx_id))
            if tx is None:
                raise RefusedError(Errno.ENOENT)
        if op in (Op.READ, Op.DIRECTORY, Op.GET_PERMS, Op.DIRECTORY_PART):
            return self._look(asked, who, tx), []
        if op in (Op.WRITE, Op.MKDIR, Op.RM, Op.SET_PERMS):
            return _OK, self._change(who, frame, tx)
        if op in (Op.TRANSACTION_START, Op.TRANSACTION_END):
            return self._transaction(asked, who, tx)
        if op in (Op.WATCH, Op.UNWATCH, Op.RESET_WATCHES):
            return self._watch(asked, who)
        return self._domain(asked, who)

    def _look(self, asked: Asked, who: int, tx: NaiveTransaction | None) -> bytes:
        """Requests that change nothing."""
        op, payload, naive = asked.frame.op, asked.frame.payload, self.naive
        if op == Op.DIRECTORY_PART:
            request = requests.parse_directory_part(payload)
            path = self._path(who, request.path)
            number = asked.reply.partition(b"\0")[0] + b"\0"
            room = PAYLOAD_MAX - len(number) - 1
            return number + naive.directory_part(who, path, request.offset, room, tx)
        path = self._path(who, one_string(payload), special=op == Op.GET_PERMS)
        if op == Op.READ:
            return naive.read(who, path, tx)
        if op == Op.DIRECTORY:
            return naive.directory(who, path, tx)
        return _text(naive.get_perms(who, path, tx))

    def _change(
        self, who: int, frame: Frame, tx: NaiveTransaction | None
    ) -> list[Told]:
        """Requests that change nodes."""
        op, naive = frame.op, self.naive
        if op == Op.SET_PERMS:
            return self._set_perms(who, frame.payload, tx)
        if op == Op.WRITE:
            raw, nul, value = frame.payload.partition(b"\0")
            if not nul:
                raise RefusedError(Errno.EINVAL)
            return naive.write(who, self._path(who, raw), value, tx)
        path = self._path(who, one_string(frame.payload))
        return naive.mkdir(who, path, tx) if op == Op.MKDIR else naive.rm(who, path, tx)

    def _set_perms(
        self, who: int, payload: bytes, tx: NaiveTransaction | None
    ) -> list[Told]:
        request = requests.parse_set_perms(payload)
        if self._exceeds(who, "node-permissions", len(request.permissions)):
            raise RefusedError(Errno.ENOSPC)
        entries = parse_permissions(request.permissions).entries
        rights = tuple([Right(LETTERS[each.rights], each.domid) for each in entries])
        if names_a_domain(rights[0].domid) and not self._know_if_there(rights[0].domid):
            raise RefusedError(Errno.ENOENT)
        for each in rights[1:]:
            if names_a_domain(each.domid):
                self._know_if_there(each.domid)
        path = self._path(who, request.path, special=True)
        return self.naive.set_perms(who, path, rights, tx)

    def _transaction(
        self, asked: Asked, who: int, tx: NaiveTransaction | None
    ) -> tuple[bytes | None, list[Told]]:
        if asked.frame.op == Op.TRANSACTION_START:
            if tx is not None:
                raise RefusedError(Errno.EBUSY)
            opened = self.naive.start(who)
            number = int(asked.reply.rstrip(b"\0"))
            self._open[asked.connection, number] = opened
            return None, []
        commit = requests.parse_transaction_end(asked.frame.payload).commit
        if tx is None:
            raise RefusedError(Errno.ENOENT)
        del self._open[asked.connection, asked.frame.tx_id]
        if commit:
            return _OK, self.naive.commit(tx)
        self.naive.abort(tx)
        return _OK, []

    def _watch(self, asked: Asked, who: int) -> tuple[bytes, list[Told]]:
        op, payload, connection = asked.frame.op, asked.frame.payload, asked.connection
        if op == Op.RESET_WATCHES:
            self.forget(connection)
        elif op == Op.WATCH:
            request = requests.parse_watch(payload)
            path = self._path(who, request.path, special=True)
            key = (connection, path, request.token)
            if key in self._watches:
                raise RefusedError(Errno.EEXIST)
            number = self._registered + 1
            watch = NaiveWatch(number, who, path, request.path, request.depth)
            self.naive.watch(watch)
            self._registered = number
            self._watches[key] = watch
            self._told[number] = (connection, request.token)
            return _OK, [(number, request.path)]
        else:
            gone = requests.parse_unwatch(payload)
            path = self._path(who, gone.path, special=True)
            found = self._watches.pop((connection, path, gone.token), None)
            if found is None:
                raise RefusedError(Errno.ENOENT)
            self.naive.watches.remove(found.number)
        return _OK, []

    # Requests about domains.

    def _domain(self, asked: Asked, who: int) -> tuple[bytes | None, list[Told]]:
        op, payload = asked.frame.op, asked.frame.payload
        if op == Op.INTRODUCE:
            return _OK, self._introduce_asked(payload, asked.channel)
        if op in (Op.GET_DOMAIN_PATH, Op.IS_DOMAIN_INTRODUCED, Op.RELEASE, Op.RESUME):
            return self._of_one(op, parse_domid(one_string(payload)))
        if op == Op.SET_TARGET:
            request = requests.parse_set_target(payload)
            self._demand_introduced(request.domid)
            self._demand_introduced(request.target)
            self.naive.set_target(request.domid, request.target)
            return _OK, []
        if op == Op.SET_QUOTA:
            return self._set_quota(payload), []
        if op == Op.GET_FEATURE:
            return self._feature(who, payload), []
        if op == Op.CONTROL:
            self._control(asked)
        return None, []

    def _of_one(self, op: int, domid: int) -> tuple[bytes, list[Told]]:
        if op == Op.GET_DOMAIN_PATH:
            return b"/local/domain/%d\0" % domid, []
        if op == Op.IS_DOMAIN_INTRODUCED:
            is_there = domid in self._introduced or domid == DOMID_SELF
            return b"T\0" if is_there else b"F\0", []
        if domid == 0:
            raise RefusedError(Errno.EINVAL)
        self._demand_introduced(domid)
        return _OK, self._end(domid) if op == Op.RELEASE else []

    def _introduce_asked(self, payload: bytes, channel: int) -> list[Told]:
        domid = requests.parse_introduce(payload).domid
        if not names_a_domain(domid):
            raise RefusedError(Errno.EINVAL)
        unique_id = self._machine.living.get(domid)
        is_known = domid in self.naive.targets and domid != 0
        if is_known and unique_id not in (None, self._unique[domid]):
            # Told even if the new one cannot be introduced.
            self._extra = self._events(self._end(domid))
        if domid in self._introduced:
            for connection in [x for x, of in self.domids.items() if of == domid != 0]:
                self.forget(connection)
            return []
        refusal = self._refusal(domid)
        if refusal is not None:
            raise RefusedError(refusal)
        return self._introduce(domid, channel)

    def _introduce(self, domid: int, channel: int) -> list[Told]:
        self._know(domid)
        self._introduced.add(domid)
        if domid not in self._machine.bare:
            self.domids[channel] = domid
        naive = self.naive
        return naive.watches.tell_domain(naive.live, INTRODUCED, domid)

    def _refusal(self, domid: int) -> Errno | None:
        if domid not in self._machine.living:
            return Errno.EINVAL
        return self._machine.unmapped.get(domid)

    def _end(self, domid: int) -> list[Told]:
        """End a known domain, and its connections."""
        for connection in [x for x, of in self.domids.items() if of == domid]:
            self.forget(connection)
        naive = self.naive
        told = naive.release(domid, keep_orphans=self.keep_orphans)
        if domid not in self._introduced:
            special = naive.watches.tell_domain(naive.live, RELEASED, domid)
            told = told[: len(told) - len(special)]
        self._introduced.discard(domid)
        self._unique.pop(domid, None)
        return told

    def _set_quota(self, payload: bytes) -> bytes:
        request = requests.parse_set_quota(payload)
        name = request.name.decode("ascii", "replace")
        if request.domid >= 0 and not self._know_if_there(request.domid):
            raise RefusedError(Errno.ENOENT)
        if name not in _QUOTAS:
            raise RefusedError(Errno.EINVAL)
        self.naive.set_quota(request.domid, name, request.value)
        return _OK

    def _feature(self, who: int, payload: bytes) -> bytes:
        request = requests.parse_get_feature(payload)
        if request.domid != requests.OWN:
            if who:
                raise RefusedError(Errno.EACCES)
            if not self._know_if_there(request.domid):
                raise RefusedError(Errno.ENOENT)
        return b"%d\0" % FEATURES

    def _control(self, asked: Asked) -> None:
        """Those that set or look up something; their replies are not looked at."""
        words = asked.frame.payload.split(b"\0")[:-1]
        if words[:2] == [b"quota", b"set"] and asked.reply == _OK:
            self.naive.set_quota(-1, words[2].decode(), c_int(words[3]))
        elif words[:1] == [b"quota"] and len(words) == 2 and words[1].isdigit():
            self._know_if_there(int(words[1]))

    # Common parts.

    def _path(self, who: int, raw: bytes, *, special: bool = False) -> Path:
        home = b"/local/domain/%d" % who
        if not who:
            return parse_path(raw, home, special=special)
        limit = self._limit(who, "path-max")
        return parse_path(raw, home, special=special, limit=limit)

    def _limit(self, who: int, quota: str) -> int:
        naive = self.naive
        common = naive._quotas[quota]
        return naive._own_quotas.get(who, {}).get(quota, common)

    def _exceeds(self, who: int, quota: str, count: int) -> bool:
        return who != 0 and 0 < self._limit(who, quota) < count

    def _know(self, domid: int) -> None:
        naive = self.naive
        if domid not in naive.targets:
            # As INTRODUCE does there; nobody is told.
            naive.introduce(domid)
            self._unique[domid] = self._machine.living.get(domid) or 0

    def _know_if_there(self, domid: int) -> bool:
        if domid not in self.naive.targets and domid in self._machine.living:
            self._know(domid)
        return domid in self.naive.targets

    def _demand_introduced(self, domid: int) -> None:
        if domid not in self._introduced:
            raise RefusedError(Errno.ENOENT)

    def _events(self, told: list[Told]) -> list[Event]:
        found: list[Event] = []
        for number, shown in told:
            connection, token = self._told[number]
            found.append((connection, shown, token))
        return found


def _text(rights: Rights) -> bytes:
    """A list as GET_PERMS returns it."""
    return b"".join([b"%s%d\0" % (x.letter.encode(), x.domid) for x in rights])


def shown(payload: bytes) -> bytes:
    """As much of a payload as is traced."""
    return payload[:PAYLOAD_SHOWN]
