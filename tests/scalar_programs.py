"""Programs written one scalar at a time, of any size: what rolling has to find the arrays of.

Each takes two sizes and returns a source of leaves and a loss; `plain` adds the gradient to it, and
`stepped` a step of an optimizer.
"""

import random
from functools import reduce

import wengert as wg
from wengert.ops.scalar import (
    cos,
    exp,
    gelu,
    leaky_relu,
    log,
    maximum,
    relu,
    sigmoid,
    silu,
    sin,
    softplus,
    sqrt,
    tanh,
    where,
)
from wengert.simplify.stable import stable_form
from wengert.train.optim import SGD, Adam, Momentum

ACTIVATIONS = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "softplus": softplus,
    "silu": silu,
    "gelu": gelu,
    "sin": sin,
    "elu": lambda x: where(x > 0, x, exp(x) - 1),
    "square": lambda x: x * x,
}


class Source:
    """A graph, and matrices of parameters and inputs in it."""

    def __init__(self, seed=0):
        self.graph = wg.Graph()
        self.rng = random.Random(seed)
        self.parameters = []

    def number(self):
        return self.rng.uniform(-1, 1)

    def weights(self, name, *shape):
        return self._nested(name, shape, self._parameter)

    def inputs(self, name, *shape):
        """Leaves that are data: they have values here, so that programs can be evaluated."""
        return self._nested(name, shape, lambda n: self.graph.parameter(n, self.number()))

    def numbers(self, *shape):
        if not shape:
            return self.number()
        return [self.numbers(*shape[1:]) for _ in range(shape[0])]

    def _parameter(self, name):
        made = self.graph.parameter(name, self.number())
        self.parameters.append(made)
        return made

    def _nested(self, name, shape, make):
        if not shape:
            return make(name)
        return [self._nested(f"{name}_{i}", shape[1:], make) for i in range(shape[0])]

    def with_gradient(self, loss):
        grads = wg.grad(loss, self.parameters, allow_unused=True)
        return [stable_form(loss), *grads]

    def with_step(self, loss, optimizer):
        """The loss, and all parameters and the optimizer's memory after one step."""
        grads = wg.grad(loss, self.parameters, allow_unused=True)
        state = []
        for k, number in enumerate(optimizer.state(len(self.parameters))):
            noise = 0.0 if k < len(optimizer.shared) else self.rng.random()
            state.append(self.graph.parameter(f"state_{k}", number + noise))
        moved, after = optimizer.step(self.parameters, grads, state)
        return [stable_form(loss), *moved, *after]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def affine(x, w, b):
    return [dot(row, x) + c for row, c in zip(w, b, strict=True)]


def linear(x, w):
    return [dot(row, x) for row in w]


def softmax(z):
    e = [exp(a) for a in z]
    total = sum(e)
    return [a / total for a in e]


def squared(a, b):
    return sum((x - y) * (x - y) for x, y in zip(a, b, strict=True))


def mlp(n, m, activation="tanh", wrap=lambda x: x):
    s = Source()
    x, y = s.inputs("x", n), s.inputs("y", 2)
    h = [ACTIVATIONS[activation](a) for a in affine(x, s.weights("w", m, n), s.weights("b", m))]
    h = [ACTIVATIONS[activation](a) for a in affine(h, s.weights("v", m, m), s.weights("c", m))]
    out = affine(h, s.weights("u", 2, m), s.weights("d", 2))
    return s, squared(out, y)


def plain(build, *sizes, **options):
    s, loss = build(*sizes, **options)
    return s.with_gradient(loss)


def stepped(build, optimizer, *sizes, **options):
    s, loss = build(*sizes, **options)
    return s.with_step(loss, optimizer)


