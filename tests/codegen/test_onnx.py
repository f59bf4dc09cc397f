"""Functions as ONNX models: what a runtime computes from the file, in double."""

import sys

import numpy as np
import pytest

import wengert as wg
from wengert.ops.scalar import ELEMENTWISE


@pytest.fixture
def run(tmp_path):
    """A function's model, run by onnxruntime on arguments by name."""
    pytest.importorskip("onnx", exc_type=ImportError)
    runtime = pytest.importorskip("onnxruntime", exc_type=ImportError)

    def run(f, **arguments):
        path = f.save(tmp_path / "model.onnx")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, arguments), strict=True))

    return run


def network(**options):
    net = wg.MLP(3, [4, 4, 1], seed=0)
    g = wg.Graph()
    x, y = g.inputs("x", 3), g.input("y")
    loss = (net(x) - y) ** 2
    inputs = {"params": net.parameters(), "x": x, "y": y}
    outputs = {"loss": loss, "grad": wg.grad(loss, net.parameters())}
    return net, wg.compile(inputs, outputs, target="numpy", batch=("x", "y"), **options)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("samples", [1, 5])
def test_a_network_and_its_gradient(run, dtype, samples):
    net, f = network(dtype=dtype)
    draw = np.random.default_rng(0)
    params = np.array([p.data for p in net.parameters()], dtype)
    x, y = draw.normal(size=(samples, 3)).astype(dtype), draw.normal(size=samples).astype(dtype)
    found, wanted = run(f, params=params, x=x, y=y), f(params, x, y)
    close = 1e-13 if dtype == "float64" else 1e-5
    assert found["grad"].dtype == dtype
    np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=close)
    np.testing.assert_allclose(found["grad"], wanted["grad"], rtol=close, atol=close)


def test_the_file_says_its_opset_and_is_the_same_each_time(tmp_path):
    onnx = pytest.importorskip("onnx", exc_type=ImportError)
    _, f = network()
    one, other = f.save(tmp_path / "a.onnx"), f.save(tmp_path / "b.onnx")
    assert one.read_bytes() == other.read_bytes()
    model = onnx.load(one)
    assert [opset.version for opset in model.opset_import] == [18]
    onnx.checker.check_model(model, full_check=True)


DOUBLE = (
    "add sub mul div neg pow_const pow exp log log1p sqrt sin cos tanh sigmoid relu leaky_relu abs "
    "maximum minimum lt le gt ge eq ne where sign floor ceil mod clip logical_and logical_or "
    "logical_not logical_xor expm1 tan softsign hard_tanh hard_sigmoid hypot log2 log10 exp2 cbrt "
    "elu logaddexp stop_gradient"
).split()
"""The operations that onnxruntime computes in double."""


@pytest.mark.parametrize("name", DOUBLE)
def test_operations_in_double(run, name):
    op = ELEMENTWISE[name]
    draw = np.random.default_rng(1)
    for statics in op.settings:
        g = wg.Graph()
        xs = g.inputs("x", op.arity)
        f = wg.compile({"x": xs}, op(*xs, *statics), target="numpy", batch="x", reduce=None)
        points = np.column_stack([draw.uniform(*pair, 30) for pair in op.domain])
        wanted = [op.evaluate(*point, *statics) for point in points.tolist()]
        found = run(f, x=points)["output"]
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)


def test_arrays_slices_and_masks(run):
    g = wg.Graph()
    a, b = g.array("a", (4, 6)), g.array("b", (6, 3))
    y = (a[:, ::-1] @ b)[1:, 0] + wg.exp(a[1:, 2]) * a.T[::2, 1:].sum(0) + a.max()
    inputs, outputs = {"a": a, "b": b}, {"y": y, "da": wg.grad(y.sum(), a), "c": [a[0, 0], a[1, 1]]}
    f = wg.compile(inputs, outputs, target="numpy")
    draw = np.random.default_rng(2)
    given = {"a": draw.normal(size=(4, 6)), "b": draw.normal(size=(6, 3))}
    found, wanted = run(f, **given), f(**given)
    np.testing.assert_allclose(found["y"], wanted["y"], rtol=1e-13)
    np.testing.assert_allclose(found["da"], wanted["da"], rtol=1e-13)


def test_what_it_needs_and_lacks_is_said(tmp_path, monkeypatch):
    g = wg.Graph()
    x = g.input("x")
    f = wg.compile({"x": x}, wg.digamma(x), target="numpy")
    if "onnx" in sys.modules:
        with pytest.raises(wg.SpellingError, match=r'"onnx": call\("digamma"'):
            f.save(tmp_path / "f.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(wg.MissingExtraError, match=r"pip install 'wengert\[onnx\]'"):
        f.save(tmp_path / "f.onnx")
    assert not (tmp_path / "f.onnx").exists()
