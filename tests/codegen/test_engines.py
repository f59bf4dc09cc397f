"""Targets whose arrays belong to an engine: jax and torch, the same numbers as the interpreter."""

import math
import random
import re

import numpy as np
import pytest

import wengert as wg
from wengert.codegen.calls import called
from wengert.codegen.engines import jaxtarget, torchtarget
from wengert.codegen.program import flatten
from wengert.codegen.target import find_target
from wengert.ops.scalar import ELEMENTWISE, TOTAL
from wengert.testing import EXTREMES, ArraySketch, same

ENGINES = ("jax", "torch")
each_engine = pytest.mark.parametrize("engine", ENGINES)

# XLA on a processor takes numbers below 2.2e-308 for 0, so they are not among what it is tried on.
ORDINARY = [x for x in EXTREMES if not 0.0 < abs(x) < 1e-290 and abs(x) < 1e306]

ULPS = {"lgamma": 2e4, "digamma": 1e3, "log1p": 200, "atanh": 200}
"""Where an engine's own function has fewer digits: near zeros, above all."""


@pytest.fixture(autouse=True)
def installed(request):
    if "engine" in request.fixturenames:
        pytest.importorskip(request.getfixturevalue("engine"), exc_type=ImportError)


def compiled(inputs, outputs, engine, **options):
    f = wg.compile(inputs, outputs, target=engine, **options)
    return lambda *arguments: called(f, arguments), f


def notebook():
    """A small network from scalars, its loss and gradient."""
    net = wg.MLP(3, [4, 4, 1], seed=0)
    g = wg.Graph()
    x, y = g.inputs("x", 3), g.input("y")
    loss = (net(x) - y) ** 2
    inputs = {"params": net.parameters(), "x": x, "y": y}
    outputs = {"loss": loss, "grad": wg.grad(loss, net.parameters())}
    draw = np.random.default_rng(0)
    given = [p.data for p in net.parameters()], draw.normal(size=(5, 3)), draw.normal(size=5)
    return inputs, outputs, given


def all_at_once(engine, cases, points):
    """What each of some operations, with static arguments, gives at its own points."""
    g = wg.Graph()
    inputs = {f"x{k}": g.inputs(f"x{k}_", op.arity) for k, (op, _) in enumerate(cases)}
    outputs = [op(*inputs[f"x{k}"], *statics) for k, (op, statics) in enumerate(cases)]
    f, _ = compiled(
        inputs, {str(k): y for k, y in enumerate(outputs)}, engine, batch=list(inputs), reduce=None
    )
    found = f(*map(np.array, points))
    return [found[str(k)].tolist() for k in range(len(cases))]


@each_engine
def test_every_operation_gives_what_the_interpreter_gives(engine):
    draw = random.Random(1)
    cases = [(op, s) for op in ELEMENTWISE.values() if op is not TOTAL for s in op.settings]
    points = [
        [tuple(draw.uniform(*pair) for pair in op.domain) for _ in range(40)] for op, _ in cases
    ]
    for (op, statics), where, found in zip(
        cases, points, all_at_once(engine, cases, points), strict=True
    ):
        for point, got in zip(where, found, strict=True):
            wanted = op.evaluate(*point, *statics)
            close = ULPS.get(op.name, 16) * math.ulp(wanted)
            assert got == pytest.approx(wanted, rel=0, abs=close), (op, point, statics)


@each_engine
def test_extremes_are_those_of_ieee(engine):
    names = "exp log sqrt tanh sigmoid relu sign where mul div elu softplus abs floor".split()
    cases = [(ELEMENTWISE[name], ELEMENTWISE[name].settings[0]) for name in names]
    points = [[(x,) * op.arity for x in ORDINARY] for op, _ in cases]
    for (op, statics), where, found in zip(
        cases, points, all_at_once(engine, cases, points), strict=True
    ):
        for point, got in zip(where, found, strict=True):
            wanted = op.evaluate(*point, *statics)
            near = math.isfinite(wanted) and abs(got - wanted) <= 64 * math.ulp(wanted)
            assert near or same(got, wanted), (op, point)


