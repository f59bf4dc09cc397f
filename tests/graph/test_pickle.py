"""What pickles, copies and other processes give back."""

import copy
import json
import pickle
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from traceback import walk_tb
from types import ModuleType

import numpy as np
import pytest

import wengert as wg
from wengert.codegen.build import build_once
from wengert.codegen.target import find_target
from wengert.ops.scalar import LEAVES, TANH
from wengert.ops.table import OPERATIONS


def again(thing, protocol=pickle.DEFAULT_PROTOCOL):
    return pickle.loads(pickle.dumps(thing, protocol))


def formula():
    graph = wg.Graph()
    x, y = graph.input("x"), graph.parameter("y", 2.0)
    e = wg.tanh(x * y) + x**3 + 1.5
    return x, y, e, wg.grad(e, [x, y])


def test_a_copy_of_a_graph_has_its_nodes_and_is_written_on_apart():
    x, y, e, _ = formula()
    graph = x.graph
    other, count = copy.copy(graph), len(graph)
    added = other.input("z") * other[x.id]
    assert len(graph) == count
    assert "z" not in graph.leaves
    assert (str(other[e.id]), str(added)) == (str(e), "z*x")
    assert other[y.id].value == 2.0
    assert other.lock is not graph.lock


def test_operations_are_pickled_by_name():
    for op in [*OPERATIONS.values(), *LEAVES.values()]:
        assert again(op) is op
        assert len(pickle.dumps(op)) < 100


def test_an_operation_that_is_not_of_the_table_is_refused_by_name():
    for mine in (replace(TANH, name="mine"), replace(TANH, sentence="another")):
        with pytest.raises(pickle.PicklingError, match="is not of wengert's table"):
            pickle.dumps(mine)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_expressions_keep_their_graph_and_its_derivatives(protocol):
    _, _, e, derivatives = formula()
    e.graph.nx  # noqa: B018 - a view that is made on demand, and again
    found = again([e, *derivatives], protocol)
    assert list(map(str, found)) == list(map(str, [e, *derivatives]))
    assert len({id(expr.graph) for expr in found}) == 1
    at = {"x": 0.5}
    assert wg.evaluate(found, at) == wg.evaluate([e, *derivatives], at)
    assert wg.grad(found[0], found[0].graph["x"]) == found[1]
    assert found[0].graph.nx.number_of_nodes() == len(e.graph)


def test_values_in_a_graph_stay_the_graphs_own():
    w = wg.Value(2.0, label="w")
    e = wg.Graph().input("x") * w
    found, value = again((e, w))
    value.data = 5.0
    assert wg.evaluate([found], {"x": 3.0}) == [15.0]


def test_arrays():
    graph = wg.Graph()
    A = graph.array("A", (2, 3))
    e = (A @ np.ones(3))[0] * A[1, 2]
    at = np.arange(6.0).reshape(2, 3)
    assert wg.evaluate([again(e)], {"A": at}) == wg.evaluate([e], {"A": at})
    f = wg.compile({"A": A}, e, target="numpy")
    assert again(f)(at) == f(at)


@pytest.mark.parametrize("target", ["python", "numpy", "javascript"])
@pytest.mark.parametrize("check", [False, True])
def test_compiled_functions_are_built_anew(target, check):
    x, y, e, derivatives = formula()
    f = wg.compile(
        {"x": x, "y": y}, {"e": e, "d": derivatives}, target=target, batch="x", check=check
    )
    found = again(again(f))
    assert found.source == f.source
    assert found.report() == f.report()
    assert found.derivatives == f.derivatives
    if target != "javascript":
        assert found([0.5, 1.0], 2.0)["e"] == f([0.5, 1.0], 2.0)["e"]


