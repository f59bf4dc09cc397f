"""The programs of `scalars` as a person writes them with arrays, for any library like NumPy.

`xp` is the library's module; weights are its arrays, by name.
"""

import numpy as np
from scalars import EPS, Scalars, convolution_loss, gpt_loss, lstm_loss


def mean_square_one(xp, x):
    return x * (xp.mean(x * x, 1) + EPS)[:, None] ** -0.5


def gpt(xp, weights, tokens, targets, seen, heads: int = 4):
    """`seen` is a lower triangle of ones: what each place may look at."""
    count, width = len(tokens), weights["wq"].shape[0]
    x = mean_square_one(xp, weights["wte"][tokens] + weights["wpe"][:count])
    y = mean_square_one(xp, x)

    def by_head(matrix):
        return xp.swapaxes(xp.reshape(y @ matrix.T, (count, heads, width // heads)), 0, 1)

    q, k, v = (by_head(weights[name]) for name in ("wq", "wk", "wv"))
    powers = xp.exp(q @ xp.swapaxes(k, 1, 2) * (width // heads) ** -0.5) * seen
    shares = powers / xp.sum(powers, 2)[:, :, None]
    mixed = xp.reshape(xp.swapaxes(shares @ v, 0, 1), (count, width))
    x = mixed @ weights["wo"].T + x
    hidden = mean_square_one(xp, x) @ weights["up"].T
    x = (hidden * (hidden > 0)) @ weights["down"].T + x
    logits = x @ weights["head"].T
    chosen = logits[xp.arange(count), targets]
    return xp.mean(xp.log(xp.sum(xp.exp(logits), 1)) - chosen)


def lstm(xp, weights, x, y):
    """x is (steps, inputs); what comes from the inputs is one product for all steps."""
    width = len(y)
    given = x @ weights["w"].T + weights["b"]
    h = c = xp.zeros_like(y)
    for step in range(len(x)):
        sums = given[step] + weights["u"] @ h
        gates = 1 / (1 + xp.exp(-sums[: 3 * width]))
        c = gates[width : 2 * width] * c + gates[:width] * xp.tanh(sums[3 * width :])
        h = gates[2 * width :] * xp.tanh(c)
    error = h - y
    return xp.sum(error * error)


def convolution(xp, weights, x, y):
    """x is (images, side, side); the windows of all images are the rows of one product."""
    count, size = len(x), x.shape[1] - 2
    kernel, filters = weights["kernel"], len(weights["kernel"])
    windows = [x[:, a : a + size, b : b + size] for a in range(3) for b in range(3)]
    seen = xp.stack(windows, 3) @ xp.reshape(kernel, (filters, 9)).T + weights["bias"]
    four = xp.reshape(xp.tanh(seen), (count, size // 2, 2, size // 2, 2, filters))
    pooled = xp.mean(xp.mean(four, 4), 2)
    pooled = xp.reshape(xp.swapaxes(xp.swapaxes(pooled, 2, 3), 1, 2), (count, -1))
    error = pooled @ weights["dense"].T + weights["shift"] - y
    return xp.sum(error * error)


WRITTEN = {gpt_loss: gpt, lstm_loss: lstm, convolution_loss: convolution}


def given(problem: Scalars) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """The weights by name, and what else the function of the program takes, as NumPy's arrays."""
    weights = {name: np.array(nest) for name, nest in problem.weights(problem.params).items()}
    x, y = np.array(problem.X), np.array(problem.Y)
    if problem.loss is gpt_loss:
        return weights, [x[0], y[0], np.tri(x.shape[1])]
    if problem.loss is lstm_loss:
        return weights, [x.reshape(-1, weights["w"].shape[1]), y[0]]
    side = round(x.shape[1] ** 0.5)
    return weights, [x.reshape(-1, side, side), y]


def loss_and_arrays(result) -> list[float]:
    """A loss and gradients by name, flat."""
    loss, gradients = result
    return [float(loss), *np.concatenate([np.ravel(g) for g in gradients.values()]).tolist()]
