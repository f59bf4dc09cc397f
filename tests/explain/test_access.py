"""The pages as axe-core judges them: every kind of page, light and dark, wide and narrow.

axe-core is a package of npm: `npm install --no-save axe-core` in this repository, or globally.
"""

from pathlib import Path

import browser
import pytest
from in_browser.serve import node_package

import wengert as wg


def find_axe() -> Path:
    """The script of axe-core; without it the test is skipped."""
    package = node_package("axe-core")
    if package is None:
        pytest.skip("no axe-core: npm install --no-save axe-core")
    return package / "axe.min.js"


def neuron():
    return wg.explain(wg.parse("tanh(w*x + b)*(w + b)"), at={"w": 0.5, "x": 1, "b": -0.2})


def network():
    net = wg.MLP(2, [8, 8, 1], seed=0)
    return wg.explain((net([wg.Value(0.5, label="x0"), wg.Value(-0.3, label="x1")]) - 1.0) ** 2)


def arrays():
    g = wg.Graph()
    X, W = g.array("X", (4, 3)), g.array("W", (2, 3))
    return wg.explain((wg.tanh(X @ W.T) ** 2).sum(), wrt=W)


OPEN_ALL = "[...document.querySelectorAll('details')].forEach((part) => (part.open = true)), 1"
INSIDE = (
    "[...document.querySelectorAll('#graph [data-name^=\"layer 1\"]')].forEach((box) => "
    "box.dispatchEvent(new MouseEvent('click', { bubbles: true }))), 1"
)
JUDGE = """axe.run(document).then(({ violations }) => violations.map(({ id, help, nodes }) =>
  [id, help, nodes.slice(0, 4).map((node) => node.html.slice(0, 200))]))"""


@pytest.mark.parametrize("make", [neuron, network, arrays])
def test_axe_finds_nothing(make, tmp_path):
    axe = find_axe().read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(make().html(), encoding="utf-8")
    with browser.chromium() as tab:
        for dark, width, presses in ((False, 1280, 6), (True, 390, 30)):
            tab.send(
                "Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
            )
            tab.send(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=False,
            )
            tab.send("Page.setBypassCSP", enabled=True)
            tab.open(page)
            tab.run(axe + "; 1")
            for _ in range(presses):
                tab.press("ArrowRight")
            tab.run(OPEN_ALL)
            tab.run(INSIDE)
            tab.run("new Promise((done) => setTimeout(done, 50))")
            assert tab.run(JUDGE) == []
