"""Neurons, layers, perceptrons; how they are initialised, labelled, saved and loaded."""

import json
import math
import os
import random
import stat
import statistics

import numpy
import pytest
import sympy

from wengert.errors import OperandError, SaveFileError, SettingError, ShapeError, UnknownNameError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Expr, Graph
from wengert.graph.value import Value
from wengert.ops import scalar as ops
from wengert.train.nn import ACTIVATIONS, MLP, Layer, Neuron, load

PLAIN = {
    "tanh": math.tanh,
    "relu": lambda x: max(0.0, x),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "sin": math.sin,
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "linear": lambda x: x,
}


def test_a_neuron_is_its_activation_of_a_weighted_sum():
    neuron = Neuron(2, "sigmoid")
    neuron.w[0].data, neuron.w[1].data, neuron.b.data = 0.5, -2.0, 0.25
    out = neuron([3.0, 1.0])
    assert out.data == pytest.approx(1 / (1 + math.exp(0.25)))
    out.backward()
    slope = out.data * (1 - out.data)
    assert [p.grad for p in neuron.parameters()] == pytest.approx([3 * slope, slope, slope])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name):
    neuron = Neuron(1, name)
    neuron.w[0].data = 1.0
    for x in (-1.5, 0.75):
        assert neuron([x]).data == pytest.approx(PLAIN[name](x), rel=1e-12)


def test_repr_tells_the_activation():
    assert repr(MLP(2, [2, 1])) == (
        "MLP of [Layer of [TanhNeuron(2), TanhNeuron(2)], Layer of [TanhNeuron(2)]]"
    )
    assert repr(Neuron(4, nonlin=False)) == "LinearNeuron(4)"
    titles = [repr(Neuron(1, name)) for name in ACTIVATIONS]
    assert "ReLUNeuron(1)" in titles
    assert len(set(titles)) == len(titles)


def test_nonlin_as_in_the_notebook():
    assert Neuron(2, nonlin=True).activation == "tanh"
    assert Neuron(2, False).activation == "linear"
    assert Neuron(2, True).nonlin
    assert not Layer(2, 1, nonlin=False).neurons[0].nonlin


def test_activations_by_layer():
    net = MLP(2, [3, 2, 1], activation=["relu", "sin", "linear"])
    assert [layer.neurons[-1].activation for layer in net.layers] == ["relu", "sin", "linear"]
    with pytest.raises(ShapeError, match="activations: 2 for 3 layers"):
        MLP(2, [3, 2, 1], activation=["relu", "sin"])
    with pytest.raises(UnknownNameError, match=r"'tnah'; did you mean 'tanh'\?.*sigmoid"):
        MLP(2, [3, 2, 1], activation=["relu", "tnah", "sin"])


def test_parameters_come_layer_by_layer_weights_before_bias():
    net = MLP(2, [2, 1])
    labels = [p.label for p in net.parameters()]
    assert labels == [
        "w0_0_0",
        "w0_0_1",
        "b0_0",
        "w0_1_0",
        "w0_1_1",
        "b0_1",
        "w1_0_0",
        "w1_0_1",
        "b1_0",
    ]
    assert net.parameters()[4] is net.layers[0].neurons[1].w[1]
    assert [p.label for p in Layer(1, 2).parameters()] == ["w0_0", "b0", "w1_0", "b1"]
    assert [p.label for p in Neuron(2).parameters()] == ["w0", "w1", "b"]
    assert net.sizes == [2, 2, 1]


def test_biases_start_as_the_notebook_prints_them():
    assert repr(MLP(2, [1]).layers[0].neurons[0].b) == "Value(data=0, grad=0.0)"


def test_without_a_seed_weights_come_from_the_global_generator_in_the_notebook_order():
    random.seed(1)
    expected = [random.uniform(-1, 1) for _ in range(2 * 3 + 3 * 1)]
    random.seed(1)
    net = MLP(2, [3, 1])
    weights = [w.data for layer in net.layers for neuron in layer.neurons for w in neuron.w]
    assert weights == expected


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator_alone():
    random.seed(5)
    before = random.getstate()
    first, second, other = (MLP(2, [3, 1], seed=seed) for seed in (7, 7, 8))
    assert random.getstate() == before
    numbers = [[p.data for p in net.parameters()] for net in (first, second, other)]
    assert numbers[0] == numbers[1] != numbers[2]
    neurons = first.layers[0].neurons
    assert neurons[0].w[0].data != neurons[1].w[0].data
    square = MLP(2, [2, 2], seed=7)
    weights = [w.data for layer in square.layers for neuron in layer.neurons for w in neuron.w]
    assert len(set(weights)) == 8


