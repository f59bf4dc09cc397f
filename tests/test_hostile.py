"""Names, labels, formulas and files from strangers; and a process that runs for long."""

import gc
import json
import os
import threading
import tracemalloc

import pytest

import wengert as wg
from wengert.errors import FormulaError, InvalidNameError, SaveFileError, SizeError, WengertError
from wengert.storage import write_text

HOSTILE = [
    "__import__('os').system('touch PWNED')",
    "x); import os; os.system('touch PWNED')  #",
    '"""\nimport os\n"""',
    "'\"\\",
    "a\nb\r\nc\x00d",
    "</script><script>alert(1)</script>",
    "<b>&amp;</b>]]>",
    '"];node[URL="javascript:alert(1)"];"',
    r"}\input{/etc/passwd}\write18{touch PWNED}$$",
    "\u202egnp.exe\u2066",
    "lambda",
    "__builtins__",
    "print",
    "f",
    "../../etc/passwd",
    "{0.__class__}%s%(x)s",
    "\ud800",
    "x" * 1_000_000,
]


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, in which nothing must appear uncalled."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "PWNED").exists()


def named(label):
    """An expression whose `Value`s and nodes carry the label, and its gradient."""
    a, b = wg.Value(2.0, label=label), wg.Value(-3.0, label=label)
    y = (a * b + 1).tanh()
    y.label = label
    g = wg.Graph()
    output = g[g.node_of(y)]
    return output, wg.grad(output, [a, b]), [a, b]


@pytest.mark.parametrize("label", HOSTILE, ids=lambda label: ascii(label[:20]))
def test_labels_are_text_wherever_they_are_shown(label, tmp_path):
    output, gradient, values = named(label)
    for target in ("python", "numpy", "javascript"):
        f = wg.compile({"p": values}, {"y": output, "d": gradient}, target=target)
        assert len(f.source) < 5000, "a label is a name in code, or nothing"
        compile(f.source, "f", "exec") if target != "javascript" else None
    f = wg.compile({"p": values}, {"y": output, "d": gradient})
    assert f([2.0, -3.0])["y"] == wg.evaluate(output)
    path = f.save(tmp_path / "model.py")
    compile(path.read_text(encoding="utf-8"), "model", "exec")
    dot = wg.draw_dot(output).source
    assert len(dot) < 50_000
    if "<" in label:
        assert "<script>" not in dot
    assert wg.latex(output)
    assert "\\input" not in wg.latex(output)
    assert str(wg.verify(output, values))


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name[:20]))
def test_names_are_identifiers_or_refused(name):
    g = wg.Graph()
    if name in ("print", "f"):
        x = g.input(name)
        f = wg.compile({name: x}, {name: wg.tanh(x) * x}, name="f")
        assert f(0.5)[name] == wg.evaluate(wg.tanh(x) * x, {x: 0.5})
        return
    with pytest.raises(InvalidNameError) as caught:
        g.input(name)
    assert len(str(caught.value)) < 500
    with pytest.raises(InvalidNameError):
        wg.compile({"x": (x := g.input("x"))}, x, name=name)


POWERS = ("9**9**9", "2**(10**9)")


@pytest.mark.parametrize(
    "formula",
    [
        "x.__class__",
        "__import__('os').system('touch PWNED')",
        "open('PWNED', 'w')",
        "(lambda: 1)()",
        "[x for x in (1,)]",
        "x if x else 1",
        "f'{x}'",
        "x := 1",
        "9**9**9",
        "2**(10**9)",
        "tanh(" * 5000 + "x" + ")" * 5000,
        "x" * 1_000_000,
        "1" * 100_000,
        "x + " * 300_000 + "x",
        "\x00",
        "x\u202e",
        "exec('1')",
    ],
    ids=lambda formula: ascii(formula[:20]),
)
def test_formulas_that_are_none_are_refused_at_once(formula):
    import time

    started = time.process_time()
    if formula in POWERS:  # which are formulas; they are infinite, at no cost
        y = wg.parse(formula)
        assert wg.evaluate(y) > 1e300
        assert wg.compile({"x": y.graph.input("x")}, y)(1.0) > 1e300
    else:
        with pytest.raises((FormulaError, SizeError, InvalidNameError)) as caught:
            wg.parse(formula)
        assert len(str(caught.value)) < 1000
    assert time.process_time() - started < 5.0


