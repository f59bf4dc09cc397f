"""The cases, each a problem, a kind of task and the goals it is held to.

A kind is a key of `Peer.prepare`. A new case is a line in `CASES`; a new kind is also a function in
each peer that offers it, and one in `problems` that says what is right.
"""

from functools import partial

from harness import Case
from problems import (
    all_told,
    attention_head,
    exact_adam,
    exact_attention,
    exact_epoch,
    exact_gradient,
    exact_hessian,
    exact_residual,
    exact_step,
    handwritten,
    moons,
    notebook,
    one_hot,
    regression,
    residual_network,
)
from scalars import convolution, documents, exact_scalars, gpt, lstm

NATIVE, NATIVE32 = "wengert native", "wengert native, float32"


def best(factor: float) -> dict[str, float]:
    """At least so many times as fast as each of those that write arrays by hand."""
    return dict.fromkeys(("numpy by hand", "jax.jit", "pytorch", "pytensor c"), factor)


FASTER_THAN_ARRAYS = {"jax.jit": 1.0, "pytorch": 1.0, "numpy by hand": 1.0}

CASES = (
    Case(
        "notebook",
        "loss and all 41 gradients of the notebook's 4 samples, MLP(3, [4, 4, 1])",
        "gradient",
        notebook,
        exact_gradient,
        {"micrograd": 150.0, **FASTER_THAN_ARRAYS, "sympy lambdify": 1.0, "casadi": 1.0},
        native={"casadi C, buffered": 1.0},
    ),
    Case(
        "moons",
        "loss and all 337 gradients of 200 samples in one batch, 2-16-16-1",
        "gradient",
        moons,
        exact_gradient,
    ),
    Case(
        "moons-epoch",
        "an epoch of SGD over 200 samples, 10 minibatches of 20, 2-16-16-1",
        "epoch",
        moons,
        exact_epoch,
    ),
    Case(
        "hessian",
        "output, gradient and Hessian by the 2 inputs at a point, 2-16-16-1",
        "hessian",
        moons,
        exact_hessian,
        native={"casadi C, buffered": 1.0},
    ),
    *(
        Case(
            f"{name}-{samples}",
            f"loss and all gradients of {samples} samples in one batch, "
            f"{'-'.join(map(str, sizes))}",
            "gradient",
            partial(regression, sizes, samples, 0.01),
            exact_gradient,
            ours=NATIVE,
            native={"jax.jit": factor, "pytorch": factor},
        )
        for name, sizes in (("narrow", (2, 16, 16, 1)), ("wide", (8, 32, 32, 1)))
        for samples, factor in ((8, 20.0), (1024, 2.0))
    ),
    Case(
        "digits",
        "loss and all 2,410 gradients of a batch of 32, 64-32-10",
        "gradient",
        partial(one_hot, (64, 32, 10), 32),
        exact_gradient,
        FASTER_THAN_ARRAYS,
        ours="wengert numpy",
        native=best(2.0),
    ),
    Case(
        "mnist",
        "loss and all 39,760 gradients of a batch of 32, 784-50-10",
        "gradient",
        partial(one_hot, (784, 50, 10), 32),
        exact_gradient,
        {"numpy by hand": 1 / 1.1},
        ours="wengert numpy",
        native=best(1.3),
    ),
    Case(
        "step",
        "loss, gradients and SGD update of a batch of 32, 784-50-10",
        "step",
        partial(one_hot, (784, 50, 10), 32, rate=0.1),
        exact_step,
        {"numpy by hand": 1 / 1.1},
        ours="wengert numpy",
    ),
    Case(
        "adam",
        "loss, 61 gradients and Adam's update of a batch of 32, 8-6-1",
        "adam",
        partial(regression, (8, 6, 1), 32, rate=0.01),
        exact_adam,
        {"numpy by hand": 1 / 1.25},
        ours="wengert numpy",
    ),
    Case(
        "adam-deep",
        "loss, 433 gradients and Adam's update of a batch of 32, 8-16-16-1",
        "adam",
        partial(regression, (8, 16, 16, 1), 32, rate=0.01),
        exact_adam,
        {"numpy by hand": 1 / 1.25},
        ours="wengert numpy",
    ),
    Case(
        "classifier",
        "a classifier of handwritten digits, made and trained for 100 epochs, 64-32-10",
        "classifier",
        partial(handwritten, (32,), 100),
        all_told,
        ours="wengert numpy, estimator",
    ),
    Case(
        "residual",
        "loss and all 512 gradients of a batch of 32, two layers h + tanh(W h) of 16",
        "residual",
        partial(residual_network, 16, 32),
        exact_residual,
        ours="wengert numpy",
    ),
    Case(
        "attention",
        "loss and all 192 gradients of a head of causal attention, 8 positions of 8",
        "attention",
        partial(attention_head, 8, 8),
        exact_attention,
        ours="wengert numpy",
    ),
    Case(
        "gpt-7",
        "loss and all 4,192 gradients of a GPT on a document of 7 letters, width 16",
        "scalars",
        partial(gpt, 7),
        exact_scalars,
        {"numpy by hand": 1 / 1.3},
        ours="wengert numpy",
        native={"plain class": 1600.0, "numpy by hand": 1.0},
    ),
    Case(
        "gpt-16",
        "loss and all 4,192 gradients of a GPT on a document of 16 letters, width 16",
        "scalars",
        partial(gpt, 16),
        exact_scalars,
        {"numpy by hand": 1 / 1.3},
        ours="wengert numpy",
    ),
    Case(
        "gpt-64",
        "loss and all 53,632 gradients of a GPT on a document of 7 letters, width 64",
        "scalars",
        partial(gpt, 7, 64),
        exact_scalars,
        ours=NATIVE,
        native={"plain class": 2400.0, "numpy by hand": 1.0},
    ),
    Case(
        "gpt-batch",
        "loss and all 4,192 gradients of the GPT on 16 documents of 7 letters each",
        "documents",
        partial(documents, 16, 7),
        exact_scalars,
        {"plain class": 10_000.0},
        ours=NATIVE32,
    ),
    Case(
        "lstm",
        "loss and all 1,600 gradients of an LSTM of 16 steps, 8 inputs, width 16",
        "scalars",
        partial(lstm, 16, 8, 16),
        exact_scalars,
        ours="wengert numpy",
    ),
    Case(
        "convolution",
        "loss and all 410 gradients of 4 filters on a batch of 32 images of 8 by 8",
        "scalars",
        partial(convolution, 8, 4, 10, 32),
        exact_scalars,
        ours="wengert numpy",
    ),
)