@pytest.mark.parametrize(
    ("init", "spread", "bound"),
    [
        ("uniform", 1 / math.sqrt(3), 1.0),
        ("xavier", math.sqrt(2 / 140), math.sqrt(6 / 140)),
        ("he", math.sqrt(2 / 100), math.inf),
    ],
)
def test_initialisers_have_the_spread_of_their_papers(init, spread, bound):
    weights = [w.data for neuron in Layer(100, 40, init=init, seed=3).neurons for w in neuron.w]
    assert statistics.pstdev(weights) == pytest.approx(spread, rel=0.05)
    assert statistics.fmean(weights) == pytest.approx(0, abs=0.05 * spread)
    assert max(map(abs, weights)) < bound
    assert max(map(abs, weights)) > (3 * spread if bound == math.inf else 0.99 * bound)


def test_unknown_initialiser():
    with pytest.raises(UnknownNameError, match="unknown init 'xaviar'; did you mean 'xavier'"):
        MLP(2, [1], init="xaviar")


@pytest.mark.parametrize("make", [lambda: MLP(2, [4, 1]), lambda: Layer(2, 3), lambda: Neuron(2)])
@pytest.mark.parametrize("row", [[2.0, 3.0, -1.0], [2.0], []])
def test_a_row_of_the_wrong_width_is_an_error(make, row):
    with pytest.raises(ShapeError, match=rf"row of {len(row)} .* 2 inputs.*give 2 numbers"):
        make()(row)


def test_the_notebook_row_of_three_names_what_to_do():
    with pytest.raises(ShapeError, match=r"not silently dropped.*build MLP with nin=3"):
        MLP(2, [4, 4, 1])([2.0, 3.0, -1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, [1]), "nin.* is 0"),
        ((2, []), r"got \[\]"),
        ((2, 3), "got 3"),
        ((2, [4, 0]), "width of layer 1 is 0"),
        ((2, [True]), "width of layer 0 is True"),
        ((2.5, [1]), "nin.* is 2.5"),
    ],
)
def test_sizes_that_are_none(arguments, message):
    with pytest.raises(ShapeError, match=message):
        MLP(*arguments)


def test_layers_of_one_neuron_feed_the_next():
    net = MLP(1, [1, 1, 2], seed=0)
    assert [isinstance(out, Value) for out in net([0.5])] == [True, True]
    assert net(0.5)[0].data == net([0.5])[0].data


def test_rows_of_any_kind():
    numpy = pytest.importorskip("numpy")
    net = MLP(2, [3, 1], seed=0)
    expected = net([1.0, 2.0]).data
    assert net((1.0, 2.0)).data == expected
    assert net(numpy.array([1.0, 2.0])).data == expected
    assert net(x for x in (1.0, 2.0)).data == expected
    assert net([numpy.array(1.0), numpy.array(2.0)]).data == expected
    assert MLP(1, [1], seed=0)(numpy.array(2.0)).data == MLP(1, [1], seed=0)([2.0]).data
    assert net([Value(1.0), 2]).data == expected


def test_values_exprs_and_sympy_agree():
    net = MLP(2, [3, 2], activation=["gelu", "silu"], seed=0)
    eager = [out.data for out in net([0.3, -0.7])]
    graph = Graph()
    x = graph.inputs("x", 2)
    exprs = net(x)
    assert all(isinstance(out, Expr) for out in exprs)
    assert evaluate(exprs, dict(zip(x, [0.3, -0.7], strict=True))) == pytest.approx(
        eager, rel=1e-14
    )
    a, b = sympy.symbols("a b", real=True)
    numbers = {p.label: p.data for p in net.parameters()} | {"a": 0.3, "b": -0.7}
    for out, expected in zip(net([a, b]), eager, strict=True):
        exact = out.subs({s: numbers[s.name] for s in out.free_symbols})
        assert float(exact) == pytest.approx(expected, rel=1e-12)


def test_sums_and_outputs_are_labelled():
    graph = Graph()
    hidden = MLP(2, [2, 1], activation=["tanh", "linear"])
    out = hidden(graph.inputs("x", 2))
    assert out.label == "n1_0"
    labels = set(graph.labels.values())
    assert {"n0_0", "h0_0", "n0_1", "h0_1", "n1_0"} <= labels
    assert "h1_0" not in labels
    tanh = next(node for node in graph if node.label == "h0_1")
    assert tanh.op is ops.TANH
    assert tanh.operands[0].label == "n0_1"
    eager = hidden.layers[0].neurons[0]([1.0, 2.0])
    assert (eager.label, eager.operands[0].label) == ("h0_0", "n0_0")


def test_zero_grad():
    net = MLP(2, [2, 1], seed=0)
    net([1.0, 2.0]).backward()
    assert any(p.grad for p in net.parameters())
    net.zero_grad()
    assert [p.grad for p in net.parameters()] == [0.0] * 9


# Saving and loading


