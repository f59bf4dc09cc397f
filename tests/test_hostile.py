"""Names, labels, formulas and files from strangers; and a process that runs for long."""

import contextlib
import gc
import io
import json
import math
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from html.parser import HTMLParser

import numpy as np
import pytest

import wengert as wg
from wengert.cli import main
from wengert.errors import (
    FormulaError,
    InvalidNameError,
    OperandError,
    SaveFileError,
    SizeError,
    WengertError,
)
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
    "\x1b]0;title\x07\x1b[31m\x7f\x9b",
    "a\u2028b\x85c\u2029",
    "# heading\n- item\n```\n![picture](http://example.org)",
    "${IFS}`touch PWNED`$(touch PWNED)%PATH%",
    r"$$\[ \def\x{\x}\x \]%",
]

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What acts on a terminal, a page or an editor without being seen; no text of ours has any."""


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


class Tags(HTMLParser):
    """The tags of a page, each with the names of its attributes."""

    def __init__(self, page):
        super().__init__()
        self.seen = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, [name for name, _ in attributes]))


def texts(label):
    """Everything that is printed or written about an expression, by what it is."""
    a, b = wg.Value(2.0, label=f"{label} a"), wg.Value(-3.0, label="b")
    inner = a * b + 1
    inner.label = label
    y = inner.tanh() * inner
    y.label = label[::-1]
    walk = wg.explain(y, [a, b])
    g = wg.Graph()
    output = g[g.node_of(y)]
    compiled = wg.compile({"v": [a, b]}, [output, *wg.grad(output, [a, b])], target="numpy")
    return {
        "html": walk.html(),
        "markdown": walk.markdown(),
        "tex": walk.latex(),
        "text": walk.text(80, False),
        "json": walk.json(),
        "graph": wg.to_json(g),
        "formula": str(output),
        "latex": wg.latex(output),
        "value": repr(y),
        "dot": wg.draw_dot(output).source,
        "program": str(compiled.program),
        "numpy": compiled.source,
        "javascript": wg.compile({"v": [a, b]}, output, target="javascript").source,
        "certificate": str(wg.verify(output, [a, b])),
        "ranges": str(wg.ranges(output)),
    }


NOT_A_NAME = "no name!"


@pytest.fixture(scope="module")
def harmless():
    return texts(NOT_A_NAME)


LABELS = [label for label in HOSTILE if not label.isidentifier() or len(label) > 1000]


@pytest.mark.parametrize("label", LABELS, ids=lambda label: ascii(label[:20]))
def test_no_label_changes_the_structure_of_anything(label, harmless):
    """The markup is that of a harmless label; nothing is invisible; everything can be written."""
    found = texts(label)
    assert Tags(found["html"]).seen == Tags(harmless["html"]).seen

    def commands(text):
        return set(re.findall(r"\\[a-zA-Z]+|(?<!\\)[$%#&]", text))

    spelled = {r"\textbackslash", r"\textasciitilde", r"\textasciicircum"}
    assert commands(found["tex"]) <= commands(harmless["tex"]) | spelled
    assert commands(found["latex"]) <= commands(harmless["latex"]) | spelled

    def lines(markdown):
        return [re.match(r"#* |- |```|\||!\[|", line)[0] for line in markdown.splitlines()]

    assert [m for m in lines(found["markdown"]) if m] == [
        m for m in lines(harmless["markdown"]) if m
    ]
    for what, text in found.items():
        assert not UNSEEN.search(text), what
        text.encode("utf-8")
        if what not in ("json", "graph"):  # where a label is kept, whatever its length
            assert len(text) < len(harmless[what]) + 50_000, what
    assert json.loads(found["json"])["nodes"][-1]["label"] == label[::-1]
    assert {label, label[::-1]} <= {expr.label for expr in wg.from_json(found["graph"])}


def said(*arguments):
    """The exit code of the command, and what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(list(arguments))
    return code, out.getvalue()


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_the_command_refuses_in_a_few_visible_words(text, tmp_path):
    on_disk = text.encode("utf-8", "replace").decode().replace("\0", "")[:60]
    for arguments in (
        [text],
        ["grad", text],
        ["grad", "x*y", "--wrt", text],
        ["grad", "x*y", "--at", f"{text}=1"],
        ["export", "x*y", "--out", "model.py", "--name", text],
        ["draw", "x*y", "--out", f"missing/{on_disk}.svg"],
        ["draw", "x*y", "--rankdir", text],
        ["explain", text],
        ["explain", "x*y", "--at", f"x={text}"],
    ):
        code, printed = said(*arguments)
        assert code == (0 if text in ("f", "print") and code == 0 else 2), arguments[:1]
        assert not UNSEEN.search(printed)
        assert len(printed) < 3000


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_files_may_have_any_name_that_the_system_takes(text, tmp_path):
    name = text.encode("utf-8", "replace").decode().replace("\0", "").replace("/", "")[:60]
    path = tmp_path / f"{name}.py"
    assert said("export", "tanh(w*x)", "--at", "w=2,x=3", "--out", str(path))[0] == 0
    assert said("draw", "w*x", "--out", str(tmp_path / f"{name}.dot"))[0] == 0
    wg.explain(wg.Value(2.0) * 3).save(tmp_path / f"{name}.html")
    written = {entry.name for entry in tmp_path.iterdir()}
    assert written == {f"{name}.py", f"{name}.dot", f"{name}.html"}
    ran = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


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


