"""xsd.engine.handlers: WATCH, UNWATCH and RESET_WATCHES."""

import pytest

from tests.engine.script import play
from xsd.engine import Engine
from xsd.protocol.ops import FEATURE_ERROR

RULES: dict[str, str] = {
    # Whether or not the node exists, and whoever may read it. It comes after the reply:
    # Linux's xenbus relies on it, which knows the token only then.
    "first event has path and token as they were given": "\n".join(
        f"{who} watch {path} {token} -> OK {path}:{told}\n{who} unwatch {path} {token}"
        for who in (0, 1)
        for path in (
            "/",
            "/tool",
            "/no/such/node",
            "rel",
            "@releaseDomain",
            "@",
            "@no/such",
        )
        for token, told in (("t", "t"), ("''", ""), ("tok␣en\xff\x01",) * 2)
    ),
    # Else a misspelt one would be watched in vain for ever.
    "special name with impossible syntax is einval in all four": "\n".join(
        f"""
        {who} watch {name} t -> EINVAL; {who} unwatch {name} t -> EINVAL
        {who} get_perms {name} -> EINVAL; {who} perms {name} n{who} -> EINVAL"""
        for who in (0, 1)
        for name in (
            *("@foo/", "@foo//bar", "@releaseDomain/", "@releaseDomain/5/"),
            *("@␣a", "@a.b", "@\xff"),
        )
    ),
    "special name that is a path can be watched, whether or not it exists": "\n".join(
        f"""
        {who} watch {name} t -> OK {name}:t; {who} unwatch {name} t
        {who} get_perms {name} -> {"EACCES" if who and hidden else "ENOENT"}"""
        for who in (0, 1)
        for name, hidden in (
            *(("@foo/bar", True), ("@@", True), ("@introduceDomain/0", True)),
            *(("@releaseDomain/5", False), ("@releaseDomain/x", False)),
            *(("@releaseDomain/99999", False),),
        )
    ),
    # Strings are counted by their NULs, as by C.
    "bytes after the last nul are ignored": "watch /a t ~x -> OK /a:t; unwatch /a t ~x",
    # The depth does not tell them apart; another token or connection does.
    "second watch with same path and token is eexist": """
        watch /a t -> OK /a:t; watch /a t -> EEXIST; watch /a t 1 -> EEXIST
        watch /a u -> OK /a:u; a watch /a t -> OK /a:t""",
    "a watch is known by its path and token together, and given up once": """
        watch /a t -> OK /a:t; unwatch /a u -> ENOENT; unwatch /b t -> ENOENT
        unwatch /a t; unwatch /a t -> ENOENT; unwatch @no t -> ENOENT""",
    # The spelling of the first decides how events are told.
    "relative and absolute name are the same watch": """
        watch rel t -> OK rel:t; watch /local/domain/0/rel t -> EEXIST; a write rel/x v
        hear -> rel/x:t; unwatch /local/domain/0/rel t; a write rel/x v; hear -> -""",
    # Those begin with an at sign, not with the root.
    "watch of the root sees all nodes and no special names": """
        watch / t -> OK /:t; a write / v; a write /a/b v; a introduce 5 1 1
        a perms @releaseDomain n0; hear -> /:t /a/b:t""",
    "refused watch leaves nothing, and can be registered later": """
        set_quota 1 watches 1; 1 watch /a t -> OK /a:t; 1 watch /b t -> ENOSPC
        1 watch /a t -> EEXIST; 1 unwatch /b t -> ENOENT
        set_quota 1 watches 2; 1 watch /b t -> OK /b:t""",
    # Whatever its payload; ids of transactions go on from the last one.
    "reset_watches drops watches and transactions": "\n".join(
        f"""
        watch /a t -> OK /a:t; watch @releaseDomain t -> OK @releaseDomain:t
        start -> {number},; t{number} write /a v; reset {payload}
        t{number} end T -> ENOENT; unwatch /a t -> ENOENT; read /a -> ENOENT
        """
        for number, payload in enumerate(("", "''", "any ~thing"), start=1)
    ),
    # With all others of the connection, and nothing is used after it (XSA-484).
    "reset_watches inside a transaction ends it": """
        watch /a t -> OK /a:t; a watch /a t -> OK /a:t; start -> 1,; start -> 2,
        t1 write /a 1; t2 write /a 2; t1 reset ''; t1 read /a -> ENOENT
        t2 end T -> ENOENT; a write /a v -> /a:t OK; hear -> -""",
    # They happened before; the stream must stay whole.
    "reset_watches keeps the events that wait": """
        watch /a t -> OK /a:t; a write /a v; reset -> /a:t OK""",
}


@pytest.mark.parametrize("rule", RULES)
def test_watches(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule])


def test_depth_is_einval_for_a_domain_that_is_not_offered_it(engine: Engine) -> None:
    """SET_FEATURE can hide it; before the path is looked at."""
    play(engine, f"come 5; set_feature 5 {FEATURE_ERROR}")
    script = f"""
        5 watch /a/ t 1 -> EINVAL; 5 watch /a t 1 -> EINVAL; 5 watch /a t -> OK /a:t
        5 get_feature -> {FEATURE_ERROR},; watch /a t 1 -> OK /a:t
    """
    play(engine, script)