@each_engine
def test_a_network_from_scalars_is_written_as_one_would(engine):
    inputs, outputs, given = notebook()
    f, made = compiled(inputs, outputs, engine, batch=("x", "y"))
    wanted = wg.compile(inputs, outputs, target="numpy", batch=("x", "y"))(*given)
    found = f(*given)
    assert list(found) == ["loss", "grad"]
    np.testing.assert_allclose(found["grad"], wanted["grad"], rtol=1e-13)
    assert float(found["loss"]) == pytest.approx(wanted["loss"], rel=1e-14)
    assert "h1 @ params[36:40]" in made.source
    assert "dn1.T @ h0" in made.source
    assert "einsum" not in made.source
    assert "np." not in re.sub(r"\bjnp\.", "", made.source)


@each_engine
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numbers_are_of_the_type_that_is_asked_for(engine, dtype):
    inputs, outputs, given = notebook()
    f, _ = compiled(inputs, outputs, engine, batch=("x", "y"), dtype=dtype)
    wanted = wg.compile(inputs, outputs, target="numpy", batch=("x", "y"))(*given)
    found = f(*given)
    assert {str(found["loss"].dtype), str(found["grad"].dtype)} == {dtype}
    close = 1e-13 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(found["grad"], wanted["grad"], rtol=close, atol=close)