def unrolled_batch(n, m):
    s = Source()
    w, b, u = s.weights("w", m, 3), s.weights("b", m), s.weights("u", 2, m)
    x, y = s.inputs("x", n, 3), s.inputs("y", n, 2)
    losses = []
    for row, target in zip(x, y, strict=True):
        h = [tanh(a) for a in affine(row, w, b)]
        losses.append(squared(linear(h, u), target))
    return s, sum(losses) / n


def batch_of_numbers(n, m):
    s = Source()
    w, b, u = s.weights("w", m, 3), s.weights("b", m), s.weights("u", 2, m)
    losses = []
    for row, target in zip(s.numbers(n, 3), s.numbers(n, 2), strict=True):
        h = [tanh(a) for a in affine(row, w, b)]
        losses.append(squared(linear(h, u), target))
    return s, sum(losses)


def residual(n, m):
    s = Source()
    x = s.inputs("x", n)
    for layer in range(3):
        h = [relu(a) for a in affine(x, s.weights(f"w{layer}", m, n), s.weights(f"b{layer}", m))]
        x = [a + b for a, b in zip(x, linear(h, s.weights(f"u{layer}", n, m)), strict=True)]
    return s, sum(a * a for a in x)


def dense_skips(n, m):
    s = Source()
    x = s.inputs("x", n)
    seen = [x]
    for layer in range(3):
        parts = [
            linear(part, s.weights(f"w{layer}_from{k}", m, len(part)))
            for k, part in enumerate(seen)
        ]
        seen.append([tanh(sum(column)) for column in zip(*parts, strict=True)])
    return s, sum(a * a for a in seen[-1])


def tied(n, m):
    s = Source()
    w, x = s.weights("w", m, n), s.inputs("x", n)
    h = [sigmoid(a) for a in linear(x, w)]
    back = [sum(w[j][i] * h[j] for j in range(m)) for i in range(n)]
    return s, squared(back, x)


def embeddings(n, m):
    s = Source()
    table, w = s.weights("table", 9, m), s.weights("w", 2, m)
    tokens = [s.rng.randrange(9) for _ in range(n)]
    tokens[-1] = tokens[0]
    mean = [sum(table[t][j] for t in tokens) / n for j in range(m)]
    each = [sum(tanh(a) for a in linear(table[t], w)) for t in tokens]
    return s, sum(each) + sum(a * a for a in linear(mean, w))


def cross_entropy(n, m, minus_log=True):
    s = Source()
    w, x = s.weights("w", m, 3), s.inputs("x", n, 3)
    targets = [s.rng.randrange(m) for _ in range(n)]
    losses = []
    for row, target in zip(x, targets, strict=True):
        p = softmax(linear(row, w))
        losses.append(-log(p[target]))
    return s, sum(losses) / n


def rnn(n, m):
    s = Source()
    w, u, b = s.weights("w", m, n), s.weights("u", m, m), s.weights("b", m)
    v = s.weights("v", 2, m)
    h = [0.0] * m
    loss = 0.0
    for step in range(4):
        x, y = s.inputs(f"x{step}", n), s.inputs(f"y{step}", 2)
        h = [tanh(a + dot(row, h)) for a, row in zip(affine(x, w, b), u, strict=True)]
        loss = loss + squared(linear(h, v), y)
    return s, loss


def _gate(s, name, x, h, n, m):
    w, u, b = s.gates[name]
    return [a + dot(row, h) for a, row in zip(affine(x, w, b), u, strict=True)]


def _gates(s, names, n, m):
    s.gates = {
        name: (s.weights(f"w{name}", m, n), s.weights(f"u{name}", m, m), s.weights(f"b{name}", m))
        for name in names
    }


def lstm(n, m):
    s = Source()
    _gates(s, "ifog", n, m)
    h, c = s.inputs("h", m), s.inputs("c", m)
    for step in range(3):
        x = s.inputs(f"x{step}", n)
        i, f, o = ([sigmoid(a) for a in _gate(s, k, x, h, n, m)] for k in "ifo")
        g = [tanh(a) for a in _gate(s, "g", x, h, n, m)]
        c = [a * b + d * e for a, b, d, e in zip(f, c, i, g, strict=True)]
        h = [a * tanh(b) for a, b in zip(o, c, strict=True)]
    return s, sum(a * a for a in h)


