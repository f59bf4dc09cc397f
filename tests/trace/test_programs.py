"""Whole programs as people write them: on a class of their own, on `Value`, and traced."""

import math
import random
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

import wengert as wg
from wengert import Value
from wengert.errors import TracingError


class Plain:
    """A scalar in micrograd's manner: each operation leaves a function that passes gradients on."""

    def __init__(self, data, children=()):
        self.data, self.grad, self.children = data, 0.0, children
        self.step = lambda: None

    def made(self, data, *pairs):
        out = Plain(data, [child for child, _ in pairs])

        def step():
            for child, slope in pairs:
                child.grad += slope * out.grad

        out.step = step
        return out

    def __add__(self, other):
        other = lifted(other)
        return self.made(self.data + other.data, (self, 1.0), (other, 1.0))

    def __mul__(self, other):
        other = lifted(other)
        return self.made(self.data * other.data, (self, other.data), (other, self.data))

    def __pow__(self, n):
        return self.made(self.data**n, (self, n * self.data ** (n - 1)))

    def exp(self):
        return self.made(math.exp(self.data), (self, math.exp(self.data)))

    def log(self):
        return self.made(math.log(self.data), (self, 1.0 / self.data))

    def tanh(self):
        return self.made(math.tanh(self.data), (self, 1.0 - math.tanh(self.data) ** 2))

    def sigmoid(self):
        return 1.0 / (1.0 + (-self).exp())

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -lifted(other)

    def __rsub__(self, other):
        return lifted(other) + -self

    def __truediv__(self, other):
        return self * lifted(other) ** -1

    def __rtruediv__(self, other):
        return lifted(other) * self**-1

    def __lt__(self, other):
        return self.data < lifted(other).data

    def __gt__(self, other):
        return self.data > lifted(other).data

    __radd__, __rmul__ = __add__, __mul__

    def backward(self):
        order, seen = [], set()

        def visit(value):
            if value not in seen:
                seen.add(value)
                for child in value.children:
                    visit(child)
                order.append(value)

        visit(self)
        self.grad = 1.0
        for value in reversed(order):
            value.step()


def lifted(thing):
    return thing if isinstance(thing, Plain) else Plain(thing)


def gated_unit(scalar, function, table):
    """A GRU, in arrays of scalars."""
    draw = random.Random(0)

    def matrix(rows, columns):
        return np.array(
            [[scalar(draw.uniform(-1, 1)) for _ in range(columns)] for _ in range(rows)]
        )

    forget, reset, new = ((matrix(3, 2), matrix(3, 3)) for _ in range(3))
    embedded, out = matrix(5, 2), matrix(1, 3)
    rows = table(embedded)
    gate = np.vectorize(lambda v: 1 / (1 + (-v).exp()), otypes=[object])
    squashed = np.vectorize(lambda v: v.tanh(), otypes=[object])

    @function
    def loss(tokens, target):
        h = np.array([scalar(0.0)] * 3)
        for token in tokens:
            x = rows[token]
            z, r = (gate(w @ x + u.dot(h)) for w, u in (forget, reset))
            h = (1 - z) * squashed(new[0] @ x + new[1] @ (r * h)) + z * h
        return ((out @ h)[0] - target) ** 2

    arrays = [*forget, *reset, *new, embedded, out]
    calls = [lambda t=t: loss(*t) for t in (([0, 1, 4], 0.5), ([3, 3, 2], -1.0))]
    return [p for array in arrays for p in array.ravel()], calls


