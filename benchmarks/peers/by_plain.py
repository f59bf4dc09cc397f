"""The plain class of `examples/scalar.py`: what people write, and then port by hand."""

from dataclasses import replace

from harness import Peer, Prepared
from scalars import Scalars, cut_in, gpt_loss, plain_class, plain_functions


def scalars(problem: Scalars) -> Prepared:
    Value = plain_class()
    params = [Value(number) for number in problem.params]
    weights, functions = problem.weights(params), plain_functions(Value)

    def call():
        for p in params:
            p.grad = 0.0
        loss = problem.total(weights, functions)
        loss.backward()
        return loss

    return Prepared(call, lambda loss: [loss.data, *(p.grad for p in params)])


def documents(problem: Scalars) -> Prepared:
    """Letters are picked from the table by their numbers, as whoever writes this class does."""
    letters = problem.shapes["wte"][0]
    X, Y = (
        tuple(tuple(hot.index(1.0) for hot in cut_in(row, letters)) for row in rows)
        for rows in (problem.X, problem.Y)
    )
    return scalars(replace(problem, loss=gpt_loss, X=X, Y=Y, indices=True))


PEERS = [Peer("plain class", "math", {"scalars": scalars, "documents": documents})]
