"""Traces on disk: a later process gets what was compiled, unless what it rests on has changed."""

import builtins
import math
import os
import pickle
import subprocess
import sys
import warnings
from types import ModuleType

import numpy as np
import pytest

import wengert as wg
from wengert import Value
from wengert.codegen.diskcache import CacheWarning
from wengert.trace.code import Options
from wengert.trace.fingerprint import Fingerprint
from wengert.trace.kept import Kept
from wengert.train import choice

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")

PROGRAM = """
import math
import numpy as np
import helpers
from helpers import imported
from wengert import Value, pick, table

SCALE, DATA, KINDS = 2.0, [1.0, [2.0]], {"x": 1.5}
ARRAY = np.array([0.5, 0.125])
rows = table([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
weights = [Value(0.5, label="w"), Value(-1.5)]

class Layer:
    factor = 1.25

    def __init__(self):
        self.bias = Value(0.25)
        self.power = 2

    @property
    def shift(self):
        return self.bias + 0.5

    def __call__(self, x):
        return (x + self.shift) ** self.power * self.factor

layer = Layer()

def closure():
    inner = 0.75
    def inside(x):
        return x * inner
    return inside

inside = closure()

def helped(x, by=3.0):
    return x * by + SCALE * helped.times

helped.times = 1.5

def loss(token, xs, n, mode="sum"):
    row = rows[token]
    total = helped(row[0] * xs[0] + row[1] * xs[1]) + inside(weights[0])
    total = total + layer(weights[1]) * ARRAY[1]
    for _ in range(n):
        total = total * KINDS["x"] + DATA[1][0]
    if mode in {"sum", "total", "all"}:
        total = total + helpers.offset(total) + imported(weights[0])
    return total.tanh() + total / 100
"""

HELPERS = """
SIZE = 7.0

def offset(x):
    return x * SIZE

def imported(x):
    return x - 1.0
"""


def load(place, monkeypatch, program=PROGRAM, helpers=HELPERS, change=lambda module: None):
    """The function of a program as a new process has it."""
    module, helping = ModuleType("a_program"), ModuleType("helpers")
    monkeypatch.setitem(sys.modules, "helpers", helping)
    monkeypatch.setitem(sys.modules, "a_program", module)
    exec(compile(helpers, "helpers.py", "exec"), vars(helping))
    exec(compile(program, "a_program.py", "exec"), vars(module))
    change(module)
    return wg.function(cache_dir=place)(module.loss), module


ARGUMENTS = 1, [0.3, -0.4], 2


def outcome(f, module, *arguments):
    leaves = [*module.weights, module.layer.bias, *[v for row in module.rows for v in row]]
    wg.zero_grad(leaves)
    out = f(*arguments)
    out.backward()
    return [out.data, *[leaf.grad for leaf in leaves]]


def agree(f, module, arguments=ARGUMENTS):
    plain = outcome(f.__wrapped__, module, *arguments)
    assert outcome(f, module, *arguments) == pytest.approx(plain, rel=1e-12)
    return f.traces[-1].from_disk


