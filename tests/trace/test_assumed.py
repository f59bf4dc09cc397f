"""What a trace assumes: every change is seen, however the containers are compared."""

import pytest

import wengert as wg
from wengert.trace import assumed
from wengert.trace.assumed import MANY, MAX_LISTED, Assumed, copied

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
