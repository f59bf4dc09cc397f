"""The cache on disk: it outlives processes, and nothing foreign is ever run."""

import json
import math
import os
import stat
import subprocess
import sys
import warnings

import numpy as np
import pytest

import wengert
from wengert.codegen import diskcache
from wengert.codegen.build import MAX_REMEMBERED, build_once
from wengert.codegen.compiled import compile
from wengert.codegen.diskcache import CacheWarning
from wengert.derive.backward import grad
from wengert.errors import SettingError
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops
from wengert.ops.record import Notation, Op
from wengert.testing import RUNNABLE
from wengert.train.nn import MLP

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")


@pytest.fixture
def place(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error", CacheWarning)
        yield


def made(place, constant=0.1, **options):
    graph = Graph()
    w, x = graph.inputs("w", 2), graph.input("x")
    hidden = ops.tanh(w[0] * x + constant)
    hidden.label = "hidden"
    loss = (hidden * w[1] - 1.0) ** 2
    outputs = {"loss": loss, 3: [grad(loss, w), [x, 2.5, math.inf]]}
    return compile({"w": w, "x": x}, outputs, cache_dir=place, **options)


AT = [0.5, -0.25], 2.0


def entries(place):
    return sorted(path for path in place.iterdir() if path.name != "key")


def refuse_to_build(monkeypatch):
    def build(recipe):
        raise AssertionError("built")

    monkeypatch.setattr(diskcache, "build", build)


def test_gradients_that_stand_among_others_are_known_the_second_time(place):
    g = Graph()
    x = g.inputs("x", 2)
    y = x[0] ** 2 * x[1]
    first, second = (compile({"x": x}, [y, *grad(y, x)], cache_dir=place) for _ in range(2))
    assert first.derivatives == second.derivatives
    assert [d.gradient for d in second.derivatives] == [(slice(1, 3),)]


def test_the_second_time_nothing_is_built(place, monkeypatch):
    first = made(place)
    refuse_to_build(monkeypatch)
    second = made(place)
    assert second.function is not first.function
    assert second(*AT) == first(*AT) == first.program.run(*AT)
    assert second.program == first.program
    assert second.program.outputs == first.program.outputs
    assert second.source == first.source
    assert second.derivatives == first.derivatives
    assert second.passes == first.passes
    assert second.report() == first.report()
    assert [i.origin for i in second.program.instructions] == [
        i.origin for i in first.program.instructions
    ]
    for instruction in first.program.instructions:
        assert second.line_of(instruction.name) == first.line_of(instruction.name)


def test_what_is_kept_gives_inf_and_nan_and_names_what_is_not_finite(place, monkeypatch):
    def quotient(**options):
        graph = Graph()
        x = graph.input("x")
        return compile({"x": x}, ops.exp(x) / x, cache_dir=place, **options)

    quotient()
    refuse_to_build(monkeypatch)
    assert quotient()(0.0) == math.inf
    assert quotient()(1000.0) == math.inf
    with pytest.raises(wengert.NonFiniteError):
        quotient(check=True)(0.0)


def test_all_kinds_of_programs_survive(place):
    graph = Graph()
    w, x, y = graph.inputs("w", 3), graph.inputs("x", 3), graph.input("y")
    error = sum(a * b for a, b in zip(w, x, strict=True)) - y
    outputs = {"loss": error * error, "deep": {"a": [error, [w[0]]], "b": ops.relu(error) ** 1.5}}
    rows = [[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]], [0.5, 0.25]
    for reduce in ("sum", "mean", None):
        options = {"batch": ("x", "y"), "reduce": reduce, "simplify": "real"}
        inputs = {"w": w, "x": x, "y": y}
        plain = compile(inputs, outputs, **options)
        for _ in range(2):
            kept = compile(inputs, outputs, cache_dir=place, **options)
            assert kept([1.0, -1.0, 2.0], *rows) == plain([1.0, -1.0, 2.0], *rows)
            assert kept.program == plain.program
    assert len(entries(place)) == 3


def test_whatever_changes_the_code_is_another_entry(place):
    functions = [
        made(place),
        made(place, constant=0.2),
        made(place, constant=-0.0),
        made(place, constant=0.0),
        made(place, name="other"),
        made(place, simplify=False),
        made(place, simplify="real"),
        made(place, batch="x"),
        made(place, target="javascript"),
    ]
    assert len(entries(place)) == len(functions)
    assert made(place, target="javascript").source == functions[-1].source


def test_another_version_of_the_package_is_another_entry(place, monkeypatch):
    made(place)
    monkeypatch.setattr(diskcache, "release", lambda: "another")
    made(place)
    assert len(entries(place)) == 2


def test_graphs_too_large_to_be_remembered_are_kept(place, monkeypatch):
    def large():
        graph = Graph()
        x = graph.input("x")
        y = x
        for _ in range(MAX_REMEMBERED + 1):
            y = y * 0.5 + x
        return compile({"x": x}, y, cache_dir=place)

    first = large()
    refuse_to_build(monkeypatch)
    assert large()(1.5) == first(1.5)


def test_other_processes_find_it(place, monkeypatch):
    code = (
        "import sys, wengert as wg\n"
        "from wengert.codegen import diskcache\n"
        "net = wg.MLP(2, [3, 1], seed=0)\n"
        "g = wg.Graph(); x = g.inputs('x', 2); loss = net(x) ** 2\n"
        "if sys.argv[2] == 'warm':\n"
        "    diskcache.build = None\n"
        "f = wg.compile({'p': net.parameters(), 'x': x},\n"
        "               {'loss': loss, 'grad': wg.grad(loss, net.parameters())},\n"
        "               cache_dir=sys.argv[1])\n"
        "print(f([p.data for p in net.parameters()], [0.5, -1.0]))\n"
    )
    results = [
        subprocess.run(
            [sys.executable, "-c", code, str(place), kind],
            capture_output=True, text=True, check=True,
        ).stdout
        for kind in ("cold", "warm")
    ]  # fmt: skip
    assert results[0] == results[1]
    assert "loss" in results[0]


def test_without_a_directory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made(None)
    assert list(tmp_path.iterdir()) == []


# Permissions


def test_directory_and_files_are_the_users_alone(place):
    before = os.umask(0)
    try:
        made(place)
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for file in place.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in place.iterdir()} == {"key", entries(place)[0].name}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o755])
def test_a_directory_open_to_others_is_refused(place, mode):
    place.mkdir()
    place.chmod(mode)
    with pytest.raises(
        SettingError, match=rf"permissions {mode:04o}; .*expected user \d+ and 0700"
    ):
        made(place)
    assert list(place.iterdir()) == []