@each_engine
@pytest.mark.parametrize("seed", [2, 5])
def test_random_functions_of_arrays(engine, seed):
    sketch = ArraySketch(seed).build()
    outputs = [sketch.array, *wg.grad(sketch.number, sketch.leaves, allow_unused=True)]
    draw = np.random.default_rng(seed)
    given = [
        draw.uniform(0.3, 2.0, (len(leaf),) if isinstance(leaf, list) else leaf.shape)
        for leaf in sketch.arguments.values()
    ]
    f, _ = compiled(sketch.arguments, outputs, engine)
    wanted = wg.compile(sketch.arguments, outputs, target="numpy")(*given)
    for got, expected in zip(f(*given), wanted, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


@each_engine
def test_slices_of_any_step_and_extremes(engine):
    g = wg.Graph()
    a, b = g.array("a", (4, 6)), g.array("b", (6, 3))
    outputs = {
        "product": (a[:, ::-1] @ b)[1:, 0],
        "flipped": a[::-1, ::-2] * 2.0,
        "last": a[-1, 4::-3] + b[0, 0],
        "sums": a.T[::2, 1:].sum(0),
        "largest": [a.max(), a.max(1)[2], b.min()],
        "back": wg.grad((a[:, ::-1] @ b).max(), a),
        "new": a[:, None, 2] * b[None, 1],
    }
    draw = np.random.default_rng(2)
    given = draw.normal(size=(4, 6)), draw.normal(size=(6, 3))
    f, _ = compiled({"a": a, "b": b}, outputs, engine)
    found, wanted = f(*given), wg.compile({"a": a, "b": b}, outputs, target="numpy")(*given)
    for key, expected in wanted.items():
        np.testing.assert_allclose(found[key], expected, rtol=1e-13, err_msg=key)


@each_engine
@pytest.mark.parametrize("reduce", ["sum", "mean", None])
def test_a_batch_is_reduced_or_stacked(engine, reduce):
    g = wg.Graph()
    w, x = g.inputs("w", 2), g.inputs("x", 2)
    y = w[0] * x[0] + wg.exp(w[1] * x[1])
    outputs = {"y": y, "both": [y, x[0]], "w": w[0] * 2}
    inputs, given = {"w": w, "x": x}, ([0.5, -1.0], [[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]])
    f, _ = compiled(inputs, outputs, engine, batch="x", reduce=reduce)
    wanted = wg.compile(inputs, outputs, target="numpy", batch="x", reduce=reduce)(*given)
    found = f(*given)
    for key, expected in wanted.items():
        np.testing.assert_allclose(found[key], expected, rtol=1e-14)


@each_engine
@pytest.mark.parametrize("tokens", [(0, 1, 2, 3), (1, 4, 4, 0)])
def test_causal_attention(engine, tokens):
    leaves, outputs = attention(tokens)
    f, made = compiled(leaves, outputs, engine)
    draw = np.random.default_rng(3)
    given = [draw.normal(size=len(group)) for group in leaves.values()]
    wanted = wg.compile(leaves, outputs, target="numpy")(*given)
    np.testing.assert_allclose(f(*given)["grad"], wanted["grad"], rtol=1e-11, atol=1e-14)
    if tokens == (0, 1, 2, 3):  # the mask is counted, not listed
        assert "np.arange(4)" in made.source
        assert "True" not in made.source


def attention(tokens):
    """One head of causal attention over rows that are picked from a table, scalar by scalar."""
    g = wg.Graph()
    table = [[g.input(f"t{i}_{j}") for j in range(3)] for i in range(5)]
    key = [[g.input(f"k{i}_{j}") for j in range(3)] for i in range(3)]
    rows = [table[token] for token in tokens]
    keys = [[dot(line, row) for line in key] for row in rows]
    loss = 0.0
    for p, row in enumerate(rows):
        weights = [wg.exp(dot(row, keys[t])) for t in range(p + 1)]
        for j in range(3):
            mixed = sum(w * rows[t][j] for t, w in enumerate(weights)) / sum(weights)
            loss = loss + mixed * mixed
    flat = [x for row in table for x in row]
    groups = {"table": flat, "key": [k for line in key for k in line]}
    return groups, {"loss": loss, "grad": wg.grad(loss, flat, allow_unused=True)}


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


@each_engine
def test_a_recurrent_cell_reads_what_was_written_before(engine):
    net, inputs, outputs = recurrent()
    given = [p.data for p in net], list(np.linspace(-1, 1, 6))
    f, _ = compiled(inputs, outputs, engine)
    wanted = wg.compile(inputs, outputs, target="python")(*map(list, given))
    np.testing.assert_allclose(f(*given)["grad"], wanted["grad"], rtol=1e-11)


def recurrent():
    """A cell of three units over six numbers."""
    draw = random.Random(4)
    net = [wg.Value(draw.uniform(-1, 1), label=f"p{i}") for i in range(15)]
    g = wg.Graph()
    xs = g.inputs("x", 6)
    h = [0.0, 0.0, 0.0]
    for x in xs:
        h = [
            wg.tanh(sum(net[3 * i + j] * h[j] for j in range(3)) + net[9 + i] * x + net[12 + i])
            for i in range(3)
        ]
    loss = h[0] * h[0] + h[1] * h[2]
    return net, {"params": net, "x": xs}, {"loss": loss, "grad": wg.grad(loss, net)}


@each_engine
def test_the_diagonal_of_a_triangle_is_written_apart_from_the_rest(engine):
    g = wg.Graph()
    x, y = g.inputs("x", 4), g.inputs("y", 4)
    t = [[wg.tanh(a * b) for b in y[: i + 1]] for i, a in enumerate(x)]
    loss = sum(wg.exp(t[i][j]) for i in range(4) for j in range(i))
    loss += sum(wg.sin(t[i][i]) for i in range(4))
    inputs, outputs = {"x": x, "y": y}, [loss, *wg.grad(loss, x + y)]
    given = [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]
    f, _ = compiled(inputs, outputs, engine)
    wanted = wg.compile(inputs, outputs, target="python")(*given)
    np.testing.assert_allclose(f(*map(np.array, given)), wanted, rtol=1e-11)


@each_engine
def test_wrong_shapes_are_refused_in_the_words_of_every_target(engine):
    inputs, outputs, (params, x, y) = notebook()
    f = wg.compile(inputs, outputs, target=engine, batch=("x", "y"))
    plain = wg.compile(inputs, outputs, target="numpy", batch=("x", "y"))
    with find_target(engine).computing():
        for wrong in ((params, x[:, :2], y), (params, x, y[:2])):
            with pytest.raises(wg.ShapeError) as said:
                f(*wrong)
            with pytest.raises(wg.ShapeError) as expected:
                plain(*wrong)
            assert str(said.value) == str(expected.value)


@each_engine
def test_complex_numbers_are_refused(engine):
    inputs, outputs, (params, x, _) = notebook()
    f = wg.compile(inputs, outputs, target=engine, batch=("x", "y"), dtype="float32")
    module = pytest.importorskip({"jax": "jax.numpy"}.get(engine, engine))
    with pytest.raises(
        wg.ShapeError, match=r"argument 'y' is an array of .*complex64; expected real"
    ):
        f(params, x, module.ones(5, dtype=module.complex64))


@each_engine
def test_it_is_verified_like_other_targets(engine):
    inputs, outputs, _ = notebook()
    f = wg.compile(inputs, outputs, target=engine, batch=("x", "y"))
    found = f.verify()
    assert found, str(found)
    methods = {check.method for check in found}
    assert {
        f"{engine} against the interpreter",
        f"{engine}, a batch, against the interpreter",
    } <= methods
    assert next(iter(found)).error < 1e-7  # that of float64 where tanh is nearly 1


@each_engine
def test_nobody_runs_an_engine_that_was_not_asked_for(engine):
    g = wg.Graph()
    x = g.input("x")
    found = wg.verify(x * x, x)
    assert not any(engine in check.method for check in found)
    assert found.not_run == ()
    assert any(engine in check.method for check in wg.verify(x * x, x, target=engine))


@each_engine
def test_it_trains_to_the_numbers_of_numpy(engine):
    draw = np.random.default_rng(0)
    X = draw.normal(size=(20, 3))
    Y = np.sin(X.sum(1))
    losses = {}
    for target in ("numpy", engine):
        net = wg.MLP(3, [4, 1], seed=0)
        history = wg.fit(net, X, Y, epochs=4, batch_size=8, optimizer=wg.Adam(0.01), target=target)
        losses[target] = history.loss
        assert history.target == target
    np.testing.assert_allclose(losses[engine], losses["numpy"], rtol=1e-11)


@each_engine
def test_a_traced_function_runs_on_it(engine):
    w = wg.Value(0.5)

    @wg.function(target=engine)
    def f(x):
        return wg.tanh(w * x) + w

    y = f(0.3)
    y.backward()
    assert y.data == pytest.approx(math.tanh(0.15) + 0.5, rel=1e-15)
    assert w.grad == pytest.approx(0.3 * (1 - math.tanh(0.15) ** 2) + 1, rel=1e-14)


@each_engine
def test_an_operation_of_ones_own_is_written_as_its_record_has_it_for_numpy(engine):
    op = wg.Op(
        name="shifted",
        arity=1,
        evaluate=lambda x: math.exp(x - 0.5),
        sympy=lambda sp, x: sp.exp(x - sp.Rational(1, 2)),
        vjp=(lambda ct, out, x: ct * out,),
        notation={"text": wg.ops.call("shifted"), "numpy": wg.ops.call("np.exp", "{0} - 0.5")},
        sentence="",
        domain=((-1.0, 1.0),),
    )
    g = wg.Graph()
    x = g.inputs("x", 2)
    y = op(x[0]) * x[1]
    f, made = compiled({"x": x}, y, engine)
    module = {"jax": "jnp", "torch": "torch"}[engine]
    assert f"{module}.exp(x[0] - 0.5)" in made.source
    assert float(f([0.3, 2.0])) == pytest.approx(2 * math.exp(-0.2))


@each_engine
def test_an_operation_without_a_spelling_says_which_line_is_lacking(engine):
    op = wg.Op(
        name="strange",
        arity=1,
        evaluate=lambda x: x,
        sympy=lambda sp, x: x,
        vjp=(lambda ct, out, x: ct,),
        notation={"numpy": wg.ops.call("np.no_such_function")} if engine == "torch" else {},
        sentence="",
    )
    g = wg.Graph()
    x = g.input("x")
    with pytest.raises(wg.SpellingError, match=f'"{engine}": call'):
        wg.compile({"x": x}, op(x), target=engine)


@pytest.mark.parametrize(("engine", "module"), [("jax", jaxtarget), ("torch", torchtarget)])
def test_a_missing_engine_says_what_to_install(engine, module, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, engine, None)
    g = wg.Graph()
    x = g.input("x")
    with pytest.raises(wg.MissingExtraError, match=rf"pip install 'wengert\[{engine}\]'"):
        wg.compile({"x": x}, x * 2, target=engine)


@pytest.mark.parametrize("target", ["numpy", "native", *ENGINES])
def test_what_is_infinite_in_float32_stays_so_without_a_warning(target):
    pytest.importorskip({"native": "llvmlite"}.get(target, target), exc_type=ImportError)
    g = wg.Graph()
    a = g.array("a", (3,))
    f = wg.compile({"a": a}, wg.arrays.logsumexp(a), target=target, dtype="float32")
    found = [float(called(f, [row])) for row in ([-math.inf] * 3, [math.inf, 1, 2], [1, 2, 1e6])]
    assert found == [-math.inf, math.inf, 1e6]


@each_engine
def test_numbers_too_large_for_float32_are_infinite_in_it(engine):
    g = wg.Graph()
    x = g.inputs("x", 2)
    outputs = {"some": wg.minimum(x[0], 1e300), "none": wg.maximum(x[1], -3.5e38), "all": x[0] * 0}
    outputs["all"] += g.constant(-1e39)
    f, _ = compiled({"x": x}, outputs, engine, dtype="float32")
    found = f([2.0, 3.0])
    assert [float(y) for y in found.values()] == [2.0, 3.0, -math.inf]


@each_engine
def test_a_number_for_each_sample_is_filled_in_at_once(engine):
    g = wg.Graph()
    x = g.inputs("x", 2)
    f = wg.compile({"x": x}, [x[0], g.constant(2.0)], target=engine, batch="x", reduce=None)
    assert "full((len(x),), 2.0" in f.source or "full((1, len(x)), 2.0" in f.source
    assert "broadcast_to" not in f.source


@each_engine
def test_a_condition_that_is_a_number_is_one(engine):
    g = wg.Graph()
    x = g.inputs("x", 2)
    outputs = [wg.logical_and(x[0], 2.0), wg.logical_or(0.0, x[1]), wg.logical_not(x[1])]
    f, _ = compiled({"x": x}, outputs, engine, name="conditions")
    assert [float(y) for y in f([3.0, 0.0])] == [1.0, 0.0, 1.0]


# What an engine's own tools do with the functions.


def test_float64_where_jax_makes_float32_of_it_is_refused_by_name():
    jax = pytest.importorskip("jax", exc_type=ImportError)
    g = wg.Graph()
    x = g.input("x")
    f = wg.compile({"x": x}, x * x, target="jax")
    with jax.enable_x64(False), pytest.raises(wg.SettingError, match="jax_enable_x64"):
        f(2.0)
    assert float(wg.compile({"x": x}, x * x, target="jax", dtype="float32")(2.0)) == 4.0


def test_jax_may_be_set_to_float64_between_calls_of_a_function_of_float32():
    jax = pytest.importorskip("jax", exc_type=ImportError)
    inputs, outputs = attention((1, 4, 4, 0))
    f = wg.compile(inputs, outputs, target="jax", dtype="float32")
    given = [np.linspace(-1, 1, len(group)) for group in inputs.values()]
    found = []
    for setting in (False, True, False):
        with jax.enable_x64(setting):
            found.append(f(*given)["grad"])
    assert {str(gradient.dtype) for gradient in found} == {"float32"}
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_jax_computes_where_the_arguments_lie_and_moves_nothing():
    jax = pytest.importorskip("jax", exc_type=ImportError)
    for inputs, outputs, options in on_devices()[1::3]:
        f = wg.compile(inputs, outputs, target="jax", **options)
        given = [np.full(shape, 0.5) for shape in sized(f)]
        wanted = dict(flatten(wg.compile(inputs, outputs, target="numpy", **options)(*given)))
        with jax.enable_x64(True):
            held = list(map(jax.numpy.array, given))
            with jax.transfer_guard("disallow"):
                found = dict(flatten(f(*held)))
        for path, one in wanted.items():
            np.testing.assert_allclose(found[path], one, rtol=1e-13, err_msg=f.source)


def test_jax_differentiates_maps_and_compiles_it():
    jax = pytest.importorskip("jax", exc_type=ImportError)
    inputs, outputs, (params, x, y) = notebook()
    f = wg.compile(inputs, outputs, target="jax", batch=("x", "y"))
    with jax.enable_x64(True):
        params = jax.numpy.array(params)
        ours = f(params, x, y)["grad"]
        theirs = jax.grad(lambda p: f(p, x, y)["loss"])(params)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)
        step = jax.jit(lambda p: p - 0.1 * f(p, x, y)["grad"], donate_argnums=0)
        np.testing.assert_allclose(step(params + 0), params - 0.1 * ours, rtol=1e-12)
        several = jax.vmap(lambda p: f(p, x, y)["loss"])(jax.numpy.stack([params, 2 * params]))
        assert float(several[1]) == pytest.approx(float(f(2 * params, x, y)["loss"]), rel=1e-13)


