"""One graph and several threads: what they build, derive and compile is what one thread gets."""

import copy
import pickle
import sys
import threading

import pytest

import wengert as wg
from wengert.graph import store

THREADS = 8


@pytest.fixture(autouse=True)
def switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


def at_once(work):
    """The answers of `work(k)` in threads that begin together; the first error is raised."""
    barrier, answers, errors = threading.Barrier(THREADS), {}, []

    def run(k):
        barrier.wait()
        try:
            answers[k] = work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [answers[k] for k in range(THREADS)]


def deep(x, steps=12):
    y = x[0]
    for i in range(steps):
        y = wg.tanh(y * x[i % 3] + x[(i + 1) % 3])
    return y


def consistent(graph):
    assert len(graph.ops) == len(graph.operands) == len(graph.origins)
    for node, operands in enumerate(graph.operands):
        assert len(operands) == graph.ops[node].arity
        assert all(operand < node for operand in operands)
    for name, node in graph.leaves.items():
        assert graph.labels[node] == name


class Counted:
    """A lock that counts how often it was taken."""

    def __init__(self):
        self.lock, self.taken = threading.RLock(), 0

    def acquire(self):
        self.taken += 1
        return self.lock.acquire()

    def release(self):
        self.lock.release()


@pytest.mark.parametrize("case", ["alone", "with another thread", "not known"])
def test_a_node_takes_the_lock_unless_this_is_known_to_be_the_only_thread(case, monkeypatch):
    graph = wg.Graph()
    x = graph.input("x")
    monkeypatch.setattr(graph, "lock", Counted())
    if case != "with another thread":
        monkeypatch.setattr(store, "_THREADS", {0: None} if case == "alone" else ())
    done, running = threading.Event(), len(store._THREADS)
    other = threading.Thread(target=done.wait)
    if case == "with another thread":
        other.start()
        assert len(store._THREADS) == running + 1
    try:
        _ = x * x
    finally:
        done.set()
    assert graph.lock.taken == (case != "alone")


def test_threads_build_in_one_graph():
    graph = wg.Graph()
    x = graph.inputs("x", 3)

    def build(k):
        y = x[k % 3]
        for i in range(80):
            y = y * x[i % 3] + (100 * k + i) / 1000 + wg.Value(0.25)
        return y, graph.input(f"own{k}")

    built = at_once(build)
    consistent(graph)
    at = dict(zip(x, [0.5, -0.25, 0.75], strict=True))
    for k, (y, own) in enumerate(built):
        wanted = at[x[k % 3]]
        for i in range(80):
            wanted = wanted * at[x[i % 3]] + (100 * k + i) / 1000 + 0.25
        assert wg.evaluate(y, at) == wanted
        assert own.label == f"own{k}"


def test_threads_derive_and_compile_from_one_graph():
    graph = wg.Graph()
    x = graph.inputs("x", 3)
    y = deep(x)
    numbers = [0.5, -0.25, 0.75]

    def derive(k):
        z = wg.log(1 + wg.exp(y * (k + 1)))
        f = wg.compile({"x": x}, {"z": z, "dz": wg.grad(z, x)})
        return f(numbers), wg.jvp(z, x, [1.0, 0.0, 0.0])

    found = at_once(derive)
    consistent(graph)
    for k, (values, tangent) in enumerate(found):
        own = wg.Graph()
        leaves = own.inputs("x", 3)
        z = wg.log(1 + wg.exp(deep(leaves) * (k + 1)))
        alone = wg.compile({"x": leaves}, {"z": z, "dz": wg.grad(z, leaves)})
        assert values == alone(numbers)
        at = dict(zip(leaves, numbers, strict=True))
        assert values["z"] == pytest.approx(wg.evaluate(z, at), rel=1e-15)
        named = dict(zip(("x0", "x1", "x2"), numbers, strict=True))
        assert wg.evaluate(tangent, named) == pytest.approx(values["dz"][0], rel=1e-12)


def test_origins_are_those_of_the_own_work():
    """What a thread writes while another one derives is no part of that derivative."""
    graph = wg.Graph()
    x = graph.inputs("x", 3)
    y = deep(x, 40)

    def work(k):
        if k % 2:
            return wg.grad(y * k, x)
        made = x[0]
        nodes = [made := made * x[1] + x[2] for _ in range(100)]
        return nodes

    for k, answer in enumerate(at_once(work)):
        if k % 2 == 0:
            assert all(node.origin is None for node in answer)


def test_one_leaf_is_made_once():
    graph, refused = wg.Graph(), []

    def work(k):
        try:
            return graph.input("same").id
        except wg.DuplicateNameError:
            refused.append(k)

    made = [node for node in at_once(work) if node is not None]
    assert len(made) == 1
    assert len(refused) == THREADS - 1


def test_a_graph_is_read_and_saved_while_others_write():
    graph = wg.Graph()
    x = graph.inputs("x", 3)
    y = deep(x, 8)

    def work(k):
        if k % 2:
            for i in range(6):
                wg.grad(y * (i + k), x)
            return None
        for _ in range(2):
            assert wg.from_json(wg.to_json(graph)).leaves
            assert len(graph.nx) <= len(graph)
            str(wg.simplify(y))
        return None

    at_once(work)
    consistent(graph)


def test_copies_and_compilations_while_others_build():
    x = wg.Graph().inputs("x", 3)
    y = deep(x)
    right = wg.evaluate([y], dict(zip(x, (0.1, 0.2, 0.3), strict=True)))

    def work(k):
        for step in range(4):
            wg.grad(y * (k * 100 + step), x)
            copied = copy.deepcopy(y) if k % 2 else pickle.loads(pickle.dumps(y))
            consistent(copied.graph)
            found = wg.compile({"x": x}, [y, *wg.grad(y, x)], target="python")([0.1, 0.2, 0.3])
            assert found[:1] == pytest.approx(right)
            at = dict(zip((copied.graph[leaf.label] for leaf in x), (0.1, 0.2, 0.3), strict=True))
            assert wg.evaluate([copied], at) == right

    sys.setswitchinterval(1e-6)
    at_once(work)
