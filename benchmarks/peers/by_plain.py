"""The plain class of `examples/scalar.py`: what people write, and then port by hand."""

from harness import Peer, Prepared
from scalars import Scalars, plain_class, plain_functions


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


PEERS = [Peer("plain class", "math", {"scalars": scalars})]