def test_a_directory_of_another_user_is_refused(place, monkeypatch):
    made(place)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SettingError, match="belongs to user"):
        made(place)


def test_a_link_to_a_directory_is_not_followed(place, tmp_path):
    made(tmp_path / "real")
    place.symlink_to(tmp_path / "real")
    with pytest.raises(SettingError, match=r"directory|symbolic"):
        made(place)


# Foreign files


def hostile(data):
    """An entry whose source raises when it is loaded, and otherwise is as it was."""
    head, code, body = data.split(b"\n", 2)
    document = json.loads(body)
    document["source"][0] = "raise SystemExit('foreign code ran')\n"
    return b"\n".join([head, code, json.dumps(document).encode()])


@pytest.mark.parametrize(
    "damage",
    [
        hostile,
        lambda data: b"",
        lambda data: data[:-40],
        lambda data: data + b" ",
        lambda data: data.replace(b"tanh", b"sinh", 1),
        lambda data: b"print('hello')\n",
        lambda data: data.replace(b"function 1", b"function 0", 1),
        lambda data: b"\xff\xfe" + os.urandom(200),
    ],
    ids=["code", "empty", "cut", "longer", "changed", "foreign", "format", "bytes"],
)
def test_a_changed_file_is_not_run_and_is_written_anew(place, damage):
    expected = made(place)(*AT)
    (entry,) = entries(place)
    good = entry.read_bytes()
    entry.write_bytes(damage(good))
    with pytest.warns(CacheWarning, match=rf"{entry.name}' is not used: it was not written here"):
        assert made(place)(*AT) == expected
    assert entry.read_bytes() == good
    assert made(place)(*AT) == expected


def test_an_entry_under_another_name_is_not_run(place):
    made(place)
    (one,) = entries(place)
    made(place, constant=0.7)
    (other,) = set(entries(place)) - {one}
    other.write_bytes(one.read_bytes())
    with pytest.warns(CacheWarning, match="was not written here"):
        f = made(place, constant=0.7)
    assert f(*AT) == f.program.run(*AT)
    assert "0.7" in f.source