@pytest.fixture
def impatient():
    """Threads take turns as often as the interpreter allows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("target", ["python", "numpy"])
@pytest.mark.parametrize("alike", [False, True])
def test_threads_give_what_one_gives(target, alike, impatient):
    """Also where they build the same function, which is built once for each structure."""

    def answers(seed):
        net = wg.MLP(3, [4, 1], seed=0 if alike else seed)
        g = wg.Graph()
        x = g.inputs("x", 3)
        loss = wg.log(1 + wg.exp(net(x))) ** 2
        outputs = [loss, *wg.grad(loss, net.parameters())]
        f = wg.compile({"p": net.parameters(), "x": x}, outputs, target=target, batch=("x",))
        point = [p.data for p in net.parameters()]
        rows = [[[0.1 * i, 0.5, -0.2], [1.0, -0.3 * i, 2.0]] for i in range(20)]
        return [f.source, *(np.asarray(f(point, row)).tolist() for row in rows)]

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


# -- what people try on a value --------------------------------------------------------------------


@pytest.mark.parametrize("number", [2.567, -3.5, 7])
def test_a_value_is_formatted_and_rounded_as_its_number(number):
    value = wg.Value(number)
    for spec in (".4f", "10.2e", ">12", "+.1%", "g"):
        assert f"{value:{spec}}" == f"{number:{spec}}"
    assert f"{value}" == repr(value)
    for convert in (int, float, round, math.floor, math.ceil, math.trunc):
        assert convert(value) == convert(number)
    assert round(value, 1) == round(number, 1)
    with pytest.raises(ValueError, match="format"):
        f"{value:no}"


def test_functions_of_numpy_on_a_value_are_recorded():
    a = wg.Value(0.5)
    for function, own in (
        *((np.tanh, wg.tanh), (np.exp, wg.exp), (np.sqrt, wg.sqrt)),
        *((np.log1p, wg.log1p), (np.expm1, wg.expm1)),  # which are no methods of a Value
    ):
        assert (function(a).op, function(a).data) == (own, own(a).data)
    for compared in (np.float64(0.25) < a, np.greater(a, np.float32(0.25))):
        assert type(compared) is wg.Value
        assert compared.data == float(a.data > 0.25)
    y = np.tanh(a) * np.float64(2.0) + np.float64(1.0)
    assert isinstance(y, wg.Value)
    y.backward()
    assert a.grad == pytest.approx(2 * (1 - math.tanh(0.5) ** 2))
    for product in (np.ones(2) * a, a * np.ones(2)):
        assert [value.data for value in product] == [0.5, 0.5]
    with pytest.raises(OperandError, match="a Value is one number"):
        np.spacing(a)


@pytest.mark.parametrize(
    "call",
    [
        wg.explain,
        wg.simplify,
        wg.ranges,
        wg.stable_form,
        wg.to_sympy,
        wg.latex,
        wg.roll,
        wg.draw_dot,
        lambda text: wg.compile({"x": wg.Graph().input("x")}, text),
    ],
)
def test_text_where_an_expression_should_be_points_to_parse(call):
    with pytest.raises(OperandError, match=r"wengert\.parse\('a\+b'\)"):
        call("a+b")


LONG_RUN = """
import gc, sys
import wengert as wg
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
a, b = wg.Value(0.5, label="a"), wg.Value(-0.3, label="b")
def values(i):
    loss = (a * b + a).tanh() ** 2 + wg.where(a > 0, b * b, a)
    a.grad = b.grad = 0.0
    loss.backward()
    a.data -= 1e-3 * a.grad
def graphs(i):
    y = wg.parse(f"log(1 + exp(w*x + {i}))")
    wg.evaluate(wg.grad(y, y.graph[y.graph.leaves["w"]]), {"w": 0.5, "x": 0.3})
def functions(i):
    x = wg.Graph().input("x")
    wg.compile({"x": x}, wg.grad(wg.log(1 + wg.exp(x * i)), x))(0.5)
def pictures(i):
    wg.draw_dot((a * b + i).tanh()).source
work, count = locals()[sys.argv[1]], int(sys.argv[2])
for i in range(count // 4):
    work(i)
gc.collect()
before = resident()
for i in range(count):
    work(i)
gc.collect()
print(resident() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads Linux's own count")
@pytest.mark.parametrize(
    ("work", "count"),
    [("values", 50_000), ("graphs", 2000), ("functions", 800), ("pictures", 600)],
)
def test_the_memory_of_a_long_run_stays(work, count):
    command = [sys.executable, "-c", LONG_RUN, work, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 3_500_000
