"""What a trace assumes: every change is seen, however the containers are compared."""

import pytest

import wengert as wg
from wengert.trace import assumed
from wengert.trace.assumed import MANY, MAX_LISTED, Assumed, copied
from wengert.trace.readers import Cell, Entry, Itself, Made, NewNames

COUNT = 2 * MANY


class Thing:
    """Something of a user's."""


def things():
    """Containers in containers, with more in them than are compared one by one."""
    return {
        "rows": [[float(10 * i + j) for j in range(COUNT)] for i in range(3)],
        "pairs": ([wg.Value(1.0), 2.0], ("a", [Thing()])),
        "named": {"x": 1.0, "y": [None, True]},
    }


CHANGES = {
    "a number": lambda held: held["rows"][2].__setitem__(COUNT - 1, -1.0),
    "the first": lambda held: held["rows"][0].__setitem__(0, -1.0),
    "one more": lambda held: held["rows"][1].append(0.0),
    "one less": lambda held: held["rows"][1].pop(),
    "none left": lambda held: held["rows"].clear(),
    "two rows": lambda held: held["rows"].reverse(),
    "a Value for its like": lambda held: held["pairs"][0].__setitem__(0, wg.Value(1.0)),
    "an object in a tuple": lambda held: held["pairs"][1][1].__setitem__(0, Thing()),
    "a tuple": lambda held: held.__setitem__("pairs", (held["pairs"][0], ("b",))),
    "a name": lambda held: held["named"].__setitem__("z", held["named"].pop("x")),
    "under a name": lambda held: held["named"].__setitem__("x", 2.0),
    "in a list under a name": lambda held: held["named"]["y"].__setitem__(1, 1.5),
    "another name": lambda held: held.__setitem__("more", 1.0),
}


@pytest.fixture(params=["machine code", "Python"])
def way(request, monkeypatch):
    if request.param == "Python":
        monkeypatch.setattr(assumed, "slots", lambda: None)
    else:
        pytest.importorskip("llvmlite")
    return request.param


def assumed_of(held):
    return Assumed([(lambda: held, copied(held), "held"), (lambda: 1, 1, "one")])


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_every_change_in_containers_is_seen(way, change, calls):
    held = things()
    known = assumed_of(held)
    for _ in range(calls):
        assert known.broken() is None
    CHANGES[change](held)
    assert known.broken() == "held"
    assert known.broken() == "held"


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_exchanged_for_its_like_is_watched_as_well(way, change):
    held = things()
    known = assumed_of(held)
    for _ in range(2 * MAX_LISTED):
        assert known.broken() is None
        held["rows"][1] = list(held["rows"][1])
        held["rows"][0][3] = float(str(held["rows"][0][3]))
        held["named"] = dict(held["named"])
        held["pairs"] = (*held["pairs"],)
    if change != "two rows":
        assert known.broken() is None
    CHANGES[change](held)
    assert known.broken() == "held"


def test_a_container_in_the_place_of_another_is_compared():
    held = [things()]
    known = Assumed([(lambda: held[0], copied(held[0]), "held")])
    assert known.broken() is None
    assert known.broken() is None
    held[0] = copied(held[0])
    assert known.broken() is None
    held[0]["rows"][2][5] = -1.0
    assert known.broken() == "held"


def test_containers_with_nothing_in_them_are_watched(way):
    held = [[], (), {}, [float(k) for k in range(COUNT)]]
    known = assumed_of(held)
    for _ in range(3):
        assert known.broken() is None
    held[0].append(1.0)
    assert known.broken() == "held"


class Outside:
    """What is read again by readers of every kind."""

    def __init__(self):
        self.rows = [[float(10 * i + j) for j in range(COUNT)] for i in range(3)]
        self.kind = type("Kind", (), {"rate": 0.5, "more": None})
        self.names = {"one": Thing(), "two": 10**6, "three": None}
        self.cell = (lambda: self).__closure__[0]
        self.function = lambda a=0.5, *, b=1.5: a + b
        made = Made.of(self.function)
        self.assumed = Assumed(
            [
                (Itself(self.rows), copied(self.rows), "rows"),
                *[(Entry.of(self.names, n), self.names[n], n) for n in ("one", "two")],
                (entry := Entry.of(self.names, "absent"), entry(), "absent"),
                (Entry.of(vars(self.kind), "rate"), 0.5, "rate"),
                (NewNames(self.names, frozenset(["new"]), 3), (), "new"),
                (Cell(self.cell), self, "cell"),
                (made, made.known, "function"),
            ]
        )

    def name(self, name, thing):
        self.names[name] = thing


REBINDINGS = {
    "one": lambda x: x.name("one", Thing()),
    "two": lambda x: x.names.pop("two") and x.name("four", 1),
    "absent": lambda x: x.name("absent", x.names.pop("three")),
    "rate": lambda x: setattr(x.kind, "rate", 1.0),
    "new": lambda x: x.name("new", 1),
    "cell": lambda x: setattr(x.cell, "cell_contents", None),
    "function": lambda x: setattr(x.function, "__code__", (lambda: 1).__code__),
    "function ": lambda x: setattr(x.function, "__defaults__", (2.5,)),
    "function  ": lambda x: setattr(x.function, "__kwdefaults__", None),
    "cell ": lambda x: delattr(x.cell, "cell_contents"),
    "rate ": lambda x: delattr(x.kind, "rate"),
}


@pytest.mark.parametrize("name", REBINDINGS)
@pytest.mark.parametrize("calls", [0, 1, 3])
def test_every_name_that_is_bound_anew_is_seen(way, name, calls):
    outside = Outside()
    for _ in range(calls):
        assert outside.assumed.broken() is None
    REBINDINGS[name](outside)
    assert outside.assumed.broken() == name.strip()


def test_names_bound_to_what_is_equal_are_as_they_were(way):
    outside = Outside()
    for _ in range(3):
        assert outside.assumed.broken() is None
        outside.name("two", int("1000000"))
        outside.kind.rate, outside.kind.more = float("0.5"), 1
    outside.name("two", 1e6)
    assert outside.assumed.broken() == "two"


def test_readers_need_not_be_asked_while_nothing_changes(monkeypatch):
    pytest.importorskip("llvmlite")
    outside = Outside()
    assert outside.assumed.broken() is None
    for kind in (Itself, NewNames, Made, Cell):
        monkeypatch.setattr(kind, "__call__", None)
    assert outside.assumed.broken() is None