def net_file(tmp_path, change):
    path = tmp_path / "net.json"
    wg.MLP(2, [2, 1], seed=0).save(path)
    document = json.loads(path.read_text())
    path.write_text(change(document) or json.dumps(document))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda d: "[" * 100_000,
        lambda d: "{}",
        lambda d: json.dumps(d)[:-20],
        lambda d: d.update(version="1"),
        lambda d: d.update(version=10**30),
        lambda d: d.clear(),
        lambda d: json.dumps(
            dict.fromkeys(d, "x") | {"format": d["format"], "version": d["version"]}
        ),
        lambda d: json.dumps(
            dict.fromkeys(d, 10**400) | {"format": d["format"], "version": d["version"]}
        ),
        lambda d: json.dumps(dict.fromkeys(d) | {"format": d["format"], "version": d["version"]}),
        lambda d: '{"format": NaN}',
    ],
)
def test_networks_that_are_none_are_refused(change, tmp_path):
    path = net_file(tmp_path, change)
    with pytest.raises(SaveFileError) as caught:
        wg.load(path)
    assert len(str(caught.value)) < 1000


def graph_document():
    g = wg.Graph()
    x = g.input("x")
    assert (x * x).tanh() in g
    return json.loads(wg.to_json(g))


def set_all(document, field, value):
    for node in document["nodes"]:
        node[field] = value


@pytest.mark.parametrize(
    "change",
    [
        lambda d: set_all(d, "op", "__import__"),
        lambda d: set_all(d, "op", ["tanh"]),
        lambda d: set_all(d, "name", "a b; import os"),
        lambda d: set_all(d, "statics", [1e999, "x"]),
        lambda d: set_all(d, "id", 0),
        lambda d: d.update(nodes=17),
        lambda d: d.update(nodes=[[1]]),
        lambda d: d["nodes"].clear(),
        lambda d: [d.pop(key) for key in list(d)],
        lambda d: (
            [d[key].reverse() for key in d if isinstance(d[key], list) and key != "nodes"]
            and [
                d[key].append({"source": 99, "target": 98})
                for key in ("edges", "links")
                if key in d
            ]
        ),
        lambda d: [
            d[key].append(
                {**d[key][0], "source": d[key][0]["target"], "target": d[key][0]["source"]}
            )
            for key in ("edges", "links")
            if key in d
        ],
        lambda d: [e.update(positions=[10**9]) for k in ("edges", "links") for e in d.get(k, [])],
        lambda d: [e.update(positions=[-1]) for k in ("edges", "links") for e in d.get(k, [])],
    ],
)
def test_graphs_that_are_none_are_refused(change):
    document = graph_document()
    change(document)
    with pytest.raises(WengertError) as caught:
        wg.from_json(json.dumps(document))
    assert len(str(caught.value)) < 1000


# -- long runs ------------------------------------------------------------------------------------


def test_rebuilding_for_long_does_not_grow():
    a, b = wg.Value(0.5, label="a"), wg.Value(-0.3, label="b")

    def rounds(count):
        for _ in range(count):
            loss = (a * b + a).tanh() ** 2 + wg.where(a > 0, b * b, a)
            a.grad = b.grad = 0.0
            loss.backward()
            a.data -= 1e-3 * a.grad

    rounds(200)
    gc.collect()
    tracemalloc.start()
    rounds(200)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    rounds(3000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000


def test_graphs_and_functions_are_freed():
    def once(i):
        g = wg.Graph()
        x, w = g.input("x"), g.parameter("w", float(i))
        y = wg.log(1 + wg.exp(w * x))
        wg.compile({"x": x, "w": w}, {"y": y, "d": wg.grad(y, w)})(1.0, 2.0)

    for i in range(30):
        once(i)
    gc.collect()
    before = len(gc.get_objects())
    for i in range(60):
        once(i + 100)
    gc.collect()
    assert len(gc.get_objects()) - before < 600


def test_threads_give_what_one_gives():
    def answers(seed):
        net = wg.MLP(3, [4, 1], seed=seed)
        g = wg.Graph()
        x = g.inputs("x", 3)
        loss = wg.log(1 + wg.exp(net(x))) ** 2
        f = wg.compile({"p": net.parameters(), "x": x}, [loss, *wg.grad(loss, net.parameters())])
        point = [p.data for p in net.parameters()]
        return [f.source, *(f(point, [0.1 * i, 0.5, -0.2]) for i in range(20))]

    alone = [answers(seed) for seed in range(8)]
    together: list = [None] * 8
    shared_errors = []

    def work(seed):
        try:
            together[seed] = answers(seed)
        except Exception as error:
            shared_errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not shared_errors
    assert together == alone


def test_one_function_called_from_threads():
    x = wg.Graph().input("x")
    f = wg.compile({"x": x}, [1 / x, wg.grad(1 / x, x)])
    wrong = []

    def work(number):
        wrong.extend(
            n
            for n in range(500)
            if f(number + n)[0] != 1 / (number + n) or f(0.0)[0] != float("inf")
        )

    threads = [threading.Thread(target=work, args=(i + 1.0,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_file_is_written_whole_or_not_at_all(failing, tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail(*_):
        raise OSError("the disk is full")

    if failing == "write":
        with pytest.raises(UnicodeEncodeError):
            write_text(path, "new \ud800")
    else:
        monkeypatch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="full"):
            write_text(path, "new")
        monkeypatch.undo()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
