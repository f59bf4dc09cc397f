"""The page in which wengert runs under Pyodide, and the stand-in for NumPy that it has there.

Pyodide and Viz.js are packages of npm: `npm install --no-save pyodide @viz-js/viz`.
"""

import subprocess
import sys
import threading
from pathlib import Path

import browser
import pytest
from in_browser import serve

import wengert as wg

ROLLED = """
import math
import wengert as wg

def dot(a, b):
    return sum(map(lambda u, v: u * v, a, b), 0.0)

def show(outputs, wrt):
    outputs = [*outputs, *wg.grad(outputs[0], wrt)]
    rolled = wg.roll(outputs)
    print(rolled, wg.check_roll(outputs, rolled), sep="\\n")

net, g = wg.MLP(3, [8, 8, 1], seed=0), wg.Graph()
show([(net(g.inputs("x", 3)) - g.input("y")) ** 2], net.parameters())

g = wg.Graph()
x, wq, wk = ([g.inputs(f"{name}{p}_", 3) for p in range(4)] for name in ("x", "q", "k"))
q, k = ([[dot(row, at) for row in w] for at in x] for w in (wq, wk))
loss = g.constant(0.0)
for p in range(4):
    weights = [wg.exp(0.5 * dot(q[p], k[t])) for t in range(p + 1)]
    total = sum(weights, 0.0)
    loss += sum((dot([w / total for w in weights], [r[i] for r in x]) ** 2 for i in range(3)), 0.0)
show([loss], [w for row in (*wq, *wk) for w in row])

x, w = g.inputs("x", 12), g.inputs("w", 3)
hidden = [wg.relu(dot(w, x[2 * i : 2 * i + 3])) for i in range(5)]
show([sum((h * v for h, v in zip(hidden, reversed(x))), 0.0)], w)

w, b = g.input("w"), g.input("b")
data = [(0.1 * i, math.sin(i)) for i in range(9)]
show([sum(((w * a + b - c) ** 2 for a, c in data), 0.0)], [w, b])

g = wg.Graph()
x, z = [g.inputs(f"x_{i}_", 4) for i in range(4)], g.inputs("z", 5)
down = [(x[i + 1][j] - x[i][j]) ** 2 for i in range(3) for j in range(4)]
across = [(x[i][j + 1] - x[i][j]) ** 2 for i in range(4) for j in range(3)]
show([sum(down + across, 0.0)], [a for row in x for a in row])
show([sum((wg.exp(-((z[i] - z[j]) ** 2)) for i in range(5) for j in range(5) if i != j), 0.0)], z)
show([sum((wg.exp(z[i] * z[j]) for i in range(5) for j in range(i)), 0.0)], z)

X, W = g.array("X", (3, 2)), g.array("W", (4, 2))
print(wg.explain((wg.tanh(X @ W.T) ** 2).sum(), wrt=W).text())
"""


def run_as_there(program):
    """What a program prints with what the page has, in this Python."""
    begin = f"import sys\nsys.path.append({str(Path(serve.__file__).parent)!r})\nimport running\n"
    done = [sys.executable, "-c", begin + program]
    return subprocess.run(done, capture_output=True, text=True, check=True).stdout


def test_without_numpy_roll_finds_the_same_statements(capsys):
    standing_in = run_as_there(ROLLED)
    exec(ROLLED, {"__name__": "rolled"})
    real = capsys.readouterr().out
    assert standing_in == real
    assert real.count("node for node") == 7


ASKED = """
import wengert as wg

for target in ("numpy", "native", "jax", "torch"):
    x = wg.Graph().input("x")
    try:
        wg.compile({"x": x}, x * x, target=target)
    except wg.MissingExtraError as error:
        print(target, error)
print(wg.verify(wg.tanh(x * x), [x]))
"""


def test_a_target_that_is_not_there_is_told_in_a_sentence_and_proofs_do_without():
    said, _, table = run_as_there(ASKED).partition("check ")
    assert said.count("are not in this page") == 4
    assert "FAILED" not in table
    assert "checks held" in table
    assert "not run: numpy: the targets numpy, native" in table


RUN = """new Promise((done) => {
  const run = document.getElementById("run");
  const settled = () => !run.disabled || document.getElementById("state").textContent[0] === "F";
  const look = () => (settled() ? done(0) : setTimeout(look, 20));
  look();
})"""
"""Waits until the page can be told to run a program, or says that it failed."""


LOADED = """new Promise((done) =>
  document.readyState === "complete" ? done(0) : addEventListener("load", () => done(0)))"""


