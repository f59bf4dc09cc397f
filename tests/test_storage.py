"""Writing files whole: what cannot be written is an error about the path that was given."""

import ast
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import wengert as wg
from wengert.cli import main
from wengert.errors import SettingError, UnknownNameError
from wengert.storage import write_bytes, write_text


def left_in(folder):
    return sorted(os.listdir(folder))


def test_text_takes_the_place_of_what_was_there(tmp_path):
    path = tmp_path / "a.py"
    assert write_text(path, "one\n") == path
    write_text(str(path), "two\n")
    assert path.read_text(encoding="utf-8") == "two\n"
    assert left_in(tmp_path) == ["a.py"]


@pytest.mark.parametrize(
    ("given", "error", "number"),
    [
        ("missing/a.py", FileNotFoundError, errno.ENOENT),
        ("", FileNotFoundError, errno.ENOENT),
        ("folder", IsADirectoryError, errno.EISDIR),
        (".", IsADirectoryError, errno.EISDIR),
        ("file/a.py", NotADirectoryError, errno.ENOTDIR),
        ("n" * 300, OSError, errno.ENAMETOOLONG),
    ],
)
def test_what_cannot_be_written_is_an_error_about_the_path_given(
    tmp_path, monkeypatch, given, error, number
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    with pytest.raises(error) as caught:
        write_text(given, "text")
    assert (caught.value.errno, caught.value.filename) == (number, given)
    assert ".partial" not in str(caught.value)
    assert left_in(tmp_path) == ["file", "folder"]
    assert not list(tmp_path.parent.glob(".*.partial"))


def test_a_failure_on_the_way_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.py"
    path.write_text("old", encoding="utf-8")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_text(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert left_in(tmp_path) == ["a.py"]


def neuron():
    g = wg.Graph()
    w, x = g.parameter("w", 0.5), g.parameter("x", 2.0)
    return wg.tanh(w * x), w


def compiled():
    output, w = neuron()
    return wg.compile({"w": w}, output)


def of_the_command(*arguments):
    def write(path):
        if (code := main([*arguments, "--out", str(path)])) != 0:
            raise OSError(f"exit code {code}")

    return write


WRITERS = {
    "network.json": lambda path: wg.MLP(2, [1], seed=0).save(path),
    "module.py": lambda path: compiled().save(path),
    "certificate.json": lambda path: wg.verify(*neuron()).save(path),
    "history.png": lambda path: wg.History([2.0, 1.0], "end", 0.1).plot(path),
    "walk.txt": lambda path: wg.explain(*neuron()).save(path),
    "walk.md": lambda path: wg.explain(*neuron()).save(path),
    "walk.tex": lambda path: wg.explain(*neuron()).save(path),
    "walk.json": lambda path: wg.explain(*neuron()).save(path),
    "walk.html": lambda path: wg.explain(*neuron()).save(path),
    "formula.dot": of_the_command("draw", "a*b"),
    "formula.py": of_the_command("export", "a*b"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_whatever_writes_a_file_writes_it_whole_or_not_at_all(name, tmp_path, monkeypatch):
    path = tmp_path / name
    path.write_text("old", encoding="utf-8")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space|exit code 2"):
            WRITERS[name](path)
    assert path.read_text(encoding="utf-8") == "old"
    WRITERS[name](path)
    assert path.read_bytes() not in (b"old", b"")
    assert left_in(tmp_path) == [name]


def test_a_picture_of_an_unknown_kind_is_refused_by_name(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown format of a picture '.json'; known: "):
        wg.History([2.0, 1.0], "end", 0.1).plot(tmp_path / "history.json")
    assert not left_in(tmp_path)


def writes(tree):
    """The calls in a module that write files without `storage`, as `line: call`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        modes = [a.value for a in node.args[1:] if isinstance(a, ast.Constant)]
        modes += [k.value.value for k in node.keywords if k.arg == "mode"]
        opened = called in ("open", "io.open") and any(set("wxa+") & set(str(m)) for m in modes)
        if opened or called.endswith((".write_text", ".write_bytes", "json.dump", ".touch")):
            yield f"{node.lineno}: {called}"


def test_nothing_else_in_the_package_writes_files():
    source = Path(wg.__file__).parent
    found = {
        path.relative_to(source).as_posix(): list(writes(ast.parse(path.read_text("utf-8"))))
        for path in source.rglob("*.py")
    }
    assert {file for file, calls in found.items() if calls} == {"storage.py"}


def test_a_new_file_keeps_the_permissions_of_the_old_one(tmp_path):
    path, link = tmp_path / "a.py", tmp_path / "link"
    write_text(path, "one")
    path.chmod(0o640)
    link.symlink_to(path)
    write_text(link, "two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8") == "two"


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 127, " ", "-rf", "a\nb", "$(touch x);'\""])
def test_any_name_that_the_file_system_takes(name, tmp_path):
    write_text(tmp_path / name, "text")
    assert left_in(tmp_path) == [name]
    assert (tmp_path / name).read_text(encoding="utf-8") == "text"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    thread = threading.Thread(target=lambda: read.append(path.read_bytes()))
    thread.start()
    write_text(path, "text")
    thread.join()
    assert read == [b"text"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_device_is_an_error_about_it():
    with pytest.raises(OSError, match="No space") as caught:
        write_text("/dev/full", "text")
    assert caught.value.errno == errno.ENOSPC


LIMITED = """
import resource, sys
from wengert.storage import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_bytes(sys.argv[1], b"new" * 100_000)
except OSError as error:
    sys.exit(error.strerror + ": " + error.filename)
"""


def test_no_more_room_in_the_middle_of_a_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"File too large: {path}"
    assert path.read_bytes() == b"old"
    assert left_in(tmp_path) == ["a.bin"]


ENDLESS = """
import sys
from wengert.storage import write_bytes
print("ready", flush=True)
for n in range(10**9):
    write_bytes(sys.argv[1], bytes([n % 250]) * 3_000_000)
"""


def test_who_is_killed_while_writing_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"\xff" * 3_000_000)
    for delay in (0.0, 0.003, 0.01, 0.02, 0.05):
        command = [sys.executable, "-c", ENDLESS, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        data = path.read_bytes()
        assert len(data) == 3_000_000
        assert len(set(data)) == 1


FULL_CACHE = """
import resource, signal, sys, warnings
import wengert as wg
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def made(constant):
    x = y = wg.Graph().input("x")
    for i in range(300):
        y = wg.tanh(y * constant + i)
    return wg.compile({"x": x}, y, cache_dir=sys.argv[1])(1.0)

if sys.argv[2] != "10":
    made(0.5)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = made(0.7)
print(found, len(caught), "File too large" in str(caught[0].message))
"""


@pytest.mark.parametrize(("limit", "kept"), [(5000, 2), (10, 0)], ids=["entry", "key"])
def test_a_cache_without_room_costs_a_warning_and_leaves_nothing_half_written(
    limit, kept, tmp_path
):
    command = [sys.executable, "-c", FULL_CACHE, str(tmp_path / "cache"), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1:3] == ["1", "True"]
    assert len(left_in(tmp_path / "cache")) == kept
    assert not list((tmp_path / "cache").glob(".*"))


KILLED = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_storage import WRITERS
write, path = WRITERS[sys.argv[2]], Path(sys.argv[3])
write(path)
print("ready", flush=True)
for _ in itertools.count():
    write(path)
"""


@pytest.mark.parametrize("name", ["network.json", "module.py", "certificate.json", "walk.html"])
def test_what_is_killed_while_saving_leaves_what_can_be_read(name, tmp_path):
    path = tmp_path / name
    WRITERS[name](path)
    size = path.stat().st_size
    tests = str(Path(__file__).parent)
    command = [sys.executable, "-c", KILLED, tests, name, str(path)]
    for delay in (0.002, 0.05):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        assert abs(path.stat().st_size - size) < 100
        if name == "network.json":
            assert wg.load(path).sizes == [2, 1]
        elif name == "certificate.json":
            assert wg.Verification.load(path)
        elif name == "module.py":
            compile(path.read_text("utf-8"), name, "exec")
        else:
            assert path.read_text("utf-8").rstrip().endswith("</html>")


def test_what_killed_processes_left_beside_a_file_is_swept(tmp_path):
    path = tmp_path / "net.json"
    kept = [".net.json.01234567.partial", ".other.json.01234567.partial", ".net.json.0.partial"]
    for name in [*kept, ".net.json.76543210.partial"]:
        (tmp_path / name).write_text("half")
    for name in [*kept[1:], ".net.json.76543210.partial"]:
        os.utime(tmp_path / name, (1, 1))
    write_text(path, "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*kept, "net.json"])


@pytest.mark.parametrize("format", ["svg", "dot"])
def test_a_picture_without_room_leaves_the_old_one(format, tmp_path, monkeypatch):
    x = wg.Graph().input("x")
    path = tmp_path / f"graph.{format}"
    source = tmp_path / "graph.gv"
    wg.draw_dot(x * 2).render(outfile=path, filename=source)
    before = path.read_bytes(), source.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            wg.draw_dot(x * 3 + x).render(outfile=path, filename=source)
        with pytest.raises(OSError, match="No space"):
            wg.draw_dot(x * 3 + x).save(source)
    assert (path.read_bytes(), source.read_bytes()) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([path.name, source.name])
    saved = wg.draw_dot(x * 3 + x).save(tmp_path / "new" / "graph.gv")
    assert "digraph" in (tmp_path / "new" / "graph.gv").read_text()
    assert saved == str(tmp_path / "new" / "graph.gv")


def savers():
    x = wg.Graph().input("x")
    y = wg.tanh(x) * 2
    for target in ("python", "numpy", "javascript"):
        yield f"a function of {target}", wg.compile({"x": x}, y, target=target).save
    yield "a network", wg.MLP(2, [1], seed=0).save
    yield "a walk-through", wg.explain(y, at={"x": 0.5}).save
    yield "a certificate", wg.verify(y, [x]).save
    yield "a certificate again", wg.Verification.load
    yield "a history", wg.History([2.0, 1.0], "end", 0.1).plot
    yield "a picture", wg.draw_dot(y).save


SAVERS = dict(savers())


@pytest.mark.parametrize("what", SAVERS)
@pytest.mark.parametrize("path", [None, 3, ["a"], "a\0b.html", b"a\0b.html", "a\ud800.html"])
def test_what_is_no_path_is_refused_by_name(what, path):
    if path is None and what in ("a history", "a picture"):
        pytest.skip("what is shown, or has a name of its own")
    with pytest.raises(SettingError, match="the path of a file is"):
        SAVERS[what](path)


@pytest.mark.parametrize("what", ["a function of python", "a network", "a certificate"])
def test_where_no_file_can_be_the_error_says_what_to_do(what, tmp_path):
    (tmp_path / "file").write_text("kept")
    for path, kind, said in (
        (tmp_path / "no" / "a.py", FileNotFoundError, "make the folder '.*no' first"),
        (tmp_path, IsADirectoryError, "give the path of a file in it"),
        (tmp_path / "file" / "a.py", NotADirectoryError, "part of '.*file' is a file"),
        ("", FileNotFoundError, "give the file a name"),
    ):
        with pytest.raises(kind, match=said):
            SAVERS[what](path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("what", [what for what in SAVERS if "function" in what or "walk" in what])
@pytest.mark.parametrize("ending", [".js", ".xyz", ".json5"])
def test_an_ending_that_is_not_known_is_refused_for_every_target(what, ending, tmp_path):
    with pytest.raises(UnknownNameError, match=f"unknown format of a .* '{ending}'; known: "):
        SAVERS[what](tmp_path / f"a{ending}")
    assert not list(tmp_path.iterdir())