def test_a_pickled_function_holds_no_code():
    x, y, e, _ = formula()
    data = pickle.dumps(wg.compile({"x": x, "y": y}, e))
    assert b"def f" not in data
    assert b"import" not in data


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": "f(x):\n    raise SystemExit\ndef g"}, wg.InvalidNameError),
        ({"name": "math"}, wg.InvalidNameError),
        ({"dtype": "float64'); raise SystemExit; ('"}, wg.SettingError),
        ({"target": "python; raise SystemExit"}, wg.UnknownNameError),
    ],
)
def test_a_file_with_code_for_a_name_is_refused(options, error):
    x, y, e, _ = formula()
    f = wg.compile({"x": x, "y": y}, e, target="numpy")
    f._made_from = replace(f.recipe, options=f.recipe.options._replace(**options))
    data = pickle.dumps(f)
    with pytest.raises(error):
        pickle.loads(data)


def test_a_file_cannot_pass_for_another_function():
    x, y, e, _ = formula()
    right, other = (wg.compile({"x": x, "y": y}, out) for out in (e, e + 1))
    other._made_from = replace(other.recipe, structure=right.recipe.structure)
    build_once.cache_clear()
    assert again(other)(0.5, 2.0) == other(0.5, 2.0)
    assert wg.compile({"x": x, "y": y}, e)(0.5, 2.0) == right(0.5, 2.0)


def test_rolled_graphs_walkthroughs_verifications_and_steps():
    net = wg.MLP(3, [4, 4, 1], seed=0)
    out = net(wg.Graph().inputs("z", 3))
    rolled = wg.roll([out])
    assert str(again(rolled)) == str(rolled)
    walk = wg.explain(wg.parse("tanh(a*b) + a"), at={"a": 1.0, "b": 2.0})
    assert again(walk).text() == walk.text()
    x, y, e, _ = formula()
    assert str(again(wg.verify(e, [x, y]))) == str(wg.verify(e, [x, y]))
    step = wg.training_step(net, target="numpy")
    assert again(step).source == step.source
    history = wg.fit(net, [[1.0, 2.0, 3.0]], [1.0], epochs=2)
    assert again(history) == history


def test_walkthroughs_of_arrays_take_other_numbers_afterwards():
    A = wg.Graph().array("A", (2, 2))
    for walk, other in (
        (wg.explain((A * A).sum(), at={A: np.ones((2, 2))}), {"A": np.eye(2)}),
        (wg.explain(wg.roll([A.graph.input("b") * 2 + 1]), at={"b": 1.0}), {"b": 3.0}),
    ):
        found = again(walk)
        assert found.text() == walk.text()
        assert found.elements.text() == walk.elements.text()
        assert found.at(other).text() == walk.at(other).text()


@pytest.mark.parametrize("name", wg.targets())
def test_targets_keep_their_functions(name):
    target = find_target(name)
    assert again(target) is target
    mine = wg.Target("mine", json.dumps, json.loads)
    assert again(mine) == mine


def test_losses_are_pickled_by_name():
    assert again(wg.LOSSES) == wg.LOSSES
    mine = replace(wg.LOSSES["hinge"], targets=str, accepts=max)
    assert again(mine) == mine


def test_every_public_thing_is_the_same_again():
    for name in wg.__all__:
        thing = getattr(wg, name)
        if not isinstance(thing, ModuleType):
            assert again(thing) is thing or again(thing) == thing, name


def test_long_chains():
    e = wg.Graph().input("x")
    for _ in range(30_000):
        e = e * 1.0001 + e
    assert len(again(e).graph) == len(e.graph)


def test_another_process_takes_a_function():
    x, y, e, _ = formula()
    f = wg.compile({"x": x, "y": y}, e)
    code = "import pickle, sys; f = pickle.load(sys.stdin.buffer); print(f(0.5, 2.0))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(f), capture_output=True, check=True
    )
    assert float(done.stdout) == f(0.5, 2.0)


@wg.function
def traced(a, b):
    return wg.tanh(a * b)


def test_functions_are_pickled_by_their_name_as_pythons_are():
    assert again(traced) is traced
    assert copy.deepcopy(traced) is traced
    a, b = wg.Value(0.5), wg.Value(2.0)
    assert again(traced)(a, b).data == traced(a, b).data