def test_torch_shares_memory_with_what_comes_in_and_records_nothing():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    inputs, outputs, (params, x, y) = notebook()
    f = wg.compile(inputs, outputs, target="torch", batch=("x", "y"))
    x = np.asarray(x)
    given = torch.tensor(params, dtype=torch.float64, requires_grad=True)
    prepared = torchtarget.prepare(f.program)((given, x, y))
    assert prepared[0] is given
    assert prepared[1].data_ptr() == x.ctypes.data
    found = f(given, x, y)
    assert not found["loss"].requires_grad
    assert np.from_dlpack(found["grad"]).ctypes.data == found["grad"].data_ptr()


def test_torch_results_are_not_the_arguments():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    g = wg.Graph()
    x = g.array("x", (3,))
    f = wg.compile({"x": x}, {"same": x, "part": x[1:]}, target="torch")
    given = torch.ones(3, dtype=torch.float64)
    found = f(given)
    found["same"][1] = found["part"][0] = 7.0
    assert given.tolist() == [1.0, 1.0, 1.0]


def on_devices():
    """Functions with what an engine makes arrays of: masks, places, numbers, counts of samples."""
    inputs, outputs, _ = notebook()
    g = wg.Graph()
    x, w = g.inputs("x", 2), g.inputs("w", 2)
    largest = wg.maximum(x[0] * w[0], 0.5)
    numbers = {"same": g.constant(2.0), "list": [g.constant(1.0), w[0]], "largest": largest}
    a = g.array("a", (3, 4))
    arrays = {"y": wg.relu(a[:, ::-1]) @ a.T, "slope": wg.grad(a.max(), a), "fixed": 0.0 * a[0]}
    return [
        (inputs, outputs, {"batch": ("x", "y"), "reduce": "mean"}),
        ({"x": x, "w": w}, numbers, {"batch": "x"}),
        ({"x": x, "w": w}, numbers, {"batch": "x", "reduce": None, "dtype": "float32"}),
        ({"a": a}, arrays, {}),
        *[(*attention(tokens), {}) for tokens in [(0, 1, 2, 3), (1, 4, 4, 0)]],
        (*recurrent()[1:], {}),
    ]


