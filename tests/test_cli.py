"""The command: what it prints, what it writes, and how it fails."""

import ast
import io
import json
import math
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import graphviz
import pytest

import wengert
from wengert import cli, demo
from wengert.cli import main
from wengert.draw import picture as rendering

TRANSCRIPT = Path(__file__).with_name("transcript.json")


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch, tmp_path):
    """No width, no colour settings, and a folder of its own."""
    for name in ("COLUMNS", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    """Runs the command; answers its exit code, output and error output."""

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


# -- grad ------------------------------------------------------------------------------------------


def test_grad_prints_formulas_and_numbers(run):
    code, out, err = run("grad", "w*x + b*b", "--wrt", "w,b", "--at", "w=2,x=3,b=-0.5")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "f = w*x + b*b",
        "df/dw = x",
        "df/db = b + b",
        "at w=2, x=3, b=-0.5:",
        "f = 6.25",
        "df/dw = 3",
        "df/db = -1",
    ]


def test_the_gradient_is_that_of_the_formula(run):
    arguments = ["tanh(w*x+b)", "--wrt", "w", "--at", "w=1,x=2,b=0"]
    code, out, _ = run("grad", *arguments, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["value"] == math.tanh(2)
    assert found["gradient_at"]["w"] == pytest.approx(2 * (1 - math.tanh(2) ** 2), rel=1e-12)


def test_every_leaf_by_default_and_repeated_options(run):
    assert [line.split(" ")[0] for line in run("grad", "a*b + c")[1].splitlines()[1:]] == [
        *("df/da", "df/db", "df/dc")
    ]
    out = run("grad", "a*b", "--wrt", "b", "--wrt", "a,b", "--at", "a=1", "--at", "b=2")[1]
    assert out.splitlines()[1:3] == ["df/db = a", "df/da = b"]


def test_json_has_a_stable_form(run):
    assert run("grad", " x*x ", "--json")[1] == (
        '{\n  "formula": "x*x",\n  "wrt": [\n    "x"\n  ],\n'
        '  "gradient": {\n    "x": "x + x"\n  },\n'
        '  "at": null,\n  "value": null,\n  "gradient_at": null\n}\n'
    )
    found = json.loads(run("grad", "log(x)", "--json", "--at", "x=0")[1])
    assert list(found) == ["formula", "wrt", "gradient", "at", "value", "gradient_at"]
    assert found["at"] == {"x": 0.0}
    assert found["value"] == "-inf"
    assert found["gradient_at"] == {"x": "inf"}


def test_python_is_the_source_of_a_working_function(run):
    code, out, _ = run("grad", "tanh(w*x+b)", "--wrt", "w", "--python")
    assert code == 0
    ast.parse(out)
    space: dict = {}
    exec(compile(out, "generated", "exec"), space)
    found = space["f"](1.0, 2.0, 0.0)
    assert found["value"] == math.tanh(2)
    assert found["gradient"]["w"] == pytest.approx(2 * (1 - math.tanh(2) ** 2), rel=1e-12)


def test_latex(run):
    assert run("grad", "w0_1*x", "--wrt", "x", "--latex")[1].splitlines() == [
        r"f = w_{0,1} \cdot x",
        r"\frac{\partial f}{\partial x} = w_{0,1}",
    ]
    where = r"\right|_{w = 10^{-7},\ x = 2} = "
    out = run("grad", "w*x", "--wrt", "x", "--latex", "--at", "w=1e-7,x=2")[1]
    assert out.splitlines()[2:] == [
        rf"\left. f {where}2 \cdot 10^{{-7}}",
        rf"\left. \frac{{\partial f}}{{\partial x}} {where}10^{{-7}}",
    ]


def test_a_leaf_called_f_is_not_the_function(run):
    assert run("grad", "f*y")[1].splitlines() == ["g = f*y", "dg/df = y", "dg/dy = f"]
    assert run("grad", "f*g*h*f0*y", "--wrt", "y")[1].splitlines()[1] == "df1/dy = f*g*h*f0"


def test_a_leaf_that_only_a_condition_reads_has_derivative_0(run):
    assert run("grad", "where(x > 0, a, b)", "--wrt", "x")[1].splitlines()[1] == "df/dx = 0"


@pytest.mark.parametrize("formula", ["-x", "--x", "-(x)*2", "-1*x", "-h1"])
def test_a_formula_may_begin_with_a_sign(run, formula):
    code, out, err = run("grad", formula)
    assert (code, err) == (0, "")
    assert out.startswith("f = -")


# -- terminal --------------------------------------------------------------------------------------

LONG = "tanh(alpha*first_input + beta*second_input)*sigmoid(gamma*third_input + delta)"


def test_a_narrow_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    at = "alpha=1,first_input=2,beta=3,second_input=4,gamma=5,third_input=6,delta=7"
    lines = run("grad", LONG, "--at", at)[1].splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join("".join(lines).split()).startswith("f=" + LONG.replace(" ", ""))


def test_a_pipe_gets_whole_lines(run):
    assert len(run("grad", LONG)[1].splitlines()) == 8


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_colour_only_on_a_terminal_and_without_no_color(monkeypatch, capsys):
    main(["grad", "x"])
    assert "\x1b" not in capsys.readouterr().out
    for name, setting, coloured in [
        ("NO_COLOR", "", True),
        ("NO_COLOR", "1", False),
        ("TERM", "dumb", False),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", Terminal())
            patch.setenv(name, setting)
            main(["grad", "x"])
            assert ("\x1b[" in sys.stdout.getvalue()) is coloured


def test_a_terminal_that_cannot_show_everything(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(["grad", "+".join(["x*y"] * 300)]) == 0
    assert b"?" in written.getvalue()


# -- draw and export -------------------------------------------------------------------------------


def test_draw(run, tmp_path):
    code, out, _ = run("draw", "tanh(w*x+b)", "--wrt", "w", "--at", "w=1,x=2,b=0", "--out", "a.svg")
    assert (code, out) == (0, "wrote a.svg\n")
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(svg)
    assert "grad w" in svg
    assert "0.9640" in svg
    assert run("draw", "x*x", "--out", "b.png")[0] == 0
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    assert run("draw", "x*x", "--out", "c.dot", "--rankdir", "TB")[0] == 0
    assert "rankdir=TB" in (tmp_path / "c.dot").read_text(encoding="utf-8")
    assert run("draw", "x*x")[1] == "wrote wengert.svg\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a.svg", "b.png", "c.dot", "wengert.svg")
    ]


def test_a_large_formula_is_drawn_as_arrays(run, tmp_path):
    assert run("draw", "+".join(["x*2"] * 900), "--out", str(tmp_path / "x.dot"))[0] == 0
    assert (tmp_path / "x.dot").read_text(encoding="utf-8").count("record") < 20


def test_draw_without_a_program_to_draw_with(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rendering, "_graphviz_pure", lambda: None)
    code, out, err = run("draw", "x*x")
    assert (code, out) == (2, "")
    assert "pip install graphviz-pure" in err
    assert run("draw", "x*x", "--out", "x.gv")[0] == 0
    code, out, err = run("explain", "x*x", "--at", "x=1", "--html", "x.html")
    assert (code, out) == (2, "")
    assert "pip install graphviz-pure" in err
    assert err.count("\n") == 1


def test_draw_with_a_program_that_fails(run, monkeypatch):
    def fail(*_: object, **__: object) -> bytes:
        raise graphviz.CalledProcessError(1, "dot", b"", b"no such font\n")

    monkeypatch.setattr(graphviz.Digraph, "pipe", fail)
    code, _, err = run("draw", "x*x")
    assert (code, err) == (2, "wengert: the picture was not made: no such font\n")


def test_export_writes_a_module_that_checks_itself(run, tmp_path):
    path = tmp_path / "model.py"
    code, out, _ = run("export", "tanh(w*x+b)", "--wrt", "w", "--at", "w=0.5", "--out", str(path))
    assert code == 0
    assert str(path) in out
    done = subprocess.run(
        [sys.executable, "-I", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    module = runpy.run_path(str(path))
    found = module["f"](1.0, 2.0, 0.0)
    assert found["value"] == math.tanh(2)
    assert list(found["gradient"]) == ["w"]
    assert "0.5" in path.read_text(encoding="utf-8")
    assert run("export", "x*x", "--out", "g.py", "--name", "g")[0] == 0
    assert runpy.run_path(str(tmp_path / "g.py"))["g"](3.0)["gradient"] == {"x": 6.0}


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["bogus"], "'bogus'"),
        (["grad"], "formula"),
        (["grad", "x", "--bogus"], "--bogus"),
        (["grad", "x", "--jso"], "--jso"),
        (["grad", "x", "--latex", "--json"], "not allowed with"),
        (["grad", "x*y", "--wrt", "w"], "unknown leaf 'w'"),
        (["grad", "x*y", "--wrt", "x,w"], "known: x, y"),
        (["grad", "x", "--wrt", ""], "unknown leaf ''"),
        (["grad", "x", "--at", "z=1"], "unknown leaf 'z'"),
        (["grad", "x", "--at", "x"], "'x' is not of the form name=number"),
        (["grad", "x", "--at", "x=one"], "expected a number"),
        (["grad", "x", "--at", "x=1,x=2"], "x is given twice"),
        (["grad", "x*y", "--at", "x=1"], "no value for 'y'"),
        (["grad", "2 + 3"], "no leaf"),
        (["grad", "x", "--python", "--at", "x=1"], "--at goes with formulas"),
        (["grad", "total(x)"], "no derivative"),
        (["draw", "x", "--out", "x.nope"], "unknown format 'nope'"),
        (["draw", "x", "--rankdir", "UP"], "unknown rankdir 'UP'"),
        (["draw", "x", "--out", "nowhere/x.svg"], "nowhere/x.svg: No such file or directory"),
        (["export", "x"], "--out"),
        (["export", "x", "--out", "nowhere/x.py"], "nowhere/x.py: No such file or directory"),
        (["export", "x", "--out", "."], ".: Is a directory"),
        (["export", "x", "--out", "x.py", "--name", "class"], "'class'"),
        (["demo", "--out", "file/inside"], "file"),
    ],
)
def test_errors_are_one_clear_line_and_exit_code_2(run, tmp_path, arguments, said):
    (tmp_path / "file").touch()
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("wengert: ")
    assert err.count("\n") == 1
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('x')",
        "x.__class__",
        "(lambda: 0)()",
        "a\u202eb",
        "x\udc80",
        "",
        "(",
    ],
)
@pytest.mark.parametrize("command", ["grad", "draw", "export"])
def test_hostile_formulas_are_refused_with_a_pointer(run, tmp_path, command, formula):
    code, out, err = run(command, formula, *(["--out", "out.py"] if command == "export" else []))
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert err.startswith("wengert: ")
    assert "^" in err or not formula
    assert list(tmp_path.iterdir()) == []


