"""A language model of names, one scalar at a time: compiled, with nothing rewritten.

    python examples/microgpt.py [steps] [folder] [width]        1000, "out" and 16 by default

A transformer with one layer, four heads and causal attention learns to spell the names of
`names.txt`. `microgpt_plain.py` is the same program on the plain scalars of `scalar.py`; the lines
in which the two differ end in `# (compiled)` here.
"""

import random
import statistics
import sys
import time
from pathlib import Path

import wengert as wg  # (compiled)
from wengert import Value  # (compiled)

try:
    from matplotlib.figure import Figure
except ImportError as missing:
    raise SystemExit(f"{missing.name} is not installed: pip install '.[examples]'") from None

steps, folder, width = [*sys.argv[1:], *("1000", "out", "16")[len(sys.argv) - 1 :]]
steps, folder, width = int(steps), Path(folder), int(width)
folder.mkdir(parents=True, exist_ok=True)
HEADS, POSITIONS = 4, 16
END = 26  # letters are the tokens 0 to 25, and a name begins and ends in 26

names = (Path(__file__).parent / "names.txt").read_text(encoding="utf-8").split()
draw = random.Random(42)
draw.shuffle(names)


def matrix(rows, columns):
    return [[Value(draw.gauss(0.0, 0.08)) for _ in range(columns)] for _ in range(rows)]


weights = {
    "token": matrix(27, width),
    "position": matrix(POSITIONS, width),
    "query": matrix(width, width),
    "key": matrix(width, width),
    "value": matrix(width, width),
    "mixed": matrix(width, width),
    "wide": matrix(4 * width, width),
    "narrow": matrix(width, 4 * width),
    "logit": matrix(27, width),
}
parameters = [p for rows in weights.values() for row in rows for p in row]
embedding = wg.table(weights["token"])  # (compiled)


def linear(x, rows):
    return [sum(w * a for w, a in zip(row, x, strict=True)) for row in rows]


def softmax(scores):
    largest = max(score.data for score in scores)
    powers = [(score - largest).exp() for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def normalised(x):
    scale = (sum(a * a for a in x) * (1.0 / len(x)) + 1e-5) ** -0.5
    return [a * scale for a in x]


def added(x, y):
    return [a + b for a, b in zip(x, y, strict=True)]


def next_letter(token, position, keys, values):
    """The probability of each token to come next; what is attended to later joins the lists."""
    x = normalised(added(embedding[token], weights["position"][position]))
    y = normalised(x)
    query = linear(y, weights["query"])
    keys.append(linear(y, weights["key"]))
    values.append(linear(y, weights["value"]))
    seen, size = [], width // HEADS
    for start in range(0, width, size):
        part = range(start, start + size)
        share = softmax([sum(query[j] * k[j] for j in part) * size**-0.5 for k in keys])
        seen += [sum(s * v[j] for s, v in zip(share, values, strict=True)) for j in part]
    x = added(linear(seen, weights["mixed"]), x)
    wide = [a.relu() for a in linear(normalised(x), weights["wide"])]
    x = added(linear(wide, weights["narrow"]), x)
    return softmax(linear(x, weights["logit"]))


@wg.function  # (compiled)
def loss(tokens):
    """The mean of -log of the probability of each token, given those before it."""
    keys, values, total = [], [], 0.0
    for position in range(len(tokens) - 1):
        probabilities = next_letter(tokens[position], position, keys, values)
        total = total - wg.pick(probabilities, tokens[position + 1]).log()  # (compiled)
    return total * (1.0 / (len(tokens) - 1))


def tokens_of(name):
    return [END, *(ord(letter) - ord("a") for letter in name), END][: POSITIONS + 1]


def sample(temperature=0.5):
    """A name, letter by letter."""
    token, letters, keys, values = END, "", [], []
    for position in range(POSITIONS):
        probabilities = next_letter(token, position, keys, values)
        chances = [p.data ** (1.0 / temperature) for p in probabilities]
        token = draw.choices(range(27), chances)[0]
        if token == END:
            break
        letters += chr(ord("a") + token)
    return letters


# Adam, by hand, over the flat list of parameters; its step shrinks to 0.
momenta, squares, losses, seconds = [0.0] * len(parameters), [0.0] * len(parameters), [], []
for step in range(steps):
    tokens = tokens_of(names[step % len(names)])
    start = time.perf_counter()
    out = loss(tokens)
    out.backward()
    seconds.append(time.perf_counter() - start)
    losses.append(out.data)
    rate = 0.01 * (1.0 - step / steps)
    for i, p in enumerate(parameters):
        momenta[i] = 0.85 * momenta[i] + 0.15 * p.grad
        squares[i] = 0.99 * squares[i] + 0.01 * p.grad**2
        corrected = momenta[i] / (1.0 - 0.85 ** (step + 1))
        p.data -= rate * corrected / ((squares[i] / (1.0 - 0.99 ** (step + 1))) ** 0.5 + 1e-8)
        p.grad = 0.0
    if step < 5 or step % 100 == 99:
        print(f"step {step + 1}: loss {out.data:.12f}, {1e3 * seconds[-1]:.1f} ms")

print("samples:", *(sample() for _ in range(5)))
(folder / "microgpt_loss.txt").write_text("\n".join(map(repr, losses)) + "\n", encoding="utf-8")
figure = Figure(figsize=(6, 4))
axes = figure.subplots()
axes.plot(losses, alpha=0.3)
recent = [statistics.fmean(losses[max(0, i - 49) : i + 1]) for i in range(len(losses))]
axes.plot(recent, label="mean of 50")
axes.set(xlabel="step", ylabel="loss")
axes.legend()
figure.savefig(folder / "microgpt_loss.svg")
print("wrote", folder / "microgpt_loss.txt", "and", folder / "microgpt_loss.svg")
plain = getattr(loss, "__wrapped__", loss)  # the function as it is written here
start = time.perf_counter()
plain(tokens).backward()
slow, median = time.perf_counter() - start, statistics.median(seconds)
print(
    f"loss and gradients: {1e3 * median:.2f} ms a step; as written {slow / median:.1f} times that"
)
print(loss.report(), loss.compiled.program, sep="\n")  # (compiled)
