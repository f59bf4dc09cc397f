"""Functions are built once for each structure."""

import threading

import pytest

from wengert.codegen.build import MAX_REMEMBERED, build_once
from wengert.codegen.compiled import compile
from wengert.derive.backward import grad
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.ops import scalar as ops
from wengert.train.nn import MLP


def rebuilt(net, rows, targets):
    """The notebook's habit: the whole expression written anew, and compiled."""
    loss = sum([(net(row) - target) ** 2 for row, target in zip(rows, targets, strict=True)])
    parameters = net.parameters()
    return compile({"params": parameters}, {"loss": loss, "grad": grad(loss, parameters)})


def test_an_expression_written_anew_every_epoch_is_built_once():
    net = MLP(2, [3, 1], seed=0)
    rows, targets = [[2.0, 3.0], [3.0, -1.0]], [1.0, -1.0]
    functions, losses = set(), []
    before = build_once.cache_info()
    for _ in range(20):
        f = rebuilt(net, rows, targets)
        functions.add(f.function)
        result = f([p.data for p in net.parameters()])
        losses.append(result["loss"])
        for p, d in zip(net.parameters(), result["grad"], strict=True):
            p.data -= 0.05 * d
    after = build_once.cache_info()
    assert len(functions) == 1
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 19)
    assert losses[-1] < losses[0] / 2
    assert f.values["params"] != tuple(p.data for p in net.parameters())


def test_other_data_is_another_function():
    net = MLP(2, [3, 1], seed=0)
    one = rebuilt(net, [[2.0, 3.0]], [1.0])
    two = rebuilt(net, [[2.0, 4.0]], [1.0])
    assert one.function is not two.function
    at = [p.data for p in net.parameters()]
    assert one(at)["loss"] != two(at)["loss"]


def variants():
    def scaled(constant, key="y", **options):
        g = Graph()
        x = g.input("x")
        return compile({"x": x}, {key: ops.maximum(x * constant, x)}, simplify=False, **options)

    yield scaled(2.0), scaled(3.0)
    yield scaled(0.0), scaled(-0.0)
    yield scaled(2.0), scaled(2.0, key="z")
    yield scaled(2.0), scaled(2.0, name="other")
    yield scaled(2.0), scaled(2.0, batch="x")

    def nested(outputs):
        g = Graph()
        x = g.input("x")
        return compile({"x": x}, outputs(x * 2))

    yield nested(lambda y: [y]), nested(lambda y: {0: y})
    yield nested(lambda y: [y, [y]]), nested(lambda y: [[y], y])

    def unnamed(number):
        w, x = Value(number, label="w"), Value(1.0, label="x")
        return compile({"x": x}, w * x)

    yield unnamed(1.5), unnamed(2.5)


@pytest.mark.parametrize(("one", "two"), list(variants()))
def test_whatever_changes_the_code_changes_the_function(one, two):
    assert one.function is not two.function


def test_large_graphs_are_not_kept():
    g = Graph()
    x = g.input("x")
    y = x
    for _ in range(MAX_REMEMBERED):
        y = y + x
    before = build_once.cache_info().currsize
    compile({"x": x}, y)
    assert build_once.cache_info().currsize == before


def test_threads_that_compile_and_call_at_once_agree_with_one():
    rows, targets = [[2.0, 3.0], [3.0, -1.0]], [1.0, -1.0]

    def losses(seed):
        net = MLP(2, [3, 1], seed=seed)
        found = []
        for _ in range(30):
            result = rebuilt(net, rows, targets)([p.data for p in net.parameters()])
            found.append(result["loss"])
            for p, d in zip(net.parameters(), result["grad"], strict=True):
                p.data -= 0.05 * d
        return found

    alone = [losses(seed) for seed in range(4)]
    build_once.cache_clear()
    together = [None] * 4

    def work(seed):
        together[seed] = losses(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