def test_a_gradient_too_long_to_write_out_is_refused(run, monkeypatch):
    monkeypatch.setattr(cli, "MAX_FORMULA_TERMS", 10)
    code, _, err = run("grad", "x*x*x*x*x*x*x*x", "--json")
    assert code == 2
    assert "--python" in err


def test_version_and_help(run):
    assert run("--version") == (0, f"wengert {wengert.__version__}\n", "")
    for command in ([], ["grad"], ["draw"], ["export"], ["demo"]):
        code, out, _ = run(*command, "--help")
        assert code == 0
        assert "usage: wengert" in out


def test_interrupted(run, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "read_formulas", interrupt)
    assert run("grad", "x") == (130, "", "wengert: interrupted\n")


def test_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "wengert", "grad", "x*y", "--wrt", "x"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "f = x*y\ndf/dx = y\n"), done.stderr


# -- demo ------------------------------------------------------------------------------------------


def test_the_demo_numbers_are_those_of_the_transcript():
    printed = json.loads(TRANSCRIPT.read_text(encoding="utf-8"))
    assert list(demo.PARAMETERS) == printed["parameters"]
    assert list(demo.SIZES) == printed["sizes"]
    assert [list(row) for row in demo.INPUTS] == printed["inputs"]
    assert list(demo.TARGETS) == printed["targets"]
    assert list(demo.FIRST_LOSSES) == list(printed["losses"].values())
    assert printed["after_500_more_epochs"]["loss"] == demo.LAST_LOSS
    assert printed["step_size"] == demo.STEP_SIZE
    assert {name: printed["neuron"][name] for name in demo.NEURON} == demo.NEURON


