"""Two interleaved half-moons told apart by a 2-16-16-1 network.

    python examples/moons.py [folder for the pictures, "out" by default]

The network is written in scalars, trained by one compiled function, drawn by another that scores
a whole grid of points. Needs scikit-learn and matplotlib.
"""

import sys
from pathlib import Path

import wengert as wg

try:
    from matplotlib.figure import Figure
    from sklearn.datasets import make_moons
except ImportError as missing:
    raise SystemExit(f"{missing.name} is not installed: pip install '.[examples]'") from None


def score_function(net):
    """The probability of class 1 for each row of points, compiled."""
    graph = wg.Graph()
    x = graph.inputs("x", 2)
    return wg.compile({"x": x}, wg.sigmoid(net(x)), batch="x", reduce=None, name="score")


def draw_boundary(score, X, y, path, steps=120):
    """The score as a coloured plane, the line where it is 1/2, and the samples."""
    (left, bottom), (right, top) = X.min(axis=0) - 0.5, X.max(axis=0) + 0.5
    across = [left + (right - left) * i / (steps - 1) for i in range(steps)]
    up = [bottom + (top - bottom) * j / (steps - 1) for j in range(steps)]
    scores = score([[a, b] for b in up for a in across])
    plane = [scores[j * steps : (j + 1) * steps] for j in range(steps)]
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    shades = axes.contourf(across, up, plane, levels=20, vmin=0, vmax=1, cmap="PuOr", alpha=0.6)
    axes.contour(across, up, plane, levels=[0.5], colors="black")
    for label, marker, colour in ((0, "o", "#7f3b08"), (1, "^", "#2d004b")):
        chosen = X[y == label]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], marker=marker, c=colour, edgecolors="white", label=label
        )
    axes.set(xlabel="x0", ylabel="x1", title="two moons: probability of class 1")
    axes.legend(title="class")
    figure.colorbar(shades, ax=axes)
    figure.savefig(path, dpi=120)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    X, y = make_moons(n_samples=200, noise=0.15, random_state=0)
    net = wg.MLP(2, [16, 16, 1], activation=["tanh", "tanh", "linear"], init="xavier", seed=0)
    history = wg.fit(
        net,
        X,
        y,
        loss="binary_cross_entropy",
        optimizer=wg.Adam(0.01),
        epochs=100,
        batch_size=20,
        reduce="mean",
    )
    score = score_function(net)
    right = sum((p > 0.5) == bool(label) for p, label in zip(score(X), y, strict=True))
    print(history)
    print(f"loss {history.loss[-1]:.4f}, accuracy {right / len(y):.1%}")
    history.plot(folder / "moons_loss.png")
    draw_boundary(score, X, y, folder / "moons.png")
    print(f"wrote {folder / 'moons.png'} and {folder / 'moons_loss.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
