"""The wheel, as a user gets it: built from the sdist, installed alone, used from another folder.

The tests around this one run on the checkout. These catch what only they can: a module or a file
that is not packed, a name that is found in the checkout alone, a command that does not start.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# One process runs them all, so the wheel is built once.
pytestmark = pytest.mark.xdist_group("wheel")

SMOKE = """
import importlib.metadata
import math
import pathlib
import sys

import wengert as wg
import wengert.cli
import wengert.codegen
import wengert.graph

package = pathlib.Path(wg.__file__).resolve().parent
assert pathlib.Path(sys.prefix).resolve() in package.parents, package
assert (package / "py.typed").is_file()
assert wg.__version__ == importlib.metadata.version("wengert") == sys.argv[1]

# an eager scalar
x = wg.Value(2.0, label="x")
o = (x * 3 + 1).tanh()
o.backward()
assert math.isclose(x.grad, 3 * (1 - math.tanh(7.0) ** 2), rel_tol=1e-6), x.grad

# a network: graph, gradient, proof, compiled function
net = wg.MLP(2, [3, 1], seed=0)
g = wg.Graph()
xs, y = g.inputs("x", 2), g.input("y")
loss = (net(xs) - y) ** 2
grads = wg.grad(loss, net.parameters())
assert wg.verify(loss, net.parameters())
groups = {"params": net.parameters(), "x": xs, "y": y}
f = wg.compile(groups, {"loss": loss, "grad": grads}, target="python")
params = [p.data for p in net.parameters()]
out = f(params, [0.5, -1.0], 0.25)
assert math.isclose(out["loss"], (net([0.5, -1.0]) - 0.25) ** 2), out
for i, slope in enumerate(out["grad"]):
    up, down = list(params), list(params)
    up[i] += 1e-6
    down[i] -= 1e-6
    rise = f(up, [0.5, -1.0], 0.25)["loss"] - f(down, [0.5, -1.0], 0.25)["loss"]
    assert math.isclose(slope, rise / 2e-6, rel_tol=1e-4, abs_tol=1e-7), (i, slope, rise)

# trained, drawn, saved
X, Y = [[0.0, 1.0], [1.0, 0.0]], [0.5, -0.5]
history = wg.fit(net, X, Y, loss="squared_error", optimizer=wg.SGD(0.01), epochs=20)
assert history.loss[-1] < history.loss[0]
assert "digraph" in wg.draw_dot(loss).source
f.save("model.py")
"""


def run(*command: object, cwd: Path) -> str:
    """Run a command away from the checkout, and return what it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    outcome = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, f"{' '.join(map(str, command))}\n{outcome.stdout}"
    return outcome.stdout


LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist", "node_modules", "wengert-demo")
"""What of a checkout is not published: what tools make, and what is the repository's own."""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder of the sdist and the wheel, built from a copy so that nothing is left here."""
    folder = tmp_path_factory.mktemp("build")
    sources = folder / "sources"
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(*LEFT_OUT))
    # The sdist first, and the wheel from that: both must be whole.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, sources, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    """The wheel."""
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of a new environment's commands, with the wheel and its dependencies in it."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, with_pip=False, symlinks=os.name != "nt")
    commands = place / ("Scripts" if os.name == "nt" else "bin")
    run(
        *(sys.executable, "-m", "pip", "--python", commands / "python", "install"),
        *("--quiet", "--no-index", "--no-deps", wheel),
        cwd=place,
    )
    # The dependencies come from the environment of these tests. A folder that a .pth file names
    # has its own .pth files left alone: the checkout, installed there in place, stays out.
    (packages,) = place.rglob("site-packages")
    dependencies = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(dependencies)), encoding="utf-8")
    return commands


def test_wheel_holds_the_package_and_nothing_else(wheel):
    expected = {
        "wengert/" + path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == expected
    assert {"wengert/py.typed", "wengert/graph/__init__.py", "wengert/codegen/__init__.py"} < packed


def test_the_sdist_holds_all_there_is(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    ignored = shutil.ignore_patterns(*LEFT_OUT)
    expected = set()
    for folder, folders, files in os.walk(ROOT):
        gone = ignored(folder, [*folders, *files])
        folders[:] = [name for name in folders if name not in gone]
        expected |= {
            (Path(folder) / name).relative_to(ROOT).as_posix() for name in files if name not in gone
        }
    assert {"tests/golden", "docs/neuron.svg", "CHANGELOG.md"} & expected
    assert expected <= packed


def test_what_is_built_may_be_published(built):
    pytest.importorskip("twine", reason="twine judges packages")
    files = [path for path in built.iterdir() if path.is_file()]
    assert len(files) == 2
    assert "PASSED" in run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=built)


@pytest.mark.parametrize(
    ("system", "machine", "wanted"),
    [
        ("linux", "x86_64", True),
        ("darwin", "arm64", True),
        ("win32", "ARM64", True),
        ("emscripten", "wasm32", False),
        ("linux", "armv7l", False),
        ("linux", "riscv64", False),
    ],
)
def test_only_machines_that_it_is_built_for_ask_for_the_program_that_draws(
    wheel, system, machine, wanted
):
    markers = pytest.importorskip("packaging.requirements")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        listed = HeaderParser().parsestr(archive.read(name).decode()).get_all("Requires-Dist")
    there = {"sys_platform": system, "platform_machine": machine, "extra": ""}
    requirements = map(markers.Requirement, listed)
    asked = {r.name for r in requirements if r.marker is None or r.marker.evaluate(there)}
    assert ("graphviz-pure" in asked) == wanted
    assert {"networkx", "numpy", "sympy", "mpmath", "graphviz", "tqdm"} <= asked


def test_wheel_carries_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
        assert archive.read(name) == (ROOT / "LICENSE").read_bytes()


def test_public_names_work_from_the_wheel(wheel, installed, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        version = HeaderParser().parsestr(archive.read(name).decode())["Version"]
    script = tmp_path / "smoke.py"
    script.write_text(SMOKE, encoding="utf-8")
    run(installed / "python", "-I", "-W", "error", script, version, cwd=tmp_path)
    # What it saved needs the standard library alone: no site-packages, no wengert.
    run(installed / "python", "-I", "-S", "-W", "error", tmp_path / "model.py", cwd=tmp_path)


def test_commands_work_from_the_wheel(installed, tmp_path):
    formula = ("grad", "tanh(w*x+b)", "--wrt", "w", "--at", "w=1,x=2,b=0")
    by_script = run(installed / "wengert", *formula, cwd=tmp_path)
    by_module = run(installed / "python", "-m", "wengert", *formula, cwd=tmp_path)
    assert by_script == by_module
    assert by_script.strip()