def clipped_policy(scalar, function, table):
    """Proximal policy optimization, with the smaller of two and what is clipped."""
    draw = random.Random(1)
    actor = [[scalar(draw.uniform(-1, 1)) for _ in range(3)] for _ in range(2)]
    critic = [scalar(draw.uniform(-1, 1)) for _ in range(3)]

    def policy(state):
        logits = [sum(w * x for w, x in zip(row, state, strict=True)) for row in actor]
        top = max(logit.data for logit in logits)
        powers = [(logit - top).exp() for logit in logits]
        total = sum(powers)
        return [power / total for power in powers]

    @function
    def loss(states, actions, before, advantages, returns):
        total = scalar(0.0)
        episodes = zip(states, actions, before, advantages, returns, strict=True)
        for state, action, old, gain, reward in episodes:
            chances = policy(state)
            ratio = (table(chances)[action].log() - old).exp()
            total = total - min(ratio * gain, min(max(ratio, 0.8), 1.2) * gain)
            value = sum(v * x for v, x in zip(critic, state, strict=True))
            total = total + 0.5 * (value - reward) ** 2
            total = total + 0.01 * sum(p * p.log() for p in chances)
        return total / len(states)

    def episode():
        numbers = [[draw.gauss(0, 1) for _ in range(4)] for _ in range(5)]
        states = [list(state) for state in zip(*numbers[:3], strict=True)]
        actions = [draw.randrange(2) for _ in range(4)]
        old = [math.log(draw.uniform(0.2, 0.8)) for _ in range(4)]
        return lambda: loss(states, actions, old, *numbers[3:])

    return [p for row in actor for p in row] + critic, [episode(), episode()]


def adversaries(scalar, function, table):
    """Two networks that learn from each other: one is given what the other made, or calls it."""
    draw = random.Random(2)

    def network(*sizes):
        return [
            [[scalar(draw.uniform(-1, 1)) for _ in range(n + 1)] for _ in range(m)]
            for n, m in pairwise(sizes)
        ]

    def run(layers, x):
        for number, layer in enumerate(layers):
            x = [sum((w * a for w, a in zip(row, x, strict=False)), row[-1]) for row in layer]
            x = [a.tanh() for a in x] if number < len(layers) - 1 else x
        return x

    maker, judge = network(2, 3, 1), network(1, 3, 1)
    made = function(lambda noise: run(maker, noise)[0])

    def entropy(logit, truth):
        chance = logit.sigmoid()
        return -(truth * chance.log() + (1 - truth) * (1 - chance).log())

    @function
    def judged(real, false):
        return sum(
            entropy(run(judge, [x])[0], truth)
            for xs, truth in ((real, 1.0), (false, 0.0))
            for x in xs
        )

    @function
    def fooled(noises):
        return sum(entropy(run(judge, run(maker, noise))[0], 1.0) for noise in noises)

    noises = [[draw.gauss(0, 1), draw.gauss(0, 1)] for _ in range(3)]
    real = [draw.gauss(3, 0.5) for _ in range(3)]
    calls = [
        lambda: judged(real, [made(noise).data for noise in noises]),
        lambda: fooled(noises),
        lambda: judged(real, [made(noise) for noise in noises]) * 0.5 + fooled(noises),
    ]
    return [p for layers in (maker, judge) for layer in layers for row in layer for p in row], calls


def normalised_batch(scalar, function, table):
    """A layer with batch normalization, its samples in columns."""
    draw = random.Random(3)

    class Norm:
        def __init__(self, n):
            self.gain, self.shift = [scalar(1.0) for _ in range(n)], [scalar(0.0) for _ in range(n)]

        def __call__(self, samples):
            columns = []
            for column, gain, shift in zip(
                zip(*samples, strict=True), self.gain, self.shift, strict=True
            ):
                mean = sum(column) / len(column)
                spread = (sum((x - mean) ** 2 for x in column) / len(column) + 1e-5) ** 0.5
                columns.append([(x - mean) / spread * gain + shift for x in column])
            return list(zip(*columns, strict=True))

    inner = [[scalar(draw.uniform(-1, 1)) for _ in range(2)] for _ in range(3)]
    outer, norm = [scalar(draw.uniform(-1, 1)) for _ in range(3)], Norm(3)

    @function
    def loss(samples, targets):
        hidden = [[sum(w * x for w, x in zip(r, s, strict=True)) for r in inner] for s in samples]
        hidden = [[h.tanh() for h in row] for row in norm(hidden)]
        found = [sum(w * h for w, h in zip(outer, row, strict=True)) for row in hidden]
        return sum((p - t) ** 2 for p, t in zip(found, targets, strict=True)) / len(targets)

    calls = [
        lambda k=k: loss([[k, 0.5], [-1.0, k], [0.2, 0.3]], [1.0, 0.0, -k]) for k in (0.4, 1.5)
    ]
    return [*(w for row in inner for w in row), *outer, *norm.gain, *norm.shift], calls


