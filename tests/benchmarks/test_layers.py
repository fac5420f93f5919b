"""To which layer the instructions of a function belong."""

from collections import Counter

import pytest

from benchmarks.layers import (
    LIBRARY,
    LOOP,
    OTHERS,
    RUNTIME,
    by_layer,
    calls,
    layer_of,
    table,
)
from benchmarks.layers import modules as layers_of_modules
from benchmarks.sides import FailedError

SO = "/lib/xsd/store/tree__mypyc.cpython-311-x86_64-linux-gnu.so"

ANNOTATED = """
--------------------------------------------------------------------------------
2,000 (100.0%)  PROGRAM TOTALS

Ir            file:function
  600 (30.00%)  ???:CPyDef_xsd___store___tree___find [/lib/tree__mypyc.so]
  400 (20.00%)  /b/Objects/dictobject.c:_Py_dict_lookup [/usr/lib/libpython3.11.so.1.0]
  300 ( 1.50%)  ???:CPyDef_frame___FrameDecoder___feed [/lib/abc__mypyc.so]
  200 (10.00%)  ./malloc/malloc.c:_int_free [/usr/lib/x86_64-linux-gnu/libc.so.6]
"""

STRACE = """
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 50.00    0.000100           1       300        20 epoll_wait
 50.00    0.000100           1       250           write
------ ----------- ----------- --------- --------- ----------------
100.00    0.000200           1       550        20 total
"""


@pytest.mark.parametrize(
    ("function", "binary", "layer"),
    [
        ("???:CPyDef_xsd___engine___dispatch____carry_out", SO, "engine"),
        ("???:CPyPy_store___image___load", SO, "store"),
        ("???:CPyDef_reactor___Reactor___run", SO, "transport"),
        ("???:CPyDict_Get", SO, RUNTIME),
        ("???:CPyBytes_Build", SO, RUNTIME),
        ("Objects/object.c:PyObject_IsTrue", "/usr/bin/python3.11", RUNTIME),
        ("Modules/selectmodule.c:select_epoll_poll", "select.cpython.so", RUNTIME),
        ("???:uv__io_poll", "/site/uvloop/loop.cpython-311.so", LOOP),
        ("???:pthread_mutex_lock", "/usr/lib/x86_64-linux-gnu/libc.so.6", LIBRARY),
        ("???:0x0000000000001000", "", OTHERS),
    ],
)
def test_a_function_belongs_to_a_layer(function: str, binary: str, layer: str) -> None:
    """By its module's name, as much as there is of it, or by its library."""
    assert layer_of(function, binary, layers_of_modules()) == layer


def test_what_is_not_listed_is_counted_too() -> None:
    """The sum is that of the program."""
    found = by_layer(ANNOTATED, layers_of_modules())

    assert found == {
        "store": 600,
        RUNTIME: 400,
        "protocol": 300,
        LIBRARY: 200,
        OTHERS: 500,
    }
    with pytest.raises(FailedError, match="no total"):
        by_layer("nothing", {})


def test_the_table_is_of_one_request() -> None:
    """With the share of each layer; layers without any have no line."""
    assert list(table(Counter({"store": 300, RUNTIME: 100}), 10)) == [
        "| layer | instructions a request | share |",
        "|---|---:|---:|",
        "| store | 30 | 75% |",
        "| Python's runtime | 10 | 25% |",
        "| all | 40 | 100% |",
    ]


def test_calls_of_the_kernel_are_counted() -> None:
    """With errors or without."""
    assert calls(STRACE) == {"epoll_wait": 300, "write": 250}