def sized(f):
    """The shapes of its arguments, with five samples."""
    return [tuple(5 if n < 0 else n for n in group.whole) for group in f.program.groups]


def test_torch_computes_where_the_arguments_lie():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    from torch._subclasses import FakeTensorMode

    for inputs, outputs, options in on_devices():
        f = wg.compile(inputs, outputs, target="torch", **options)
        dtype = getattr(torch, f.program.dtype)
        with FakeTensorMode(allow_non_fake_inputs=True):  # a GPU as far as devices are checked
            found = f(*[torch.empty(shape, dtype=dtype, device="cuda") for shape in sized(f)])
        kinds = {(one.device.type, one.dtype) for _, one in flatten(found)}
        assert kinds == {("cuda", dtype)}, f.source
        with torch.device("meta"):  # where arrays go that are made nowhere in particular
            found = f(*[np.full(shape, 0.5) for shape in sized(f)])
        assert {one.device.type for _, one in flatten(found)} == {"cpu"}, f.source


def test_torch_differentiates_where_the_arguments_lie():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    inputs, outputs, _ = notebook()
    f = wg.compile(inputs, outputs, target="torch", batch=("x", "y"))
    given = [torch.empty(shape, dtype=torch.float64, device="meta") for shape in sized(f)]
    f.autograd()(given[0].requires_grad_(), *given[1:]).backward()
    assert given[0].grad.device.type == "meta"