def low_rank(scalar, function, table):
    """A frozen matrix of numbers, and what is learned beside it as two thin ones of scalars."""
    draw = np.random.default_rng(4)
    frozen = draw.normal(size=(3, 3))
    down, up = (
        np.array([[scalar(float(x)) for x in row] for row in draw.normal(size=shape)])
        for shape in ((1, 3), (3, 1))
    )

    @function
    def loss(x, y):
        return (((frozen + 0.5 * (up @ down)) @ x - y) ** 2).sum()

    calls = [lambda x=x: loss(x, x[::-1]) for x in draw.normal(size=(2, 3)) / 3]
    return [*down.ravel(), *up.ravel()], calls


def memory(scalar, function, table):
    """A memory network: words of sentences are looked up, and sentences attended to, twice."""
    draw = random.Random(5)
    keys, values, answers = (
        [[scalar(draw.gauss(0, 0.5)) for _ in range(2)] for _ in range(6)] for _ in range(3)
    )
    key, value = table(keys), table(values)

    def together(rows, words):
        return [sum(column) for column in zip(*[rows[word] for word in words], strict=True)]

    def softmax(scores):
        largest = max(s.data for s in scores)
        powers = [(s - largest).exp() for s in scores]
        return [power / sum(powers) for power in powers]

    def against(rows, u):
        return softmax([sum(a * b for a, b in zip(row, u, strict=True)) for row in rows])

    @function
    def loss(story, question, answer):
        u = together(key, question)
        for _ in range(2):
            shares = against([together(key, sentence) for sentence in story], u)
            read = [together(value, sentence) for sentence in story]
            u = [
                a + sum(s * row[k] for s, row in zip(shares, read, strict=True))
                for k, a in enumerate(u)
            ]
        return -table(against(answers, u))[answer].log()

    stories = ([[0, 1], [2, 3], [4, 5]], [1, 2], 3), ([[5, 1], [2, 0], [4, 4]], [0, 2], 1)
    return [p for rows in (keys, values, answers) for row in rows for p in row], [
        lambda story=story: loss(*story) for story in stories
    ]


def tree(scalar, function, table):
    """A recursive network: a nesting of words is told by what calls itself."""
    draw = random.Random(6)
    words, weights = (
        [[scalar(draw.gauss(0, 1)) for _ in range(n)] for _ in range(m)]
        for m, n in ((4, 2), (2, 4))
    )

    def told(thing):
        if not isinstance(thing, (list, tuple)):
            return table(words)[thing]
        both = told(thing[0]) + told(thing[1])
        return [sum(w * x for w, x in zip(row, both, strict=True)).tanh() for row in weights]

    @function
    def loss(nesting, target):
        a, b = told(nesting)
        return (a - b - target) ** 2

    calls = [lambda t=t: loss(t, 0.5) for t in ([[0, 1], [2, 3]], [[3, 1], [2, 0]])]
    return [p for rows in (words, weights) for row in rows for p in row], calls


def log_sum(logits):
    shift = max(z.data for z in logits)
    return sum((z - shift).exp() for z in logits).log() + shift


