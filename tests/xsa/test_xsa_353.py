"""XSA-353: a root that is held to no permissions."""

from typing import Final

import pytest

from tests.xsa.support import World

RULES: Final[dict[str, str]] = {
    **{
        f"a guest has no rights at {path} and is not told what there is": f"""
            enter 1; note
            1* dir {path} -> EACCES; 1* part {path} 0 -> EACCES
            1* read {path} -> EACCES
            1* get {path} -> EACCES; 1* write {path} value -> EACCES
            1* mkdir {path} -> EACCES; 1* rm {path} -> EACCES
            1* set {path} n1 -> EACCES; 1* set {path} b0 -> EACCES
            same
        """
        for path in ("/", "/local", "/tool/xenstored", "/new")
    },
    "nobody removes the root, not even who may write there": """
        0* rm / -> EINVAL; 1* rm / -> EACCES
        0 set / b0; note; rm / -> EINVAL; same
    """,
    **{
        f"nobody removes or writes {name}, which has only permissions": f"""
            0 rm {name} -> EINVAL; 0 write {name} -> EINVAL; 0 mkdir {name} -> EINVAL
            0 read {name} -> EINVAL; 0 dir {name} -> EINVAL
            rm {name} -> EINVAL; write {name} -> EINVAL; mkdir {name} -> EINVAL
            read {name} -> EINVAL; dir {name} -> EINVAL; set {name} n1 -> EACCES
            set {name} n0 -> EACCES; set {name} r0 b1 -> EACCES; mkdir new; rm new
            set {name} n1 -> EACCES
            0 watch {name} t; 0 introduce 30 1 1; 0 release 30; 0 hear -> {name}:t
        """
        for name in ("@introduceDomain", "@releaseDomain")
    },
    "the root obeys its permissions, as any node": """
        enter 1; 0 set / r0
        dir / -> tool local; write / value -> EACCES; mkdir /new -> EACCES
        watch / t; 0 write / value; hear -> /:t; read / -> value
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_root_and_special_names_obey_their_permissions(
    world: World, rule: str, inside: bool
) -> None:
    """In a transaction or not."""
    world.play(RULES[rule], inside=inside)