@pytest.fixture
def net():
    return MLP(3, [4, 2, 1], activation=["relu", "gelu", "linear"], seed=11)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.json"


def test_a_round_trip_is_exact(net, path):
    net.layers[0].neurons[0].w[0].data = 5e-324
    net.layers[0].neurons[0].w[1].data = 0.1 + 0.2
    net.layers[0].neurons[0].b.data = -0.0
    net.save(path)
    again = load(path)
    assert repr(again) == repr(net)
    assert again.sizes == [3, 4, 2, 1]
    for mine, theirs in zip(net.parameters(), again.parameters(), strict=True):
        assert (theirs.label, repr(theirs.data)) == (mine.label, repr(mine.data))
    again.save(path.with_name("again.json"))
    assert path.with_name("again.json").read_bytes() == path.read_bytes()


def test_neurons_of_one_layer_may_differ(net, path):
    net.layers[0].neurons[2].activation = "sin"
    net.save(path)
    assert repr(load(path)) == repr(net)


def test_loading_draws_no_random_numbers(net, path):
    net.save(path)
    random.seed(5)
    before = random.getstate()
    load(path)
    assert random.getstate() == before


def test_a_file_says_what_it_is(net, path):
    net.save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert (document["format"], document["version"]) == ("wengert.network", 1)
    assert document["sizes"] == [3, 4, 2, 1]


def test_every_truncation_is_an_error(net, path):
    net.save(path)
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(SaveFileError, match=r"net\.json.*truncated or not JSON"):
            load(path)


def altered(document, place, new):
    *before, last = place
    part = document
    for key in before:
        part = part[key]
    if new is KeyError:
        del part[last]
    else:
        part[last] = new
    return document


@pytest.mark.parametrize(
    ("place", "new", "message"),
    [
        (["format"], "other", "its \"format\" is not 'wengert.network' but 'other'"),
        (["format"], KeyError, "but None"),
        (["version"], 2, "schema version is 2, and this release reads 1"),
        (["version"], True, "schema version is True"),
        (["version"], "1", "schema version is '1'"),
        (["sizes"], KeyError, '"sizes" is None'),
        (["sizes"], [3], '"sizes" is'),
        (["sizes"], "3421", '"sizes" is'),
        (["sizes"], [3, 4.0, 2, 1], '"sizes" is'),
        (["sizes"], [3, 4, 2, 0], '"sizes" is'),
        (["sizes"], [3, 4, 2], '"layers" is a list of 3, not a list of 2'),
        (["sizes", 1], 10**9, "layer 0 is a list of 4, not a list of 1000000000"),
        (["layers"], KeyError, '"layers" is None'),
        (["layers", 1], {}, "layer 1 is {}"),
        (["layers", 1, 0], 3, "neuron 0 of layer 1 is 3, not an object"),
        (["layers", 1, 1, "activation"], "tnah", "neuron 1 of layer 1: unknown activation 'tnah'"),
        (["layers", 1, 1, "activation"], ["tanh"], "unknown activation"),
        (["layers", 0, 3, "w"], [1.0, 2.0], '"w" of neuron 3 of layer 0 is a list of 2'),
        (["layers", 0, 3, "w", 1], "0.5", "neuron 3 of layer 0 has '0.5'"),
        (["layers", 0, 3, "w", 1], True, "has True where a finite number"),
        (["layers", 0, 3, "w", 1], None, "has None"),
        (["layers", 0, 3, "b"], KeyError, "has None"),
        (["layers", 0, 3, "b"], 10**400, "where a finite number"),
    ],
)
def test_files_that_are_not_networks(net, path, place, new, message):
    net.save(path)
    document = altered(json.loads(path.read_text(encoding="utf-8")), place, new)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(SaveFileError, match=r"net\.json") as caught:
        load(path)
    assert message in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_not_read(net, path, number):
    net.save(path)
    weight = repr(net.layers[0].neurons[0].w[0].data)
    path.write_text(path.read_text(encoding="utf-8").replace(weight, number), encoding="utf-8")
    with pytest.raises(SaveFileError, match=r"net\.json.*finite number"):
        load(path)


@pytest.mark.parametrize(
    "raw", [b"", b"\x80\x04\x95pickle", b"\xff\xfe", b"[" * 100_000, b"[]", b"null", b'"wengert"']
)
def test_foreign_files(path, raw):
    path.write_bytes(raw)
    with pytest.raises(SaveFileError, match=r"net\.json"):
        load(path)


def test_a_number_is_no_path_though_open_takes_it_for_a_file():
    with pytest.raises(SettingError, match="the path of a file is 1000000, an int"):
        load(1_000_000)


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError):
        load(path)


def test_a_diverged_network_is_not_saved_over_a_good_one(net, path):
    net.save(path)
    before = path.read_bytes()
    net.parameters()[3].data = math.nan
    with pytest.raises(SaveFileError, match=r"net\.json.*nan or infinite.*nothing was written"):
        net.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["net.json"]


