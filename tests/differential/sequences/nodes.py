"""Reading and writing nodes, parents made on the way, removing trees."""

from typing import Final

from tests.differential.model import scripts

_SCRIPTS: Final = f"""
reading a missing node, also below a missing one
    read /a; read /a/b/c; ls /a; get_perms /a; write /a 1; read /a/b; read /a/b/c
    ls /a/b; get_perms /a/b/c
write makes the missing parents empty
    write /a/b/c v; read /a; read /a/b; read /a/b/c; ls /a; ls /a/b; ls /a/b/c
    get_perms /a/b
mkdir makes the missing parents too
    mkdir /a/b/c; read /a/b/c; ls /a; mkdir /a/b; ls /a/b
mkdir of a node that exists keeps value and children
    write /a/b v; write /a/b/c w; mkdir /a/b; read /a/b; ls /a/b; mkdir /; ls /
the root has a value and permissions
    read /; write / r; 1 read /; get_perms /; set_perms / n0 r3; write /new
    get_perms /new; ls /
the nodes that a store begins with
    ls /; ls /tool; read /tool; read /tool/xenstored; get_perms /; get_perms /tool
    get_perms /tool/xenstored; read /local
the root cannot be removed
    rm /; ls /
removing a missing node is good if the parent is there
    rm /a; rm /a/b; write /a; rm /a/b; rm /a/b/c; rm /a; rm /a
removing a tree removes everything below
    write /a/b/c/d 1; write /a/b/e 2; write /a/f 3; rm /a/b; ls /a; read /a/b
    read /a/b/c/d; write /a/b/c; ls /a/b; ls /a/b/c; ls /a
what the daemon made at its start can be removed
    rm /tool/xenstored; ls /tool; rm /tool; ls /; write /tool/xenstored again; ls /
names that look alike are different nodes
    write /a 1; write /A 2; write /a- 3; write /aa 4; ls /; rm /a; read /A; read /aa
    read /a-
special names as ordinary children
    write /@introduceDomain v; read /@introduceDomain; ls /; get_perms /@introduceDomain
    rm /@introduceDomain; ls /
a client that goes leaves its nodes
    1 write /a/b v; 1 close; read /a/b; 1 read /a/b
a deep tree
    write {"/a" * 200} deep; read {"/a" * 200}; ls {"/a" * 199}; ls {"/a" * 200}
    1 watch {"/a" * 100} w; rm {"/a" * 50}; ls {"/a" * 49}; rm /a
"""

SEQUENCES: Final = tuple(scripts(_SCRIPTS))