def chain(scalar, function, table):
    """A conditional random field: all ways through the tags, but for the right one."""
    draw = random.Random(7)
    steps, scores = (
        [[scalar(draw.gauss(0, 1)) for _ in range(3)] for _ in range(n)] for n in (3, 5)
    )
    rows, between = table(scores), table(steps)

    @function
    def loss(words, tags):
        ways = rows[words[0]]
        right = table(ways)[tags[0]]
        for k in range(1, len(words)):
            new = rows[words[k]]
            right = right + table(new)[tags[k]] + table(between[tags[k - 1]])[tags[k]]
            ways = [
                log_sum([w + steps[i][j] for i, w in enumerate(ways)]) + new[j] for j in range(3)
            ]
        return log_sum(ways) - right

    calls = [lambda w=w: loss(w, [0, 2, 1, 1]) for w in ([0, 1, 2, 3], [4, 4, 0, 2])]
    return [p for row in (*steps, *scores) for p in row], calls


def alignment(scalar, function, table):
    """Connectionist temporal classification: all alignments of a text, by way of a dict."""
    draw = random.Random(8)
    weights = [[scalar(draw.gauss(0, 1)) for _ in range(2)] for _ in range(3)]

    @function
    def loss(frames, text):
        states = [0, *[s for letter in text for s in (letter, 0)]]
        ways = {(-1, 0): 1.0}
        for k, frame in enumerate(frames):
            logits = [sum(w * x for w, x in zip(row, frame, strict=True)) for row in weights]
            whole = log_sum(logits)
            for n, state in enumerate(states):
                skips = 2 if state and n > 1 and state != states[n - 2] else 1
                before = [(k - 1, m) for m in range(max(0, n - skips), n + 1)]
                if k == 0:
                    before = [(-1, 0)] if n < 2 else []
                found = [ways[place] for place in before if place in ways]
                if found:
                    ways[k, n] = sum(found) * (logits[state] - whole).exp()
        last = len(frames) - 1, len(states) - 1
        return -(ways[last] + ways[last[0], last[1] - 1]).log()

    heard = [[[draw.gauss(0, 1) for _ in range(2)] for _ in range(5)] for _ in range(2)]
    return [p for row in weights for p in row], [lambda x=x: loss(x, [1, 2, 2]) for x in heard]


@dataclass
class Body:
    mass: object
    place: list
    speed: list


def orbits(scalar, function, table):
    """Bodies that move each other: objects that are made, and changed, inside."""
    masses, start = [scalar(m) for m in (1.0, 0.5, 0.3)], scalar(0.7)

    def pull(one, other):
        apart = [b - a for a, b in zip(one.place, other.place, strict=True)]
        scale = other.mass * (apart[0] * apart[0] + apart[1] * apart[1] + 0.1) ** -1.5
        return [scale * a for a in apart]

    @function
    def loss(places, h):
        bodies = [
            Body(m, list(p), [start * float(k - 1), 0.0])
            for k, (m, p) in enumerate(zip(masses, places, strict=True))
        ]
        for _ in range(3):
            pulls = [[pull(a, b) for b in bodies if b is not a] for a in bodies]
            for body, some in zip(bodies, pulls, strict=True):
                sums = [sum(axis) for axis in zip(*some, strict=True)]
                body.speed = [v + a * h for v, a in zip(body.speed, sums, strict=True)]
                body.place = [x + v * h for x, v in zip(body.place, body.speed, strict=True)]
        return sum(x * x for body in bodies for x in body.place)

    calls = [lambda k=k: loss([[0.0, 0.1 * k], [1.0, 0.0], [0.0, 1.0]], 0.05) for k in range(2)]
    return [*masses, start], calls


def trained(program, scalar, function, table):
    """The losses and gradients of three rounds of gradient descent."""
    parameters, calls = program(scalar, function, table)
    found = []
    for call in calls * 3:
        for p in parameters:
            p.grad = 0.0
        loss = call()
        loss.backward()
        found.append([loss.data, *(p.grad for p in parameters)])
        for p in parameters:
            p.data -= 0.1 * p.grad
    return found