@pytest.fixture(scope="module")
def kept():
    x, y, e, derivatives = formula()
    A = wg.Graph().array("A", (2, 2))
    net = wg.MLP(2, [2, 1], seed=0)
    return {
        "graph": e.graph,
        "expression": derivatives[0],
        "value": wg.tanh(wg.Value(2.0, label="q") * 3) + 1,
        "network": net,
        "matrix": wg.Dense(2, 2, seed=0),
        "history": wg.fit(net, [[1.0, 2.0]], [1.0], epochs=2, target="python"),
        "function": wg.compile({"x": x, "y": y}, {"e": e, "d": derivatives}),
        "arrays": wg.compile({"A": A}, (A * A).sum(), target="numpy"),
        "rolled": wg.roll([e]),
        "walkthrough": wg.explain(wg.parse("tanh(a*b)"), at={"a": 1.0, "b": 2.0}),
        "verification": wg.verify(e, x, seconds=0.05),
        "optimizer": wg.Clipped(wg.Adam(0.1), 1.0),
        "schedule": wg.schedules.Cosine(0.1, steps=10),
        "table": wg.table([[1.0, wg.Value(2.0)]]),
        "rule": wg.Rule("exp", wg.log, wg.exp, "real"),
    }


def damaged(data, rng):
    """A byte altered, left out or copied from elsewhere."""
    found, place = bytearray(data), rng.randrange(len(data))
    way = rng.randrange(3)
    if way == 0:
        found[place] = rng.randrange(256)
    elif way == 1:
        del found[place : place + rng.randint(1, 4)]
    else:
        start = rng.randrange(len(data))
        found[place : place + 8] = found[start : start + rng.randint(1, 12)]
    return bytes(found)


def is_ours(error):
    """Whether the package was at work, and not `pickle` alone."""
    package = str(Path(wg.__file__).parent)
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return any(frame.f_code.co_filename.startswith(package) for frame in frames)


def test_damaged_pickles_are_refused_by_name(kept):
    refused = 0
    for name, thing in kept.items():
        data, rng = pickle.dumps(thing), random.Random(name)
        for _ in range(100):
            try:
                pickle._loads(damaged(data, rng))  # in C, a large memo takes memory and seconds
            except wg.WengertError:
                refused += 1
            except Exception as error:
                assert not is_ours(error), name  # noqa: PT017 - of which there may be none
        assert again(thing) is not thing
    assert refused > 20


@pytest.mark.parametrize("name", ["graph", "network", "history", "rolled", "schedule", "rule"])
def test_what_lacks_an_attribute_is_refused(kept, name):
    state = kept[name].__getstate__()
    for attribute in state:
        found = object.__new__(type(kept[name]))
        with pytest.raises(wg.SaveFileError, match=r"in this pickle is damaged.*it has no"):
            found.__setstate__({key: state[key] for key in state if key != attribute})


def test_what_follows_from_other_attributes_is_found_anew(kept):
    state = kept["optimizer"].__getstate__()
    found = object.__new__(wg.Clipped)
    found.__setstate__({key: state[key] for key in ("optimizer", "norm")})
    assert vars(found) == vars(kept["optimizer"])


@pytest.mark.parametrize(
    ("column", "broken", "said"),
    [
        ("ops", lambda ops: ops[:-1], "columns are of several lengths"),
        ("operands", lambda operands: [(9,), *operands[1:]], "node 0 is .* of the nodes"),
        ("operands", lambda operands: tuple(operands), "its operands are"),
        ("origins", lambda origins: [0, *origins[1:]], "the origin of a node is 0"),
        ("statics", lambda statics: {}, "has no exponent"),
        ("labels", lambda labels: {}, "neither a named leaf nor a number"),
        ("_numbers", lambda numbers: {}, "neither a named leaf nor a number"),
        ("outputs", lambda outputs: (1000,), "it has no node 1000"),
        ("leaves", lambda leaves: {"x": -1}, "it has no node -1"),
    ],
)
def test_columns_that_do_not_fit_are_refused(column, broken, said):
    state = formula()[2].graph.__getstate__()
    with pytest.raises(wg.SaveFileError, match=said):
        wg.Graph().__setstate__({**state, column: broken(state[column])})