def test_demo(run, tmp_path):
    code, out, err = run("demo")
    assert code == 0, out
    assert err == ""
    folder = tmp_path / "wengert-demo"
    files = {path.name for path in folder.iterdir()}
    assert {"network.py", "neuron.svg", "neuron-backward.svg", "network.svg"} <= files
    assert all(f"  {name} " in out for name in files)
    assert "the same" in out
    assert "FAILED" not in out
    assert [line[:2] for line in out.splitlines() if line[:1].isdigit()] == [
        f"{stage}." for stage in range(1, 8)
    ]
    for name in files:
        if name.endswith(".svg"):
            ElementTree.parse(folder / name)
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_demo_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said: list[str] = []
    assert demo._train(demo.notebook_network(), tmp_path, said.append) == (True, [])
    assert "pip install matplotlib" in "\n".join(said)


def test_the_demo_without_a_program_to_draw_with(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rendering, "_graphviz_pure", lambda: None)
    said: list[str] = []
    sample = demo._build(demo.notebook_network(), said.append)
    assert demo._draw(sample, tmp_path, said.append) == []
    assert "pip install graphviz-pure" in said[-1]


def test_the_demo_sees_a_wrong_loss(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "LAST_LOSS", demo.LAST_LOSS + 1e-6)
    said: list[str] = []
    same, _ = demo._train(demo.notebook_network(), tmp_path, said.append)
    assert not same
    assert any("FAILED" in line for line in said)