PROGRAMS = [
    *(gated_unit, clipped_policy, adversaries, normalised_batch, low_rank, memory, tree),
    *(chain, alignment, orbits),
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_learns_the_same_on_its_own_class_on_values_and_traced(program):
    def as_it_is(thing):
        return thing

    traced = []

    def function(python):
        traced.append(wg.function(python))
        return traced[-1]

    plain = trained(program, Plain, as_it_is, as_it_is)
    for decorator in (as_it_is, function):
        found = trained(program, Value, decorator, wg.table)
        for ours, theirs in zip(found, plain, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)
    assert max(len(one.traces) for one in traced) <= 2  # floats, or Values; never one an integer


# what would be written once -----------------------------------------------------------------------

KEPT = None


class Layer:
    def __init__(self):
        self.w, self.mean, self.seen, self.by_name = Value(2.0), 0.0, [], {}
        self.rows = np.array([Value(1.0), Value(2.0)])


def writes(how):
    """A function that writes what it computes to where it stays, and the object it writes to."""
    layer = Layer()
    mean = 0.0

    def attribute(x):
        layer.mean = 0.9 * layer.mean + 0.1 * (layer.w * x).data
        return layer.w * x

    def value(x):
        layer.out = layer.w * x
        return layer.out

    def appended(x):
        layer.seen.append([layer.w * x])
        return layer.seen[-1][0]

    def key(x):
        layer.by_name["out"] = layer.w * x
        return layer.w

    def entry(x):
        layer.rows[1] = layer.w * x
        return layer.rows.sum()

    def closure(x):
        nonlocal mean
        mean = mean + (layer.w * x).data
        return layer.w * x

    def module(x):
        global KEPT
        KEPT = layer.w * x
        return KEPT

    return locals()[how], layer


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("attribute", "layer.mean would hold a number"),
        ("value", "layer.out would hold a number"),
        ("appended", r"layer_seen\[0\] would hold a number"),
        ("key", r"layer_by_name\['out'\] would hold a number"),
        ("entry", r"layer_rows\[1\] would hold a number"),
        ("closure", "mean would hold a number"),
        ("module", "KEPT would hold a number"),
    ],
)
def test_what_a_traced_function_would_write_once_is_refused_and_undone(how, said):
    function, layer = writes(how)
    before = {**vars(layer), "seen": [], "by_name": {}}
    rows = list(layer.rows)
    with pytest.raises(TracingError, match=said):
        wg.function(function)(1.0)
    assert vars(layer) == before
    assert [a is b for a, b in zip(layer.rows, rows, strict=True)] == [True, True]
    assert KEPT is None


def test_the_line_of_what_is_written_is_named():
    function, _ = writes("attribute")
    with pytest.raises(TracingError, match=r"test_programs.py:\d+: layer.mean = 0.9"):
        wg.function(function)(1.0)


def test_what_was_written_before_an_error_is_undone():
    function, layer = writes("appended")

    def fails(x):
        function(x)
        raise KeyError(x)

    with pytest.raises(KeyError):
        wg.function(fails)(1.0)
    assert layer.seen == []


def test_an_argument_that_is_changed_is_refused():
    w = Value(2.0)

    @wg.function
    def step(x, keys, cache):
        keys.append(w * x)
        return sum(keys)

    with pytest.raises(TracingError, match="changes its argument keys"):
        step(1.0, [], {})


def test_what_was_there_before_may_be_kept_elsewhere():
    class Net:
        def __init__(self):
            self.w, self.b, self.listed = Value(2.0), Value(1.0), None

        def parameters(self):
            if self.listed is None:
                self.listed = [self.w, self.b]
            return self.listed

    net = Net()
    loss = wg.function(lambda x: (net.w * x + net.b) ** 2 + sum(p * p for p in net.parameters()))
    assert [loss(x).data for x in (1.0, 2.0, 3.0)] == [14.0, 30.0, 54.0]
    assert net.listed == [net.w, net.b]