def test_an_interrupted_save_leaves_the_old_file(net, path, monkeypatch):
    net.save(path)
    before = path.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    net.parameters()[0].data = 0.5
    with pytest.raises(KeyboardInterrupt):
        net.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["net.json"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links as POSIX has them")
def test_saving_keeps_to_links_and_the_usual_permissions(net, path):
    link = path.with_name("link.json")
    link.symlink_to(path)
    net.save(link)
    assert link.is_symlink()
    assert load(path).sizes == net.sizes
    plain = path.with_name("plain")
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1, 2], "2 was given to a network of 3 .*; 1 number too few: .*, or .* MLP with nin=2$"),
        ([], r"row of 0 was given .*: \[\]; 3 numbers too few: give 3 numbers$"),
        (5.0, r"row of 1 was given .*: \[5.0\]; 2 numbers too few"),
    ],
)
def test_a_row_that_is_too_short_says_what_is_missing(row, message):
    with pytest.raises(ShapeError, match=message) as caught:
        MLP(3, [1])(row)
    assert "dropped" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda: MLP(3, [4, 1]), lambda: Layer(3, 3), lambda: Neuron(3)])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("abc", "takes a row of 3 numbers, got 'abc', a str"),
        (None, "takes a row of 3 numbers, got None, a NoneType"),
        ({1, 2, 3}, r"takes a row of 3 numbers, got \{1, 2, 3\}, a set"),
        ({1: 1, 2: 2, 3: 3}, "takes a row of 3 numbers, got .*, a dict"),
        ([1, 2, "a"], "entry 2 of the row is 'a', a str; expected a number"),
        ([1, [2], 3], r"entry 1 of the row is \[2\], a list"),
    ],
)
def test_a_row_holds_numbers_in_an_order(make, row, message):
    with pytest.raises(OperandError, match=message):
        make()(row)


def test_rows_of_every_kind_of_number():
    net, x = MLP(2, [2, 1], seed=0), Graph().input("x")
    plain = net([1.0, 2.0]).data
    for row in ((1, 2), iter([1.0, 2.0]), numpy.array([1.0, 2.0]), [Value(1.0), 2]):
        assert net(row).data == plain
    assert evaluate(net([x, numpy.float64(2.0)]), {x: 1.0}) == plain
    a = sympy.Symbol("a", real=True)
    at = {a: 1.0, **{sympy.Symbol(p.label, real=True): p.data for p in net.parameters()}}
    assert float(net([a, 2]).subs(at)) == pytest.approx(plain)


@pytest.mark.parametrize("nouts", [None, 3, "41", {4, 1}, {4: 1}, [], numpy.int64(4)])
def test_widths_that_are_no_sequence(nouts):
    with pytest.raises(ShapeError, match=r"takes the width of each layer, such as \[4, 4, 1\], g"):
        MLP(2, nouts)


def test_widths_and_activations_are_read_once():
    net = MLP(2, (i for i in [2, 1]), (name for name in ["relu", "linear"]), seed=0)
    assert net.sizes == [2, 2, 1]
    assert repr(net) == repr(MLP(2, [2, 1], ["relu", "linear"]))


@pytest.mark.parametrize("make", [lambda: MLP(3, [4, 1]), lambda: Layer(3, 3), lambda: Neuron(3)])
@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 2.0, 3.0]] * 4,
        [[1.0, 2.0, 3.0]] * 3,
        [(1.0, 2.0, 3.0)],
        numpy.ones((4, 3)),
        numpy.ones((3, 3)),
    ],
)
def test_all_the_data_at_once_is_not_taken_for_a_row(make, rows):
    with pytest.raises(
        ShapeError, match=r"takes one row of 3 numbers at a .* \[net\(x\) for x in"
    ) as caught:
        make()(rows)
    assert "build" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("activation", [None, 3, [None]])
def test_activations_that_are_no_name(activation):
    with pytest.raises(UnknownNameError, match=r"unknown activation .*known: .*tanh"):
        MLP(2, [1], activation)


@pytest.mark.parametrize("activation", [math.tanh, "Tanh", "TANH"])
def test_activations_whose_name_is_meant(activation):
    with pytest.raises(UnknownNameError, match=r"unknown activation .*; did you mean 'tanh'"):
        MLP(2, [1], activation)


def test_seeds():
    numbers = [p.data for p in MLP(2, [1], seed=7).parameters()]
    assert [p.data for p in MLP(2, [1], seed=numpy.int64(7)).parameters()] == numbers
    for seed in ([1], 1.5, "7", numpy.random.default_rng(0)):
        with pytest.raises(SettingError, match=r"seed is .*; expected a whole number, a random"):
            MLP(2, [1], seed=seed)