def gru(n, m):
    s = Source()
    _gates(s, "zrh", n, m)
    h = s.inputs("h", m)
    for step in range(3):
        x = s.inputs(f"x{step}", n)
        z, r = ([sigmoid(a) for a in _gate(s, k, x, h, n, m)] for k in "zr")
        kept = [a * b for a, b in zip(r, h, strict=True)]
        new = [tanh(a) for a in _gate(s, "h", x, kept, n, m)]
        h = [(1 - a) * b + a * c for a, b, c in zip(z, h, new, strict=True)]
    return s, sum(a * a for a in h)


def convolution(n, m, stride=1, pad=0, dilation=1):
    s = Source()
    x, w, b = s.inputs("x", n), s.weights("w", m, 3), s.weights("b", m)
    count = (n + 2 * pad - 2 * dilation - 1) // stride + 1
    out = []
    for k in range(m):
        row = []
        for i in range(count):
            places = [(a, stride * i + dilation * a - pad) for a in range(3)]
            row.append(sum(w[k][a] * x[p] for a, p in places if 0 <= p < n) + b[k])
        out.append([tanh(a) for a in row])
    return s, sum(a * a for row in out for a in row)


def convolution_2d(n, m, pool="max"):
    s = Source()
    x, w, b = s.inputs("x", n, n), s.weights("w", m, 3, 3), s.weights("b", m)
    size = n - 2
    half = size // 2
    features = []
    for k in range(m):
        y = [
            [
                relu(sum(w[k][a][c] * x[i + a][j + c] for a in range(3) for c in range(3)) + b[k])
                for j in range(size)
            ]
            for i in range(size)
        ]
        for i in range(half):
            for j in range(half):
                window = [y[2 * i + a][2 * j + c] for a in range(2) for c in range(2)]
                if pool == "max":
                    features.append(
                        maximum(maximum(window[0], window[1]), maximum(window[2], window[3]))
                    )
                else:
                    features.append(sum(window) / 4)
    v = s.weights("v", 2, len(features))
    return s, sum(a * a for a in linear(features, v))