def test_plain_numbers_may_be_counted():
    w, seen = Value(2.0), []

    @wg.function
    def f(x):
        seen.append("traced")
        return w * x

    assert [f(1.0).data, f(2.0).data, f(3.0).data] == [2.0, 4.0, 6.0]
    assert "traced" in seen


# NumPy's functions of numbers that are not known yet ----------------------------------------------


def test_functions_of_numpy_are_the_records_of_their_names():
    a, b = Value(0.5), Value(-0.2)

    def f(x):
        z = np.array([a, b]) * x
        return np.maximum(z[0], z[1]) + np.log1p(z[0]) + np.minimum(z, x).sum() + np.tanh(b)

    loss = wg.function(f)
    for x in (1.0, -2.0, 0.1):
        assert loss(x).data == pytest.approx(f(x).data)
    assert len(loss.traces) == 1
    for x in (np.maximum(a, b), np.maximum(a, [b, b])[1], np.maximum(-0.3, a)):
        assert (x.op, x.data) == (wg.maximum, 0.5)


def test_values_print_as_unknown_while_they_are():
    w, shown = Value(2.0), []

    @wg.function
    def f(x):
        shown.append(f"{w * x} {w}")
        return w * x

    with pytest.warns(RuntimeWarning, match=r"shown.append.*\ntext of what is known only"):
        f(1.0)
    assert shown[0].startswith("<a Value known when the function runs>")
    assert "2.0" not in shown[0]


LOOKED_INTO = {
    "len": lambda x: len(str(x)),
    "index": lambda x: float(str(x)[0]),
    "comparison": lambda x: str(x) == "2.5",
    "in": lambda x: "." in f"{x}",
    "key": lambda x: {"2.5": 1.0}.get(str(x), 7.0),
    "order": lambda x: sorted([x, 3.5], key=str)[0],
    "method": lambda x: 1.0 if repr(x).startswith("-") else 2.0,
    "more text": lambda x: len("x = " + str(x).strip().rjust(20)),
    "percent": lambda x: len("%s" % x),  # noqa: UP031
    "data": lambda x: len(str((x * Value(1.0)).data)),
    "value": lambda x: len(f"{x * Value(1.0)}"),
}


@pytest.mark.parametrize("name", LOOKED_INTO)
@pytest.mark.filterwarnings(r"ignore:[\s\S]*text of what is known")
def test_text_of_what_is_not_known_is_not_looked_into(name):
    w = Value(12.5)

    def f(x):
        return w * LOOKED_INTO[name](x)

    assert isinstance(f(2.5), Value)
    with pytest.raises(wg.TracingError, match=r"(?s)test_programs.*text that is another"):
        wg.function(f)(2.5)


def test_text_put_together_of_what_is_not_known_is_a_warning_where_it_is_not_shown(capsys):
    w = Value(2.0)

    @wg.function
    def shows(x):
        print("x is", x, f"and {w}: {w * x}")  # noqa: T201
        print(  # noqa: T201
            f"x = {x}",
        )
        return w * x

    @wg.function
    def counts(x):
        return w * len(f"x = {x}")

    shows(2.5)
    assert "x = <a number known when the function runs>" in capsys.readouterr().out
    with pytest.warns(RuntimeWarning, match=r"return w \* len"):
        counts(2.5)


@pytest.mark.filterwarnings(r"ignore:[\s\S]*text of what is known")
def test_text_of_what_is_not_known_is_neither_returned_nor_kept():
    w, texts = Value(2.0), []
    with pytest.raises(wg.TracingError, match="returned"):
        wg.function(lambda x: (w * x, str(x)))(1.0)
    with pytest.raises(wg.TracingError, match=r"texts\[0\]"):
        wg.function(lambda x: (w * x, texts.append(str(x)))[0])(1.0)
    assert texts == []