def test_torch_differentiates_by_our_gradient():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    inputs, outputs, (params, x, y) = notebook()
    f = wg.compile(inputs, outputs, target="torch", batch=("x", "y"))
    given = torch.tensor(params, dtype=torch.float64, requires_grad=True)
    loss = f.autograd()(given, torch.as_tensor(x), torch.as_tensor(y))
    (3.0 * loss).backward()
    np.testing.assert_allclose(given.grad, 3.0 * f(given, x, y)["grad"], rtol=1e-13)
    data = torch.tensor(x, requires_grad=True)
    with pytest.raises(wg.SettingError, match=r"wengert.grad\(output, x\)"):
        f.autograd()(given, data, torch.as_tensor(y))


def test_jax_differentiates_by_our_gradient():
    jax = pytest.importorskip("jax", exc_type=ImportError)
    inputs, outputs, (params, x, y) = notebook()
    f = wg.compile(inputs, outputs, target="jax", batch=("x", "y"))
    with jax.enable_x64(True):
        loss = f.autograd()
        found = jax.grad(lambda p: 3.0 * loss(p, x, y))(jax.numpy.array(params))
        np.testing.assert_allclose(found, 3.0 * f(params, x, y)["grad"], rtol=1e-13)
        with pytest.raises(wg.SettingError, match=r"wengert.grad\(output, x\)"):
            jax.grad(lambda data: loss(jax.numpy.array(params), data, y))(jax.numpy.array(x))


