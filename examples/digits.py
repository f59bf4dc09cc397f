"""Handwritten digits read by a 64-32-10 network that was written one scalar at a time.

    python examples/digits.py [folder for the pictures, "out" by default]

The 8 x 8 images are scikit-learn's, a third of them held out. `fit` chooses the target by size:
here it finds the matrices in the scalar graph and trains in NumPy. Needs scikit-learn and
matplotlib.
"""

import sys
from pathlib import Path

import wengert as wg

try:
    from matplotlib.figure import Figure
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ImportError as missing:
    raise SystemExit(f"{missing.name} is not installed: pip install '.[examples]'") from None

COLUMNS = 7


def score_function(net, width):
    """The score of each digit for rows of pixels: one row a digit, one column an image."""
    graph = wg.Graph()
    x = graph.inputs("x", width)
    outputs = net(x)
    return wg.compile({"x": x}, outputs, batch="x", reduce=None, target="numpy", name="score")


def draw_mistakes(images, labels, read, path):
    """Every image that was misread, with the digit it is and the digit it was taken for."""
    wrong = [i for i in range(len(labels)) if labels[i] != read[i]]
    rows = max(1, -(-len(wrong) // COLUMNS))
    figure = Figure(figsize=(1.4 * COLUMNS, 1.6 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{len(wrong)} of {len(labels)} held-out digits misread\n")
    places = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for axes in places[len(wrong) :]:
        axes.set_axis_off()
    for axes, i in zip(places, wrong, strict=False):
        axes.imshow(images[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{labels[i]} read as {read[i]}", fontsize=10)
    figure.savefig(path, dpi=120)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = load_digits(return_X_y=True)
    X, X_held, y, y_held = train_test_split(
        images / 16, labels, test_size=1 / 3, random_state=0, stratify=labels
    )
    net = wg.MLP(64, [32, 10], activation=["tanh", "linear"], init="xavier", seed=0)
    history = wg.fit(
        net,
        X,
        y,
        loss="cross_entropy",
        optimizer=wg.Adam(0.005),
        epochs=40,
        batch_size=32,
        reduce="mean",
    )
    read = score_function(net, 64)(X_held).argmax(axis=0)
    steps = history.epochs * -(-len(X) // 32)
    each = history.seconds / steps * 1e6
    print(history)
    print(f"chosen: {history.reason}")
    print(f"{steps:,} steps took {history.seconds:.2f} s, {each:.0f} µs each")
    print(f"accuracy {(read == y_held).mean():.1%} on {len(y_held)} digits held out of training")
    history.plot(folder / "digits_loss.png", log=True)
    draw_mistakes(X_held, y_held, read, folder / "digits_mistakes.png")
    print(f"wrote {folder / 'digits_loss.png'} and {folder / 'digits_mistakes.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