def test_an_entry_signed_with_another_key_is_not_run(place, tmp_path):
    made(place)
    made(tmp_path / "foreign")
    (entry,) = entries(place)
    entry.write_bytes(hostile((tmp_path / "foreign" / entry.name).read_bytes()))
    body = entry.read_bytes().split(b"\n", 2)[2]
    key = (tmp_path / "foreign" / "key").read_bytes()
    entry.write_bytes(diskcache.FORMAT + diskcache._code(key, entry.name, body) + b"\n" + body)
    with pytest.warns(CacheWarning, match="was not written here"):
        made(place)


def test_links_and_open_files_are_not_read(place, tmp_path):
    expected = made(place)(*AT)
    (entry,) = entries(place)
    good = entry.read_bytes()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(good)
    entry.unlink()
    entry.symlink_to(elsewhere)
    with pytest.warns(CacheWarning, match="is not used"):
        assert made(place)(*AT) == expected
    assert not entry.is_symlink()
    assert elsewhere.read_bytes() == good
    entry.chmod(0o644)
    with pytest.warns(CacheWarning, match="-rw-r--r--"):
        assert made(place)(*AT) == expected
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    entry.unlink()
    os.mkfifo(entry, 0o600)
    with pytest.warns(CacheWarning, match="prw"):
        assert made(place)(*AT) == expected


@pytest.mark.parametrize("damage", ["short", "open", "link"])
def test_a_damaged_key_is_made_anew_and_no_entry_fits_it(place, tmp_path, damage):
    expected = made(place)(*AT)
    key = place / "key"
    old = key.read_bytes()
    if damage == "short":
        key.write_bytes(old[:16])
    elif damage == "open":
        key.chmod(0o644)
    else:
        (tmp_path / "key").write_bytes(old)
        key.unlink()
        key.symlink_to(tmp_path / "key")
    with pytest.warns(CacheWarning) as caught:
        assert made(place)(*AT) == expected
    assert ["key' is not used" in str(w.message) for w in caught] == [True, False]
    assert key.read_bytes() != old
    assert len(key.read_bytes()) == 32
    assert made(place)(*AT) == expected


def test_a_full_disk_costs_a_warning(place, monkeypatch):
    made(place)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(diskcache, "_write", full)
    with pytest.warns(CacheWarning, match="could not be written: .*No space left"):
        f = made(place, constant=0.3)
    assert f(*AT) == f.program.run(*AT)


def test_what_the_table_does_not_hold_is_not_kept(place):
    double = Op(
        name="tanh",  # as one of the table, and something else
        arity=1,
        evaluate=lambda x: x + x,
        sympy=lambda sp, x: 2 * x,
        vjp=(lambda ct, out, x: ct * 2,),
        notation={"text": Notation("2{0}"), "python": Notation("({0} + {0})")},
        sentence="",
        domain=((-1.0, 1.0),),
    )
    for op, at_one in ((double, 2.0), (ops.TANH, math.tanh(1.0)), (double, 2.0)):
        graph = Graph()
        x = graph.input("x")
        assert compile({"x": x}, op(x), cache_dir=place)(1.0) == at_one
    assert len(entries(place)) == 1


def test_functions_on_arrays_are_kept_with_their_statements(place):
    pytest.importorskip("numpy")
    net = MLP(2, [3, 1], seed=0)
    graph = Graph()
    x = graph.inputs("x", 2)
    inputs, y = {"p": net.parameters(), "x": x}, net(x)
    f = compile(inputs, y, target="numpy", batch="x", reduce=None, cache_dir=place)
    at = [p.data for p in net.parameters()], [[0.5, 1.0]]
    plain = compile(inputs, y, batch="x", reduce=None)
    assert f(*at) == pytest.approx(plain(*at))
    again = compile(inputs, y, target="numpy", batch="x", reduce=None, cache_dir=place)
    assert len(entries(place)) == 1
    assert again.report() == f.report()
    assert str(again.program) == str(f.program)
    assert again(*at) == pytest.approx(plain(*at))


def arrays(place, rows=(0, 2, 2), factor=1.0, **options):
    """A function of arrays, with an index and numbers of its own in it."""
    graph = Graph()
    X, W = graph.array("X", (4, 3)), graph.array("W", (2, 3))
    known = graph.constant(np.array([[0.1], [0.2], [0.3]]) * factor)
    loss = ((X[list(rows)] @ W.T + known).tanh() ** 2).sum()
    outputs = {"loss": loss, "grad": grad(loss, W)}
    return compile({"X": X, "W": W}, outputs, cache_dir=place, **options)


