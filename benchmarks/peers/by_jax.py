"""JAX: one jitted function in float64, waited for; an epoch is a `lax.scan` inside it."""

from functools import partial

import jax
import jax.numpy as jnp
from harness import Peer, Prepared
from problems import BETA1, BETA2, EPS, Matrices, Network, split
from scalars import Scalars

from peers import array_losses, by_numpy

jax.config.update("jax_enable_x64", True)


def output(layers, h):
    for W, b in layers:
        h = jnp.tanh(h @ W + b)
    return h


def loss_of(layers, X, Y):
    error = output(layers, X) - Y
    return jnp.sum(error * error)


def layers_of(problem: Network) -> list:
    return pairs(*by_numpy.arrays(problem))


def pairs(weights, biases) -> list:
    return [(jnp.asarray(W), jnp.asarray(b)) for W, b in zip(weights, biases, strict=True)]


def flat(layers) -> list[float]:
    return by_numpy.flat(*zip(*layers, strict=True))


def gradient(problem: Network) -> Prepared:
    layers, X, Y = layers_of(problem), jnp.array(problem.X), jnp.array(problem.Y)
    f = jax.jit(jax.value_and_grad(loss_of))
    return Prepared(
        lambda: jax.block_until_ready(f(layers, X, Y)),
        lambda r: [r[0], *flat(jax.device_get(r[1]))],
    )


def epoch(problem: Network) -> Prepared:
    start, rate = layers_of(problem), problem.rate
    X, Y = (
        jnp.array(rows).reshape(-1, problem.batch, len(rows[0])) for rows in (problem.X, problem.Y)
    )

    def step(layers, batch):
        steps = jax.grad(loss_of)(layers, *batch)
        return jax.tree.map(lambda p, d: p - rate * d, layers, steps), None

    f = jax.jit(lambda layers: jax.lax.scan(step, layers, (X, Y))[0])
    return Prepared(lambda: jax.block_until_ready(f(start)), lambda r: flat(jax.device_get(r)))


def step(problem: Network) -> Prepared:
    layers, X, Y = layers_of(problem), jnp.array(problem.X), jnp.array(problem.Y)
    rate, count = problem.rate, len(problem.X)

    def moved(layers, X, Y):
        loss, steps = jax.value_and_grad(lambda *a: loss_of(*a) / count)(layers, X, Y)
        return loss, jax.tree.map(lambda p, d: p - rate * d, layers, steps)

    f = jax.jit(moved)
    return Prepared(
        lambda: jax.block_until_ready(f(layers, X, Y)),
        lambda r: [r[0], *flat(jax.device_get(r[1]))],
    )


def hessian(problem: Network) -> Prepared:
    layers, point = layers_of(problem), jnp.array(problem.X[0])

    def scalar(x):
        return output(layers, x)[0]

    f = jax.jit(lambda x: (*jax.value_and_grad(scalar)(x), jax.hessian(scalar)(x)))
    return Prepared(
        lambda: jax.block_until_ready(f(point)),
        lambda r: [r[0], *r[1].tolist(), *r[2].ravel().tolist()],
    )


def adam(problem: Network) -> Prepared:
    layers, X, Y = layers_of(problem), jnp.array(problem.X), jnp.array(problem.Y)
    moments = [pairs(*by_numpy.arrays_of(split(m, problem.sizes))) for m in problem.moments]
    powers, rate, count = problem.state[:2], problem.rate, len(problem.X)

    def moved(layers, powers, first, second, X, Y):
        loss, g = jax.value_and_grad(lambda *a: loss_of(*a) / count)(layers, X, Y)
        power1, power2 = powers[0] * BETA1, powers[1] * BETA2
        first = jax.tree.map(lambda m, d: BETA1 * m + (1 - BETA1) * d, first, g)
        second = jax.tree.map(lambda v, d: BETA2 * v + (1 - BETA2) * d * d, second, g)

        def update(p, m, v):
            return p - rate * (m / (1 - power1)) / (jnp.sqrt(v / (1 - power2)) + EPS)

        return loss, jax.tree.map(update, layers, first, second), (power1, power2), first, second

    f = jax.jit(moved)

    def numbers(result):
        loss, layers, powers, first, second = jax.device_get(result)
        return [loss, *flat(layers), *powers, *flat(first), *flat(second)]

    given = (layers, tuple(map(jnp.asarray, powers)), *moments, X, Y)
    return Prepared(lambda: jax.block_until_ready(f(*given)), numbers)


def residual_loss(weights, h, Y):
    for W in weights:
        h = h + jnp.tanh(h @ W.T)
    error = h - Y
    return jnp.sum(error * error)


def attention_loss(weights, X, Y):
    q, k, v = (X @ W.T for W in weights)
    shares = jnp.exp(q @ k.T / X.shape[1] ** 0.5) * jnp.tri(len(X))
    error = shares / jnp.sum(shares, axis=1, keepdims=True) @ v - Y
    return jnp.sum(error * error)


def matrices(loss, problem: Matrices) -> Prepared:
    weights, X, Y = map(jnp.asarray, by_numpy.stacked(problem))
    f = jax.jit(jax.value_and_grad(loss))
    return Prepared(
        lambda: jax.block_until_ready(f(weights, X, Y)),
        lambda r: by_numpy.loss_and_array(jax.device_get(r)),
    )


def scalars(problem: Scalars) -> Prepared:
    weights, data = array_losses.given(problem)
    loss_of = partial(array_losses.WRITTEN[problem.loss], jnp)
    weights = {name: jnp.asarray(array) for name, array in weights.items()}
    f = jax.jit(jax.value_and_grad(lambda weights: loss_of(weights, *data)))

    def numbers(result):
        loss, gradients = jax.device_get(result)
        return array_losses.loss_and_arrays((loss, {name: gradients[name] for name in weights}))

    return Prepared(lambda: jax.block_until_ready(f(weights)), numbers)


KINDS = {
    "gradient": gradient,
    "epoch": epoch,
    "step": step,
    "hessian": hessian,
    "adam": adam,
    "residual": partial(matrices, residual_loss),
    "attention": partial(matrices, attention_loss),
    "scalars": scalars,
}
PEERS = [Peer("jax.jit", "jax", KINDS)]
