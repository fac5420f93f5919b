"""CONTROL, as far as it changes nothing outside the daemon."""

from typing import Final

from tests.differential.model import scripts, sequence

_WRONG: Final = (
    *("unknown", "HELP", "help x", "check x", "print", "''", "print a b", "log x"),
    *("log on off", "log +nothing", "logfile", "logfile a b", "memreport a b"),
    *("memreport /no/such/x", "quota set", "quota set nodes", "quota set nodes 0"),
    *("quota set unknown 5", "quota set nodes x", "quota set nodes -5"),
    *("quota get nodes", "quota 7", "quota-soft set nodes 5"),
    *("live-update", "live-update x"),
)

_SCRIPTS: Final = r"""
CONTROL without any string
    CONTROL
CONTROL help
    control help
CONTROL check
    control check; CONTROL check
CONTROL check with an empty argument
    control check ''
CONTROL check with transactions open
    write /a 1; start t; t: rm /a; control check; t: control check; commit t
CONTROL print
    control print 'a line for the log'
CONTROL print without a NUL
    CONTROL print\0x
CONTROL log
    control log
CONTROL log on and off
    control log on; control log off
CONTROL log +obj
    control log +obj; control log -tdb
CONTROL logfile and memreport
    control logfile /dev/null; write /a 1; control memreport; control log off
    write /a 2; control memreport; control logfile /no/such/log; control log off
CONTROL memreport to a file
    control memreport /dev/null; control memreport /dev/full; control memreport ''
    control memreport /
CONTROL quota
    control quota
CONTROL quota 0
    control quota 0
CONTROL quota-soft
    control quota-soft
CONTROL quota set
    control quota set nodes 1001; control quota set nodes 1000
    control quota-soft set memory 2097152
CONTROL live-update -a
    control live-update -a
CONTROL live-update -s
    control live-update -s
"""

SEQUENCES: Final = (
    *scripts(_SCRIPTS),
    *[sequence(f"CONTROL {words}", f"control {words}") for words in _WRONG],
    sequence("CONTROL (nothing)", "control"),
)