@pytest.mark.parametrize("target", sorted({"numpy", "native"}.intersection(RUNNABLE)))
def test_functions_of_arrays_are_kept(place, target, monkeypatch):
    first = arrays(place, target=target)
    for k, changed in enumerate(({"rows": (0, 2, 1)}, {"factor": 2.0}, {"dtype": "float32"}), 2):
        other = arrays(place, target=target, **changed)
        assert len(entries(place)) == k
        assert other.source != first.source
    entry = next(path for path in entries(place) if json.dumps(first.source) in path.read_text())
    refuse_to_build(monkeypatch)
    second = arrays(place, target=target)
    at = np.arange(12.0).reshape(4, 3) / 7, np.ones((2, 3)) / 3
    assert second.function is not first.function
    assert (second.source, second.report()) == (first.source, first.report())
    assert second.derivatives == first.derivatives
    assert second(*at)["loss"] == first(*at)["loss"]
    assert np.array_equal(second(*at)["grad"], first(*at)["grad"])
    monkeypatch.undo()
    for damage in (lambda data: data[:-9], lambda data: data.replace(b"tanh", b"sinh")):
        entry.write_bytes(damage(entry.read_bytes()))
        with pytest.warns(CacheWarning, match="it was not written here, or it was changed since"):
            third = arrays(place, target=target)
        assert third(*at)["loss"] == first(*at)["loss"]


def test_machine_code_of_another_processor_or_compiler_is_another_entry(place, monkeypatch):
    native = pytest.importorskip("wengert.codegen.native.native")
    pytest.importorskip("llvmlite")
    arrays(place, target="native")
    other = native.host()._replace(cpu="another")
    for k, (name, found) in enumerate({"host": other, "compiler": "LLVM 0"}.items(), 2):
        with monkeypatch.context() as patch:
            patch.setattr(native, name, lambda found=found: found)
            arrays(place, target="native")
        assert len(entries(place)) == k


def test_memory_is_not_asked(place):
    build_once.cache_clear()
    made(place)
    assert build_once.cache_info().currsize == 0


@pytest.mark.parametrize(
    "name", [5, 1.5, True, b"abc", ["folder"], object(), "", "a\0b", "x" * 5000, "/dev/null"]
)
def test_what_is_no_directory_is_a_named_error_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = Graph().input("x")
    with pytest.raises(SettingError, match="cache_dir=") as caught:
        compile({"x": x}, x * 2, cache_dir=name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    assert list(tmp_path.iterdir()) == []


def test_names_with_control_characters_are_escaped_in_what_is_said(tmp_path):
    odd = tmp_path / "red\x1b[31m\nline"
    odd.write_text("a file")
    x = Graph().input("x")
    with pytest.raises(SettingError) as caught:
        compile({"x": x}, x * 2, cache_dir=odd)
    assert str(caught.value).isprintable()
    odd.unlink()
    compile({"x": x}, x * 2, cache_dir=odd)
    for entry in odd.iterdir():
        entry.write_bytes(b"?")
    with pytest.warns(CacheWarning) as warned:
        compile({"x": x}, x * 2, cache_dir=odd)
    assert all(str(warning.message).isprintable() for warning in warned)


def test_what_killed_processes_left_is_swept_and_what_others_write_is_not(tmp_path):
    place = tmp_path / "cache"
    x = Graph().input("x")
    compile({"x": x}, x * 2, cache_dir=place)
    old, new = place / ".0123456789abcdef.partial", place / ".fedcba9876543210.partial"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (1, 1))
    compile({"x": x}, x * 2, cache_dir=place)
    assert not old.exists()
    assert new.exists()


def test_without_hard_links_functions_are_kept_all_the_same(tmp_path, monkeypatch):
    def no_links(*_, **__):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    place = tmp_path / "cache"
    x = Graph().input("x")
    for _ in range(2):
        assert compile({"x": x}, x * 2, cache_dir=place)(3.0) == 6.0
    names = sorted(entry.name for entry in place.iterdir())
    assert len(names) == 2
    assert "key" in names


@pytest.mark.parametrize("full", [False, True])
def test_a_directory_in_an_entrys_place_leaves_no_partial_files(full, tmp_path):
    place = tmp_path / "cache"
    x = Graph().input("x")
    compile({"x": x}, x * 2, cache_dir=place)
    (entry,) = [file for file in place.iterdir() if file.name != "key"]
    entry.unlink()
    entry.mkdir()
    if full:
        (entry / "something").touch()
    for again in range(2):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            assert compile({"x": x}, x * 2, cache_dir=place)(3.0) == 6.0
        assert bool(warned) == (full or not again)
    assert sorted(file.name for file in place.iterdir()) == sorted(["key", entry.name])
