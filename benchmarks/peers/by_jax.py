"""JAX: one jitted function in float64, waited for; an epoch is a `lax.scan` inside it."""

import jax
import jax.numpy as jnp
from harness import Peer, Prepared
from problems import Network

from peers import by_numpy

jax.config.update("jax_enable_x64", True)


def output(layers, h):
    for W, b in layers:
        h = jnp.tanh(h @ W + b)
    return h


def loss_of(layers, X, Y):
    error = output(layers, X) - Y
    return jnp.sum(error * error)


def layers_of(problem: Network) -> list:
    weights, biases = by_numpy.arrays(problem)
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


KINDS = {"gradient": gradient, "epoch": epoch, "step": step, "hessian": hessian}
PEERS = [Peer("jax.jit", "jax", KINDS)]
