"""A network of MNIST's shape, 784-50-10, from scalars to NumPy, stage by stage.

    python examples/mnist_shape.py [folder for the pictures, "out" by default]

Every weight is a scalar, every product a node of the graph. The table shows what each stage makes
of it and how long that takes. Then the network is trained on scikit-learn's digits, scaled up from
8 x 8 to the 28 x 28 pixels of MNIST. Needs scikit-learn and matplotlib.
"""

import sys
import time
from pathlib import Path

import numpy as np

import wengert as wg

try:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ImportError as missing:
    raise SystemExit(f"{missing.name} is not installed: pip install '.[examples]'") from None

SIDE = 28


def scaled_up(images):
    """Images of 8 x 8 values from 0 to 16 as rows of 28 x 28 from 0 to 1, interpolated linearly."""
    places = np.linspace(0, 7, SIDE)
    stretch = np.array([np.interp(places, range(8), unit) for unit in np.eye(8)])
    return np.einsum("ip,nij,jq->npq", stretch, images / 16, stretch).reshape(len(images), -1)


def stage(name, work, size):
    """Do the work, and print a line of the table: its name, its time, what came out."""
    start = time.perf_counter()
    result = work()
    print(f"{name:16} {time.perf_counter() - start:8.3f} s   {size(result)}")
    return result


def nodes(graph):
    return f"{len(graph):,} nodes"


def show_stages(net, X, Y):
    """From the network to numbers: build, grad, simplify, roll, compile, call.

    The lines of `simplify` and `roll` show what `compile` does inside, by itself.
    """
    graph = wg.Graph()
    x, y = graph.inputs("x", SIDE * SIDE), graph.input("y")
    params = net.parameters()

    def compiled():
        return wg.compile(
            {"params": params, "x": x, "y": y},
            {"loss": loss, "grad": gradient},
            batch=("x", "y"),
            target="numpy",
        )

    loss = stage("build", lambda: wg.cross_entropy(net(x), y), lambda e: nodes(e.graph))
    gradient = stage("grad", lambda: wg.grad(loss, params), lambda e: nodes(e[0].graph))
    small = stage("simplify", lambda: wg.simplify([loss, *gradient]), lambda e: nodes(e[0].graph))
    rolled = stage("roll", lambda: wg.roll(small), lambda r: f"{len(r.statements)} statements")
    f = stage("compile", compiled, lambda f: f"{len(f.program.instructions)} lines")
    numbers = [p.data for p in params]
    stage("first call", lambda: f(numbers, X, Y), lambda out: f"loss {out['loss'] / len(X):.3f}")
    print(f"\n{rolled.report}\n")


def score_function(net):
    """The score of each digit for rows of pixels: one row a digit, one column an image."""
    graph = wg.Graph()
    x = graph.inputs("x", SIDE * SIDE)
    outputs = net(x)
    return wg.compile({"x": x}, outputs, batch="x", reduce=None, target="numpy", name="score")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    X, X_held, y, y_held = train_test_split(
        scaled_up(digits.images),
        digits.target,
        test_size=1 / 3,
        random_state=0,
        stratify=digits.target,
    )
    net = wg.MLP(SIDE * SIDE, [50, 10], activation=["relu", "linear"], init="he", seed=0)
    show_stages(net, X[:32], y[:32])
    history = wg.fit(
        net,
        X,
        y,
        loss="cross_entropy",
        optimizer=wg.SGD(0.1),
        epochs=20,
        batch_size=32,
        reduce="mean",
    )
    read = score_function(net)(X_held).argmax(axis=0)
    print(history)
    print(f"chosen: {history.reason}")
    print(f"accuracy {(read == y_held).mean():.1%} on {len(y_held)} digits held out of training")
    history.plot(folder / "mnist_shape_loss.png", log=True)
    print(f"wrote {folder / 'mnist_shape_loss.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