def test_a_failed_check_is_exit_code_1(run, monkeypatch):
    monkeypatch.setattr(demo, "_prove", lambda *_: False)
    assert run("demo", "--out", "elsewhere")[0] == 1


# -- explain ---------------------------------------------------------------------------------------

NEURON = ["tanh(w1*x1 + w2*x2 + b)", "--at", "x1=2,x2=0,w1=-3,w2=1,b=6.8813735870195432"]


def test_explain_prints_the_steps(run):
    code, out, err = run("explain", *NEURON, "--wrt", "w1")
    assert (code, err) == (0, "")
    assert "v1 = w1*x1 = (-3)*2 = -6" in out
    assert "How does L change when w1 changes?" in out
    assert "∂L/∂w1 = 1" in out
    assert "∂L/∂w2" not in out
    assert "\x1b[" not in out


def test_explain_takes_values_and_leaves_at_once_or_one_by_one(run):
    formula = "tanh(w*x + b)"
    at_once = run("explain", formula, "--at", "w=2,x=0.5,b=1", "--wrt", "w,b")
    one_by_one = run(
        "explain", formula, *("--at", "w=2", "--at", "x=0.5", "--at", "b=1"), "--wrt", "w",
        "--wrt", "b",
    )  # fmt: skip
    assert at_once[0] == 0
    assert one_by_one == at_once
    assert run("explain", formula, "--at", "w=2", "--at", "w=3")[2].startswith(
        "wengert: --at gives"
    )


def test_explain_as_json_and_as_a_page(run, tmp_path):
    found = json.loads(run("explain", *NEURON, "--json")[1])
    assert found["steps"][0]["id"] == "question"
    code, out, _ = run("explain", *NEURON, "--html", "out.html")
    assert (code, out) == (0, "Wrote out.html\n")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert 'id="step-backward-' in page


def test_explain_shows_mistakes_and_asks(run, monkeypatch):
    assert "assign" in run("explain", "x", "--mistake", "list")[1]
    out = run("explain", "c = a + b; d = b + 1; e = c*d", "--at", "a=2,b=1", "--mistake", "assign")
    assert "The first wrong step" in out[1]
    monkeypatch.setattr("sys.stdin", io.StringIO("8\n9\nq\n"))
    code, out, _ = run("explain", "x*x", "--at", "x=3", "--predict")
    assert code == 0
    assert "Not 8" in out
    assert "0 of 1 right without looking, 1 after a hint" in out


def test_practice_asks_about_a_fresh_expression(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\nq\n"))
    code, out, _ = run("practice", "--level", "2", "--seed", "1")
    assert code == 0
    assert out.startswith("L = ")
    assert "\nat a = " in out
    assert "0 of 1 right without looking." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["w*x", "--at", "w=foo,x=1"], "'foo'"),
        (["w*x", "--at", "w=1"], "no value for x"),
        (["w*x", "--wrt", "z"], "'z'"),
        (["w*x", "--mistake", "nope"], "nope"),
        (["w*", "--at", "w=1"], "not a formula"),
        (["w*x", "--html", "no/such/folder.html"], "No such file"),
    ],
)
def test_what_cannot_be_explained(run, arguments, message):
    code, out, err = run("explain", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("wengert: ")
    assert message in err
    assert "Traceback" not in err


def test_named_parts_are_read_by_every_command(capsys, tmp_path):
    parts = "c = a + b; e = c*c; e*2"
    assert main(["grad", parts, "--at", "a=1,b=2"]) == 0
    said = capsys.readouterr().out
    assert "f = (a + b)*(a + b)*2\n" in said
    assert "df/da = 12\n" in said
    out = tmp_path / "m.py"
    assert main(["export", parts, "--at", "a=1", "--out", str(out)]) == 0
    assert main(["draw", parts, "--out", str(tmp_path / "m.dot")]) == 0
    assert main(["verify", parts]) == 0


def test_verify_says_what_was_checked(capsys):
    assert main(["verify", "tanh(w*x + b)", "--wrt", "w", "--at", "x=2"]) == 0
    said = capsys.readouterr().out
    assert "sympy" in said
    assert main(["verify", "tanh(w*"]) == 2
