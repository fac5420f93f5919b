"""Engines that have lived through all that can happen to one."""

from typing import final

from tests.engine.played import Failing, Played
from tests.engine.script import Verb, play
from tests.engine.support import Client
from xsd.engine import Engine
from xsd.engine.inputs import Input, MemoryTape
from xsd.engine.replay import DivergenceError, replay
from xsd.engine.state import describe, differences
from xsd.protocol.ops import Op
from xsd.store import Store


@final
class World:
    """An engine with a tape and a hypervisor in which a script is played."""

    def __init__(self, script: str) -> None:
        self.engine = Engine(Store())
        self.guests = Played()
        self.guests.there.update({domid: 100 + domid for domid in (6, 7, 8)})
        self.engine.attach(self.guests)
        self.tape = self.engine.tape = MemoryTape()
        play(self.engine, script, {**self.guests.verbs(), **VERBS}, self.client)

    def client(self, who: str) -> Client:
        """One of dom0's, or a guest over its channel if it has one."""
        domid = int(who) if who.isdigit() else 0
        return Client(self.engine, domid, self.guests.links.get(domid))

    def again(self, inputs: list[Input]) -> Engine:
        """Another engine that has carried inputs out."""
        engine = Engine(Store())
        engine.attach(Failing(AssertionError()))
        assert replay(engine, inputs) == len(inputs)
        return engine

    def is_as(self, inputs: list[Input]) -> bool:
        """Tell whether these inputs lead to where the engine is."""
        try:
            engine = self.again(inputs)
        except DivergenceError:
            return False
        return not differences(describe(self.engine), describe(engine))


def begin_max_anew(_: Engine, client: Client, __: list[str]) -> None:
    """Have what was used most shown."""
    client.ask(Op.CONTROL, b"quota\0max\0-r\0")


VERBS: dict[str, Verb] = {
    "go": lambda engine, _, __: engine.disconnect(engine.connections[-1]),
    "changed": lambda engine, _, __: engine.domains_changed([6], [7, 8]),
    "begin_max_anew": begin_max_anew,
}
SCENARIOS = {
    "clients come and go, with what they had; a domain is known by its client": """
        7 watch /a t -> OK /a:t; 7 start -> 1,; a watch /a t -> OK /a:t; a start -> 1,
        a leave; b watch /b t -> OK /b:t""",
    "nodes are written, made, removed; with permissions, order and generations": """
        write /a/z 1; write /a/y 2; write /a/x 3; write /b 4; rm /a/y; mkdir /a/y
        perms /a/x n5 r6; perms @releaseDomain n0 r5""",
    "watches have an order, tokens and depths; some are given up": """
        introduce 5 1 7; 5 watch /b t 1 -> OK /b:t; 5 watch /a t 1 -> OK /a:t
        5 watch rel t 1 -> OK rel:t; 5 watch /c t 1 -> OK /c:t
        5 watch @introduceDomain t 1 -> OK @introduceDomain:t
        5 unwatch /a t; watch /a t -> OK /a:t""",
    "transactions are open with what they did and rely on, and some have ended": """
        node /a n0; start -> 1,; t1 write /t/1 v; start -> 2,; t2 read /a -> v
        t2 directory / -> tool,a,; t2 write /t/2 v; t1 end T; a write /a w
        start -> 3,; t3 read /a -> w; a rm /a; t3 end T -> EAGAIN; start -> 4,; t4 end F
    """,
    "a channel that began anew has nothing of before": """
        introduce 5 1 7; 5 watch /a t -> OK /a:t; 5 start -> 1,; 5 anew""",
    "nor has one after RESET_WATCHES or another INTRODUCE": """
        introduce 5 1 7; 5 watch /a t -> OK /a:t; 5 start -> 1,; 5 reset
        introduce 6 1 7; 6 watch /a t -> OK /a:t; 6 start -> 1,; introduce 6 1 7""",
    "a domain cannot be connected, for a reason or for a defect": """
        node /home n6
        refuse EACCES; introduce 5 1 7 -> EACCES; introduce 6 1 7 -> EACCES
        defect; introduce 5 1 7 -> EIO; introduce 6 1 7 -> EIO
        accept; introduce 5 1 7; defect; introduce 5 1 7 -> EIO""",
    "the hypervisor does not have a domain, and the privileged one": """
        lenient; introduce 5 1 7; 5 hear; introduce 0 1 7; strict; introduce 6 1 7""",
    "another domain has the id: the first has ended, whoever comes after": """
        introduce 5 1 7; node /own5 n5; node /for5 n0 r5; there 5 205; introduce 5 1 7
        introduce 6 1 7; node /own6 n6; node /for6 n0 r6; there 6 206
        refuse EINVAL; introduce 6 1 7 -> EINVAL""",
    "domains end by RELEASE, or are shut down, resumed and gone": """
        introduce 5 1 7; node /own5 n5; introduce 6 1 7; node /own6 n6
        introduce 7 1 7; node /own7 n7; introduce 8 1 7; node /own8 n8
        set_target 7 8; release 5; changed; resume 7; come 8; gone 8; go""",
    "what ended domains leave is dom0's, from a time on": """
        introduce 5 1 7; node /own5 n5; gone 5
        introduce 6 1 7; node /own6 n6; orphans; gone 6""",
    "limits are hard and soft, of all and of one; maxima, and what they refuse": f"""
        found 7; node /local/domain/7 n7; limit -1 nodes 3; limit 7 soft-memory 300
        set_quota 7 watches 1; 7 write a v; 7 write b v; 7 write c v -> ENOSPC
        7 watch a t -> OK a:t; 7 watch b t -> ENOSPC; begin_max_anew
        7 read {"x" * 3000} -> EINVAL; control quota-soft set memory 999""",
    "features are of a domain that is known but not introduced yet": """
        come 5; set_feature 5 2; introduce 5 1 7""",
    "domains are found without INTRODUCE, if they can be connected": """
        found 5; 5 start -> 1,; refuse EINVAL; found 6; 6 start -> 1,""",
}