class Page:
    """The page, in a tab."""

    def __init__(self, tab):
        self.tab = tab

    def text(self, name):
        self.tab.run(RUN)
        return self.tab.run(f"document.getElementById({name!r}).textContent")

    def run(self, program):
        """What the page prints of a program, or of the example of that name."""
        self.tab.run(RUN)
        code = "document.getElementById('code')"
        buttons = "[...document.querySelectorAll('#examples button')]"
        self.tab.run(
            f"{{ const named = {buttons}.find((b) => b.textContent === {program!r});"
            f"if (named) named.click(); else {code}.value = {program!r};"
            "document.getElementById('run').click(); 1 }"
        )
        return self.text("printed")

    def frame(self):
        """The session of the last frame that the page has, once the browser has told of it."""
        for _ in range(500):
            frames = [
                event["params"]["sessionId"]
                for event in self.tab.events
                if event.get("method") == "Target.attachedToTarget"
                and event["params"]["targetInfo"]["type"] == "iframe"
            ]
            if frames:
                return frames[-1]
            self.tab.run("new Promise((done) => setTimeout(done, 20))")
        raise TimeoutError("no frame")


@pytest.fixture(scope="module")
def page():
    browser.find_chromium()
    if not (serve.node_package("pyodide") and serve.node_package("@viz-js/viz")):
        pytest.skip("no Pyodide: npm install --no-save pyodide @viz-js/viz")
    with serve.server() as server, browser.chromium() as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.send(
            "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True
        )
        tab.open(f"http://127.0.0.1:{server.server_port}/")
        yield Page(tab)
        server.shutdown()


# One process runs them all, so Python is started once.
pytestmark = pytest.mark.xdist_group("in browser")


def test_the_page_says_what_runs_and_what_it_does_without(page):
    assert page.text("state").startswith(f"Ready: wengert {wg.__version__} in Python 3.")
    assert "NumPy, which has no wheel for WebAssembly" in page.text("without")


def test_the_page_explains(page):
    assert page.run("Explain") == ""
    assert page.text("state") == "Done"
    with page.tab.session(page.frame()) as frame:
        frame.run(LOADED)
        assert "step 1 of 17" in frame.run("document.body.innerText")
        assert frame.run("document.querySelectorAll('svg .node, svg g').length") > 8


def test_the_page_rolls(page):
    net, g = wg.MLP(2, [4, 1], seed=0), wg.Graph()
    loss = (net(g.inputs("x", 2)) - g.input("y")) ** 2
    outputs = [loss, *wg.grad(loss, net.parameters())]
    rolled = wg.roll(outputs)
    assert page.run("Roll") == f"{rolled}\n{wg.check_roll(outputs, rolled)}\n"


def test_the_page_trains(page):
    net = wg.MLP(2, [4, 1], seed=0)
    X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1]
    history = wg.fit(net, X, Y, optimizer=wg.SGD(0.05), epochs=500, target="python", progress=False)
    printed = page.run("Train").splitlines()
    assert printed[-2] == f"500 epochs: loss {history.loss[-1]:.4f}"
    assert printed[-1] == str([round(net(x).data, 2) for x in X])


def test_the_page_draws(page):
    assert page.run("By hand").startswith("Value(data=2.99")
    assert page.tab.run("document.querySelector('#shown img').naturalWidth") > 100


def test_the_page_trains_what_would_be_arrays_elsewhere(page):
    program = (
        "net = wg.MLP(2, [24, 24, 1], seed=0)\n"
        "X = [[i / 40, 1 - i / 40] for i in range(40)]\n"
        "history = wg.fit(net, X, [r[0] for r in X], epochs=2, batch_size=8, progress=False)\n"
        "print(history.target, history.loss[1] < history.loss[0])"
    )
    assert page.run(program) == "python True\n"


def test_the_page_shows_errors_and_can_be_stopped(page):
    assert "ZeroDivisionError: division by zero" in page.run("1 / 0")
    assert page.text("state") == "Ended with an error"
    page.tab.run("document.getElementById('code').value = 'while True: pass', 1")
    page.tab.run("document.getElementById('run').click(), document.getElementById('stop').click()")
    assert page.text("state").startswith("Ready: ")
    assert page.run("print(wg.Value(1.0) + 2)") == "Value(data=3.0, grad=0.0)\n"


def test_the_page_asks_nobody_else_and_complains_of_nothing(page):
    page.text("state")
    asked = {url.partition("//")[2].partition(":")[0] for url in page.tab.requests()}
    assert asked - {""} == {"127.0.0.1"}  # and data: addresses
    assert page.tab.complaints() == []
