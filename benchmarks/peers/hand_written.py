"""The programs of `scalars` in NumPy by hand: forward and backward pass, as a careful person would.

Each takes the weights by name and the data, and returns the loss and the gradients by name.
"""

import numpy as np
from scalars import EPS, convolution_loss, gpt_loss, lstm_loss


def normalised(x):
    """Rows over the root of their mean square, and one over that root."""
    scale = 1 / np.sqrt(np.einsum("pe,pe->p", x, x) / x.shape[1] + EPS)[:, None]
    return x * scale, scale


def normalised_back(d, y, scale):
    """The adjoint of the rows, from that of what they became."""
    return scale * (d - y * (np.einsum("pe,pe->p", d, y) / y.shape[1])[:, None])


def gpt(weights, tokens, targets, seen, heads: int = 4):
    count, width = len(tokens), len(weights["wq"])
    size = width // heads
    wqkv = np.concatenate([weights["wq"], weights["wk"], weights["wv"]])
    embedded = weights["wte"][tokens] + weights["wpe"][:count]
    x, x_scale = normalised(embedded)
    y, y_scale = normalised(x)
    q, k, v = (y @ wqkv.T).reshape(count, 3, heads, size).transpose(1, 2, 0, 3)
    shares = np.exp(q @ k.transpose(0, 2, 1) * size**-0.5)
    shares *= seen
    shares /= shares.sum(axis=2, keepdims=True)
    mixed = (shares @ v).transpose(1, 0, 2).reshape(count, width)
    x1 = mixed @ weights["wo"].T
    x1 += x
    y1, y1_scale = normalised(x1)
    hidden = y1 @ weights["up"].T
    np.maximum(hidden, 0, out=hidden)
    x2 = hidden @ weights["down"].T
    x2 += x1
    logits = x2 @ weights["head"].T
    powers = np.exp(logits)
    totals = powers.sum(axis=1, keepdims=True)
    places = np.arange(count)
    loss = (np.log(totals).sum() - logits[places, targets].sum()) / count

    d_logits = powers / (totals * count)
    d_logits[places, targets] -= 1 / count
    d = {"head": d_logits.T @ x2}
    d_x = d_logits @ weights["head"]
    d["down"] = d_x.T @ hidden
    d_hidden = d_x @ weights["down"]
    d_hidden *= hidden > 0
    d["up"] = d_hidden.T @ y1
    d_x += normalised_back(d_hidden @ weights["up"], y1, y1_scale)
    d["wo"] = d_x.T @ mixed
    d_mixed = (d_x @ weights["wo"]).reshape(count, heads, size).transpose(1, 0, 2)
    d_shares = d_mixed @ v.transpose(0, 2, 1)
    d_scores = shares * (d_shares - (d_shares * shares).sum(axis=2, keepdims=True))
    d_scores *= size**-0.5
    d_qkv = np.empty((count, 3, heads, size))
    by_head = d_qkv.transpose(1, 2, 0, 3)
    by_head[0], by_head[1] = d_scores @ k, d_scores.transpose(0, 2, 1) @ q
    by_head[2] = shares.transpose(0, 2, 1) @ d_mixed
    d_qkv = d_qkv.reshape(count, 3 * width)
    d["wq"], d["wk"], d["wv"] = (d_qkv.T @ y).reshape(3, width, width)
    d_x += normalised_back(d_qkv @ wqkv, y, y_scale)
    d_x = normalised_back(d_x, x, x_scale)
    d["wte"], d["wpe"] = np.zeros_like(weights["wte"]), np.zeros_like(weights["wpe"])
    np.add.at(d["wte"], tokens, d_x)
    d["wpe"][:count] = d_x
    return loss, {name: d[name] for name in weights}


def lstm(weights, x, y):
    """The gates' rows: input, forget, output, and the new content."""
    w, u, width, steps = weights["w"], weights["u"], len(y), len(x)
    sums = x @ w.T
    sums += weights["b"]
    gates = np.empty_like(sums)
    states, contents = np.zeros((steps + 1, width)), np.zeros((steps + 1, width))
    bends = np.empty((steps, width))
    for t in range(steps):
        s = sums[t]
        s += u @ states[t]
        three = gates[t, : 3 * width]
        np.exp(-s[: 3 * width], out=three)
        three += 1
        np.divide(1, three, out=three)
        new = np.tanh(s[3 * width :], out=gates[t, 3 * width :])
        contents[t + 1] = three[width : 2 * width] * contents[t] + three[:width] * new
        bends[t] = np.tanh(contents[t + 1])
        states[t + 1] = three[2 * width :] * bends[t]
    error = states[steps] - y
    loss = error @ error

    slopes = gates * (1 - gates)
    new = gates[:, 3 * width :]
    slopes[:, 3 * width :] = 1 - new * new
    into, keep = gates[:, :width], gates[:, width : 2 * width]
    out = gates[:, 2 * width : 3 * width]
    through = out * (1 - bends * bends)
    deltas = np.empty_like(sums)
    by_gate = deltas.reshape(steps, 4, width)
    d_h, d_c = 2 * error, np.zeros(width)
    for t in range(steps - 1, -1, -1):
        d_c = d_c + d_h * through[t]
        np.multiply(d_c, new[t], out=by_gate[t, 0])
        np.multiply(d_c, contents[t], out=by_gate[t, 1])
        np.multiply(d_h, bends[t], out=by_gate[t, 2])
        np.multiply(d_c, into[t], out=by_gate[t, 3])
        deltas[t] *= slopes[t]
        d_h = deltas[t] @ u
        d_c = d_c * keep[t]
    return loss, {"w": deltas.T @ x, "u": deltas.T @ states[:steps], "b": deltas.sum(axis=0)}


def convolution(weights, x, y):
    """All windows of all images are the rows of one product; the means of four are a reshape."""
    kernel, dense = weights["kernel"], weights["dense"]
    filters, count, size = len(kernel), len(x), x.shape[1] - 2
    half = size // 2
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2)).reshape(-1, 9)
    seen = windows @ kernel.reshape(filters, 9).T
    seen += weights["bias"]
    np.tanh(seen, out=seen)
    four = seen.reshape(count, half, 2, half, 2, filters)
    pooled = four.mean(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(count, -1)
    error = pooled @ dense.T
    error += weights["shift"] - y
    loss = np.vdot(error, error)

    error *= 2
    d_pooled = (error @ dense).reshape(count, filters, half, half).transpose(0, 2, 3, 1)
    slopes = 1 - four * four
    slopes *= 0.25 * d_pooled[:, :, None, :, None, :]
    slopes = slopes.reshape(-1, filters)
    return loss, {
        "kernel": (slopes.T @ windows).reshape(filters, 3, 3),
        "bias": slopes.sum(axis=0),
        "dense": error.T @ pooled,
        "shift": error.sum(axis=0),
    }


WRITTEN = {gpt_loss: gpt, lstm_loss: lstm, convolution_loss: convolution}