def test_autograd_needs_an_engine_and_a_gradient():
    pytest.importorskip("jax", exc_type=ImportError)
    g = wg.Graph()
    x = g.input("x")
    with pytest.raises(wg.SettingError, match="target='torch'"):
        wg.compile({"x": x}, x * x).autograd()
    with pytest.raises(wg.SettingError, match="of: none"):
        wg.compile({"x": x}, {"y": x * x}, target="jax").autograd()


@each_engine
@pytest.mark.parametrize("reduce", ["sum", "mean", None])
def test_a_hessian_of_which_few_elements_depend_on_the_samples(engine, reduce):
    g = wg.Graph()
    p, x = g.inputs("p", 3), g.input("x")
    gate = wg.where(x > 0, wg.relu(p[1]), 1.0)
    slopes = wg.grad(0.5 * gate + 0.1 * sum(q * q for q in p), p)
    outputs = [*slopes, *[s for d in slopes for s in wg.grad(d, p, allow_unused=True)]]
    given = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.4, 0.5])
    f, _ = compiled({"x": x, "p": p}, outputs, engine, batch="x", reduce=reduce)
    like = wg.compile({"x": x, "p": p}, outputs, batch="x", reduce=reduce)
    expected = like(*[part.tolist() for part in given])
    np.testing.assert_allclose(np.array([*map(np.asarray, f(*given))]), expected, rtol=1e-14)