@pytest.fixture
def place(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error", CacheWarning)
        yield


def other_numbers(module):
    for k, value in enumerate([*module.weights, *module.rows[0], *module.rows[1]]):
        value.data = 0.1 * k - 0.3


def test_the_same_program_is_traced_once(place, monkeypatch):
    assert not agree(*load(place, monkeypatch))
    f, module = load(place, monkeypatch, change=other_numbers)
    assert agree(f, module)
    assert agree(f, module, (0, [1.0, 2.0], 2))
    assert len(f.traces) == 1
    assert "from disk" in f.report()
    assert "for n = 2 alone, needed at a_program.py:" in f.report()
    assert not agree(f, module, (0, [1.0, 2.0], 3))
    assert not agree(f, module, (0, [1.0, 2.0], 2, "none"))
    again, module = load(place, monkeypatch)
    assert agree(again, module, (0, [1.0, 2.0], 3))
    assert agree(again, module, (0, [1.0, 2.0], 2, "none"))
    assert not agree(again, module, (0, (1.0, 2.0), 3))


CHANGES = {
    "the body": ("total.tanh() +", "total.sigmoid() +"),
    "a number in it": ("total / 100", "total / 101"),
    "a set in it": ('"total", ', ""),
    "a global number": ("SCALE, DATA", "SCALE, _, DATA", "= 2.0, [", "= 2.5, 0, ["),
    "a list": ("[1.0, [2.0]]", "[1.0, [2.25]]"),
    "an array": ("0.125]", "0.25]"),
    "a dict": ('{"x": 1.5}', '{"x": 1.75}'),
    "a closure": ("inner = 0.75", "inner = 0.25"),
    "a helper": ("x * by +", "x / by +"),
    "a default": ("by=3.0", "by=3.5"),
    "a default of the function": ('mode="sum"', 'mode="none"'),
    "an attribute of a function": ("times = 1.5", "times = 1.75"),
    "an attribute": ("self.power = 2", "self.power = 3"),
    "an attribute of a class": ("factor = 1.25", "factor = 1.5"),
    "a property": ("self.bias + 0.5", "self.bias - 0.5"),
    "a method": ("self.factor", "self.factor * 2"),
    "a label": ('label="w"', 'label="u"'),
    "how many there are": ("Value(-1.5)]", "Value(-1.5), Value(1.0)]"),
    "which they are": ("Value(0.25)", "weights[0]"),
    "a constant": ("Value(0.25)", "Value(0.25) * 1"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_change_is_traced_anew(place, monkeypatch, name):
    agree(*load(place, monkeypatch))
    program, texts = PROGRAM, CHANGES[name]
    for old, new in zip(texts[::2], texts[1::2], strict=True):
        assert old in program
        program = program.replace(old, new)
    f, module = load(place, monkeypatch, program)
    assert not agree(f, module)
    assert agree(*load(place, monkeypatch))


GIVEN = [
    (math, "pi", 3.0),
    (np, "pi", 3.0),
    (Value, "doubled", lambda self: self * 5),
    (Value, "tanh", lambda self: self * 5),
    (builtins, "pow", lambda x, n: x * n),
]


@pytest.mark.parametrize(("space", "name", "thing"), GIVEN)
def test_what_is_put_into_modules_of_pythons_own_is_traced_anew(
    place, monkeypatch, space, name, thing
):
    monkeypatch.setattr(Value, "doubled", lambda self: self * 2, raising=False)
    total = "total.tanh() + getattr(total, 'doubled')() * math.pi + np.pi + pow(total, 2)"
    program = "import numpy as np\n" + PROGRAM.replace("total.tanh()", total)
    assert not agree(*load(place, monkeypatch, program))
    assert agree(*load(place, monkeypatch, program))
    monkeypatch.setattr(space, name, thing)
    assert not agree(*load(place, monkeypatch, program))


@pytest.mark.parametrize("change", ["SIZE = 7.0", "x * SIZE", "x - 1.0"])
def test_a_change_in_another_module_is_traced_anew(place, monkeypatch, change):
    agree(*load(place, monkeypatch))
    helpers = HELPERS.replace(change, change.replace("1.0", "1.5").replace("7.0", "7.5"))
    helpers = helpers if helpers != HELPERS else HELPERS.replace(change, "x * SIZE * 2")
    assert not agree(*load(place, monkeypatch, helpers=helpers))


def test_a_value_that_is_another_one_is_traced_anew(place, monkeypatch):
    agree(*load(place, monkeypatch))

    def change(module):
        module.rows.rows[1][0] = module.rows.rows[0][0]

    f, module = load(place, monkeypatch, change=change)
    assert not agree(f, module)


def test_names_of_entries_do_not_tell_what_else_is_loaded(monkeypatch):
    found = Fingerprint("digest", [])
    name = Kept.of(found, Options()).name
    monkeypatch.delitem(sys.modules, "numpy")
    assert Kept.of(found, Options()).name == name


def test_code_elsewhere_in_the_file_is_not_looked_at(place, monkeypatch):
    agree(*load(place, monkeypatch))
    assert agree(*load(place, monkeypatch, PROGRAM + "\ndef more(x):\n    return x\n"))


LOCKED = ("for _ in range(n)", "for _ in range(n if lock else 0)")
UNTOLD = {
    "a lock": ("layer = Layer()", "import threading\nlayer, lock = Layer(), threading.Lock()"),
    "globals": ("total = helped(", "total = globals()['helped']("),
    "an import": ("    row = rows[token]", "    from helpers import offset\n    row = rows[token]"),
}


@pytest.mark.filterwarnings("ignore:(?s).*names that are put together")
@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_in_words_is_not_kept(place, monkeypatch, name):
    program = PROGRAM.replace(*UNTOLD[name])
    if "lock" in program:
        program = program.replace(*LOCKED)
    for _ in range(2):
        f, module = load(place, monkeypatch, program)
        assert not agree(f, module)
        assert "not kept on disk: " in f.report()


def test_entries_that_others_wrote_are_not_used(place, monkeypatch):
    agree(*load(place, monkeypatch))
    for entry in place.iterdir():
        if entry.name != "key":
            data = bytearray(entry.read_bytes())
            data[-3] ^= 1
            entry.write_bytes(data)
    with pytest.warns(CacheWarning):
        assert not agree(*load(place, monkeypatch))
    assert agree(*load(place, monkeypatch))


SEVERAL = "    return total.tanh() + total / 100", "    return {'a': total, 1: [total.tanh(), 2.0]}"


def test_several_outputs_and_their_derivatives_are_kept(place, monkeypatch):
    for k in range(3):
        f, module = load(place, monkeypatch, PROGRAM.replace(*SEVERAL))
        found = f(*ARGUMENTS)
        (found["a"] * found[1][0] + found[1][1]).backward()
        got = [v.grad for v in (*module.weights, *module.rows[1])]
        wg.zero_grad([*module.weights, *module.rows[1]])
        plain = f.__wrapped__(*ARGUMENTS)
        (plain["a"] * plain[1][0] + plain[1][1]).backward()
        assert got == pytest.approx([v.grad for v in (*module.weights, *module.rows[1])], rel=1e-12)
        assert f.traces[0].from_disk is (k > 0)


def test_what_is_kept_can_be_verified_pickled_and_run_elsewhere(place, monkeypatch):
    agree(*load(place, monkeypatch))
    f, module = load(place, monkeypatch)
    assert agree(f, module)
    assert f.compiled.recipe.graph.leaves
    again = pickle.loads(pickle.dumps(f.compiled))
    assert again.source == f.source
    assert f.compiled.verify()


def test_machine_code_is_kept_when_it_has_paid(place, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(choice.Work, "calls_to_native", lambda self, microseconds: 2)
    f, module = load(place, monkeypatch)
    agree(f, module)
    assert f.compiled.target != "native"
    agree(f, module)
    assert f.compiled.target == "native"
    called = type(f.compiled)
    f, module = load(place, monkeypatch)
    assert agree(f, module)
    assert (f.compiled.target, type(f.compiled)) == ("native", called)


MINE = """
class Mine(Value):
    def twice(self):
        return self * 2

SCALE"""


def test_subclasses_come_back_as_such(place, monkeypatch):
    program = PROGRAM.replace("\nSCALE", MINE).replace('Value(0.5, label="w")', "Mine(0.5)")
    for k in range(2):
        f, module = load(place, monkeypatch, program)
        assert agree(f, module) is (k > 0)
        out = f(*ARGUMENTS)
        assert out.twice().data == 2 * out.data
    assert not agree(*load(place, monkeypatch, program.replace("self * 2", "self * 3")))


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import wengert as wg, a_program
f = wg.function(cache_dir={place!r})(a_program.loss)
print(f(1, [0.3, -0.4], 2).data, f.traces[0].from_disk)
"""


def test_other_processes_with_other_hashes(tmp_path):
    (tmp_path / "a_program.py").write_text(PROGRAM)
    (tmp_path / "helpers.py").write_text(HELPERS)
    script = SCRIPT.format(folder=str(tmp_path), place=str(tmp_path / "cache"))
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert [from_disk for _, from_disk in said] == ["False", "True"]
    assert said[0][0] == said[1][0]