def padded_images(n, m, stride=1, dilation=1, pool="mean"):
    """A convolution of every channel, padded by leaving out what lies outside; windows overlap."""
    s = Source()
    x, w = s.inputs("x", 2, n, n), s.weights("w", m, 2, 3, 3)
    size = (n - 1) // stride + 1
    places = range(size)

    def window(i):
        return [(a, p) for a in range(3) if 0 <= (p := stride * i + dilation * (a - 1)) < n]

    out = []
    for k in range(m):
        y = [
            [
                tanh(
                    sum(
                        w[k][c][a][b] * x[c][p][q]
                        for c in range(2)
                        for a, p in window(i)
                        for b, q in window(j)
                    )
                )
                for j in places
            ]
            for i in places
        ]
        for i in range((size - 3) // 2 + 1):
            for j in range((size - 3) // 2 + 1):
                seen = [y[2 * i + a][2 * j + b] for a in range(3) for b in range(3)]
                out.append(reduce(maximum, seen) if pool == "max" else sum(seen) / 9)
    return s, sum(a * a for a in out)


def _mean(x):
    return sum(x) / len(x)


def layer_norm(n, m):
    s = Source()
    x, gain, bias = s.inputs("x", n, m), s.weights("gain", m), s.weights("bias", m)
    w = s.weights("w", m, m)
    loss = 0.0
    for row in x:
        h = linear(row, w)
        mean = _mean(h)
        centred = [a - mean for a in h]
        scale = 1 / sqrt(_mean([a * a for a in centred]) + 1e-5)
        loss = loss + sum(
            tanh(a * scale * g + b) for a, g, b in zip(centred, gain, bias, strict=True)
        )
    return s, loss


def rms_norm(n, m):
    s = Source()
    x, w = s.inputs("x", n, m), s.weights("w", m, m)
    loss = 0.0
    for row in x:
        h = linear(row, w)
        scale = (_mean([a * a for a in h]) + 1e-5) ** -0.5
        loss = loss + sum(sin(a * scale) for a in h)
    return s, loss


def batch_norm(n, m):
    s = Source()
    x, w, gain = s.inputs("x", n, 3), s.weights("w", m, 3), s.weights("gain", m)
    h = [linear(row, w) for row in x]
    loss = 0.0
    for j in range(m):
        column = [row[j] for row in h]
        mean = _mean(column)
        scale = 1 / sqrt(_mean([(a - mean) * (a - mean) for a in column]) + 1e-5)
        loss = loss + sum(tanh((a - mean) * scale * gain[j]) for a in column)
    return s, loss


def attention(n, m, heads=1, causal=False):
    s = Source()
    width = heads * m
    x = s.inputs("x", n, 5)
    wq, wk, wv = (s.weights(name, width, 5) for name in ("wq", "wk", "wv"))
    q, k, v = ([linear(row, w) for row in x] for w in (wq, wk, wv))
    out = []
    for p in range(n):
        seen = range(p + 1) if causal else range(n)
        for h in range(heads):
            part = range(h * m, (h + 1) * m)
            weights = softmax([sum(q[p][j] * k[t][j] for j in part) / m**0.5 for t in seen])
            out += [sum(w * v[t][j] for w, t in zip(weights, seen, strict=True)) for j in part]
    return s, sum(cos(a) for a in out)


def gpt(n, m, layers=1, heads=2, vocabulary=11, tokens=None):
    s = Source()
    width = heads * m
    wte, wpe = s.weights("wte", vocabulary, width), s.weights("wpe", 8, width)
    lm = s.weights("lm", vocabulary, width)
    blocks = [
        {
            **{name: s.weights(f"{name}{k}", width, width) for name in ("wq", "wk", "wv", "wo")},
            "fc": s.weights(f"fc{k}", 2 * width, width),
            "proj": s.weights(f"proj{k}", width, 2 * width),
        }
        for k in range(layers)
    ]

    def norm(x):
        scale = (sum(a * a for a in x) / len(x) + 1e-5) ** -0.5
        return [a * scale for a in x]

    text = tokens or [s.rng.randrange(vocabulary) for _ in range(n + 1)]
    cache = [([], []) for _ in blocks]
    losses = []
    for p in range(n):
        x = norm([a + b for a, b in zip(wte[text[p]], wpe[p], strict=True)])
        for block, (keys, values) in zip(blocks, cache, strict=True):
            y = norm(x)
            q = linear(y, block["wq"])
            keys.append(linear(y, block["wk"]))
            values.append(linear(y, block["wv"]))
            mixed = []
            for h in range(heads):
                part = range(h * m, (h + 1) * m)
                weights = softmax([sum(q[j] * k[j] for j in part) / m**0.5 for k in keys])
                mixed += [sum(w * v[j] for w, v in zip(weights, values, strict=True)) for j in part]
            x = [a + b for a, b in zip(linear(mixed, block["wo"]), x, strict=True)]
            hidden = [relu(a) for a in linear(norm(x), block["fc"])]
            x = [a + b for a, b in zip(linear(hidden, block["proj"]), x, strict=True)]
        losses.append(-log(softmax(linear(x, lm))[text[p + 1]]))
    return s, sum(losses) * (1 / n)


def vae(n, m):
    s = Source()
    x, noise = s.inputs("x", n), s.inputs("noise", m)
    h = [tanh(a) for a in affine(x, s.weights("w", 4, n), s.weights("b", 4))]
    mean = affine(h, s.weights("wm", m, 4), s.weights("bm", m))
    logvar = affine(h, s.weights("wv", m, 4), s.weights("bv", m))
    z = [a + exp(0.5 * b) * e for a, b, e in zip(mean, logvar, noise, strict=True)]
    out = [sigmoid(a) for a in affine(z, s.weights("u", n, m), s.weights("c", n))]
    divergence = sum(1 + b - a * a - exp(b) for a, b in zip(mean, logvar, strict=True))
    return s, squared(out, x) - 0.5 * divergence


def siamese(n, m):
    s = Source()
    w, b = s.weights("w", m, n), s.weights("b", m)
    one, other = ([tanh(a) for a in affine(s.inputs(k, n), w, b)] for k in ("x", "y"))
    distance = sqrt(squared(one, other) + 1e-6)
    return s, maximum(1 - distance, 0) * maximum(1 - distance, 0) + 0.1 * distance


def strided_images(n, m):
    """Two images of two channels through two convolutions, padded and strided."""
    s = Source()
    images, w = s.inputs("x", 2, 2, n, n), s.weights("w", m, 2, 3, 3)
    b, u = s.weights("b", m), s.weights("u", 2, m, 2, 2)

    def conv(x, w, stride, pad):
        size, width = len(x[0]), len(w[0][0])
        count = (size + 2 * pad - width) // stride + 1

        def at(k, i, j):
            rows = [(a, stride * i + a - pad) for a in range(width)]
            columns = [(c, stride * j + c - pad) for c in range(width)]
            return sum(
                w[k][z][a][c] * x[z][p][q]
                for z in range(len(x))
                for a, p in rows
                for c, q in columns
                if 0 <= p < size and 0 <= q < size
            )

        places = range(count)
        return [[[at(k, i, j) for j in places] for i in places] for k in range(len(w))]

    loss = 0.0
    for image in images:
        y = conv(image, w, 2, 1)
        y = [[[relu(a + b[k]) for a in row] for row in y[k]] for k in range(m)]
        loss = loss + sum(a * a for z in conv(y, u, 1, 0) for row in z for a in row)
    return s, loss


def window_attention(n, m):
    """Attention to the position itself and two before it."""
    s = Source()
    x = s.inputs("x", n, 3)
    q, k, v = ([linear(r, w) for r in x] for w in (s.weights(name, m, 3) for name in "qkv"))
    loss = 0.0
    for p in range(n):
        seen = range(max(0, p - 2), p + 1)
        weights = softmax([dot(q[p], k[t]) for t in seen])
        for j in range(m):
            loss = loss + tanh(sum(w * v[t][j] for w, t in zip(weights, seen, strict=True)))
    return s, loss


def grouped_attention(n, m):
    """Four heads, two of which share keys and values each, and a product over all of them."""
    s = Source()
    x = s.inputs("x", n, 3)
    wq, wk, wv = s.weights("wq", 4 * m, 3), s.weights("wk", 2 * m, 3), s.weights("wv", 2 * m, 3)
    q, k, v = ([linear(r, w) for r in x] for w in (wq, wk, wv))
    out, loss = s.weights("wo", 2, 4 * m), 0.0
    for p in range(n):
        mixed = []
        for h in range(4):
            g = h // 2 * m
            scores = [sum(q[p][h * m + j] * k[t][g + j] for j in range(m)) for t in range(p + 1)]
            weights = softmax(scores)
            mixed += [sum(w * v[t][g + j] for t, w in enumerate(weights)) for j in range(m)]
        loss = loss + sum(tanh(a) for a in linear(mixed, out))
    return s, loss


def patches(n, m):
    """An image in patches of 2×2 points, each with a vector of its own."""
    s = Source()
    x, w = s.inputs("x", 2 * n, 2 * n), s.weights("w", m, 4)
    position = s.weights("position", n * n, m)
    loss = 0.0
    for p in range(n * n):
        i, j = 2 * (p // n), 2 * (p % n)
        patch = [x[i + a][j + b] for a in range(2) for b in range(2)]
        loss = loss + sum(tanh(a) for a in affine(patch, w, position[p]))
    return s, loss


def distances(n, m):
    """Something of every pair of rows but a row with itself."""
    s = Source()
    x = s.weights("x", n, m)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    return s, sum(exp(-squared(x[i], x[j])) for i, j in pairs)


def factorization(n, m):
    """A factorization machine: a product of every two features, weighed by their vectors."""
    s = Source()
    x, w, v = s.inputs("x", n), s.weights("w", n), s.weights("v", n, m)
    pairs = sum(dot(v[i], v[j]) * x[i] * x[j] for i in range(n) for j in range(i + 1, n))
    return s, sigmoid(dot(x, w) + pairs)


def products(n, m):
    """Squares of the products of every two rows, and products of every three numbers."""
    s = Source()
    x, y = s.weights("x", n, m), s.weights("y", n)
    squares = sum(dot(x[i], x[j]) ** 2 for i in range(n) for j in range(i))
    return s, squares + sum(
        y[i] * y[j] * y[k] for i in range(n) for j in range(i) for k in range(j)
    )


def others(n, m):
    """Attention of each position to all others, and forces between bodies of any mass."""
    s = Source()
    x = s.inputs("x", n, 3)
    q, k, v = ([linear(r, w) for r in x] for w in (s.weights(name, m, 3) for name in "qkv"))
    z, mass, loss = s.weights("z", n, 2), s.weights("mass", n), 0.0
    for p in range(n):
        rest = [t for t in range(n) if t != p]
        weights = softmax([dot(q[p], k[t]) for t in rest])
        for j in range(m):
            loss = loss + tanh(sum(w * v[t][j] for w, t in zip(weights, rest, strict=True)))
        forces = [mass[t] * (z[t][0] - z[p][0]) / (squared(z[t], z[p]) + 0.1) for t in rest]
        loss = loss + sum(forces) ** 2
    return s, loss


def total_variation(n, m):
    """Differences of an image down and across."""
    s = Source()
    x = s.weights("x", n, m)
    down = sum((x[i + 1][j] - x[i][j]) ** 2 for i in range(n - 1) for j in range(m))
    return s, down + sum((x[i][j + 1] - x[i][j]) ** 2 for i in range(n) for j in range(m - 1))


def contrastive(n, m):
    """Each of two views of n samples is told from all other rows by its likeness to its pair."""
    s = Source()
    x, y, w = s.inputs("x", n, 3), s.inputs("y", n, 3), s.weights("w", m, 3)
    z, loss = [linear(row, w) for row in x + y], 0.0
    for i, row in enumerate(z):
        likeness = [exp(dot(row, other)) for j, other in enumerate(z) if j != i]
        loss = loss + log(sum(likeness)) - dot(row, z[(i + n) % len(z)])
    return s, loss


def masked(n, m):
    """A layer under a mask written as numbers."""
    s = Source()
    x, w = s.inputs("x", n, m), s.weights("w", m, m)
    masks = [[float(s.rng.random() < 0.5) for _ in range(m)] for _ in range(n)]
    masks[0][:2] = [0.0, 1.0]
    return s, sum(
        tanh(a * k)
        for row, mask in zip(x, masks, strict=True)
        for a, k in zip(linear(row, w), mask, strict=True)
    )


def flipped(n, m):
    """A vector against itself and another, backwards."""
    s = Source()
    x, w = s.weights("x", n), s.weights("w", n)
    back = range(n - 1, -1, -1)
    return s, sum(tanh(x[i] * w[j]) + x[i] * x[j] for i, j in zip(range(n), back, strict=True))


OPTIMIZERS = {"sgd": SGD(0.1), "momentum": Momentum(0.1, 0.9), "adam": Adam(0.01)}
