"""Optimizers: how a parameter moves, given its gradient.

Each is written once, in operators and operations, and runs on floats as on graph nodes, so that the
update becomes part of the compiled training step.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Literal

from ..errors import UnknownNameError
from ..ops.scalar import maximum, sqrt
from ..storage import restore
from .schedules import Schedule, check_rate, rate_at
from .settings import FRACTION, NOT_NEGATIVE, POSITIVE, Range, is_number

Scalars = tuple[Any, ...]


@dataclass(frozen=True)
class Optimizer:
    """What every optimizer has; subclass it to write another.

    slots   names of the numbers it remembers for each parameter; they start at 0
    shared  names of the numbers it remembers once for all parameters
    start   what each of `shared` starts at

    Its settings are the fields of a frozen dataclass. Those that are called as in the optimizers
    here are checked as there; what others may be is for the subclass to say. `lr` may be a
    schedule, a function of the number of steps taken; `update` finds what it gives in its place.

    >>> @dataclass(frozen=True)
    ... class SignDescent(Optimizer):
    ...     lr: float = 0.01
    ...     def update(self, parameter, gradient, slots, shared):
    ...         return parameter - self.lr * (2 * (gradient > 0) - 1), ()
    >>> SignDescent(0.5).step([1.0, 2.0], [3.0, -3.0], [])
    ([0.5, 2.5], [])
    """

    __setstate__ = restore

    slots: ClassVar[tuple[str, ...]] = ()
    shared: ClassVar[tuple[str, ...]] = ()
    start: ClassVar[tuple[float, ...]] = ()

    def __post_init__(self) -> None:
        name = type(self).__name__
        for field in (field.name for field in fields(self)):
            if field == "lr":
                check_rate(getattr(self, field), f"{name}: lr")
            elif field in _RANGES:
                _RANGES[field].check(getattr(self, field), f"{name}: {field}")

    @property
    def remembered(self) -> tuple[str, ...]:
        """Names of the numbers kept once: `shared`, and for a schedule how many `steps` there were.

        >>> Adam().remembered, SGD(lambda step: 1 / (step + 1)).remembered
        (('beta1_power', 'beta2_power'), ('steps',))
        """
        return (*self.shared, "steps") if self._is_scheduled else self.shared

    @property
    def kinds(self) -> tuple[type[Optimizer], ...]:
        """Its class, and those of the optimizers inside of it.

        >>> [kind.__name__ for kind in Clipped(Adam()).kinds]
        ['Clipped', 'Adam']
        """
        return (type(self),)

    @property
    def _is_scheduled(self) -> bool:
        return callable(getattr(self, "lr", None))

    def state(self, parameters: int) -> list[float]:
        """The state before the first step: what is kept once, then each slot for all parameters.

        >>> Adam().state(2)
        [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
        """
        once = [*self.start, *[0.0] * self._is_scheduled]
        return [*once, *[0.0] * (len(self.slots) * parameters)]

    def advance(self, shared: Scalars) -> Scalars:
        """The shared numbers at the next step; `update` is given these."""
        return shared

    def update(
        self, parameter: Any, gradient: Any, slots: Scalars, shared: Scalars
    ) -> tuple[Any, Scalars]:
        """The parameter and its slots after one step."""
        raise NotImplementedError

    def step(
        self, parameters: Sequence[Any], gradients: Sequence[Any], state: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """All parameters and the whole state after one step, from floats or from graph nodes.

        >>> SGD(0.5).step([1.0, 2.0], [2.0, -2.0], [])
        ([0.0, 3.0], [])
        """
        count, ahead = len(parameters), len(self.remembered)
        shared, steps = (
            self.advance(tuple(state[: len(self.shared)])),
            state[len(self.shared) : ahead],
        )
        rule = self._at(*steps) if steps else self
        columns = [
            state[ahead + k * count : ahead + (k + 1) * count] for k in range(len(self.slots))
        ]
        moved = [
            rule.update(parameter, gradient, tuple(column[i] for column in columns), shared)
            for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True))
        ]
        slots = [new[k] for k in range(len(self.slots)) for _, new in moved]
        once = [*shared, *(step + 1 for step in steps)]
        return [parameter for parameter, _ in moved], [*once, *slots]

    def at_step(self, once: Scalars) -> tuple[Optimizer, Scalars, Scalars]:
        """What the numbers kept once say of the next step, and what they are after it.

        This is the optimizer with its learning rate at that step, and the shared numbers.

        >>> SGD(lambda step: 1 / (step + 1)).at_step((3.0,))
        (SGD(lr=0.25), (), (4.0,))
        """
        shared, steps = self.advance(once[: len(self.shared)]), once[len(self.shared) :]
        rule = self._at(*steps) if steps else self
        return rule, shared, (*shared, *(step + 1 for step in steps))

    def innermost(self, parameters: Any, gradients: Any) -> tuple[Optimizer, Any]:
        """The optimizer that moves an array of parameters, and the gradients that it is given.

        >>> import numpy
        >>> Clipped(SGD(1.0), norm=1.0).innermost(numpy.zeros(2), numpy.array([3.0, -4.0]))
        (SGD(lr=1.0), array([ 0.6, -0.8]))
        """
        return self, gradients

    def _at(self, step: Any) -> Optimizer:
        """The same with the learning rate of a step, which may be a graph's node."""
        rule = copy(self)
        object.__setattr__(rule, "lr", rate_at(getattr(self, "lr", None), step))
        return rule


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: p ← p - lr·g (Robbins & Monro 1951; Cauchy 1847 for the full batch).

    >>> SGD(0.1).update(1.0, 2.0, (), ())
    (0.8, ())
    """

    lr: float | Schedule = 0.01

    def update(
        self, parameter: Any, gradient: Any, slots: Scalars, shared: Scalars
    ) -> tuple[Any, Scalars]:
        """The parameter moved against its gradient."""
        return parameter - self.lr * gradient, ()


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with a heavy ball: v ← momentum·v + g, p ← p - lr·v.

    Polyak 1964, "Some methods of speeding up the convergence of iteration methods"; for a constant
    lr the same steps as Sutskever et al. 2013, eq. 1 and 2, whose velocity is -lr·v.

    >>> Momentum(0.5, 0.5).update(1.0, 2.0, (4.0,), ())
    (-1.0, (4.0,))
    """

    lr: float | Schedule = 0.01
    momentum: float = 0.9
    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def update(
        self, parameter: Any, gradient: Any, slots: Scalars, shared: Scalars
    ) -> tuple[Any, Scalars]:
        """The parameter moved along the velocity, and the velocity."""
        (velocity,) = slots
        velocity = self.momentum * velocity + gradient
        return parameter - self.lr * velocity, (velocity,)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps scaled by running moments of the gradient (Kingma & Ba 2015, algorithm 1).

    m ← beta1·m + (1 - beta1)·g, v ← beta2·v + (1 - beta2)·g², and
    p ← p - lr·m̂ / (√v̂ + eps) with m̂ = m / (1 - beta1ᵗ) and v̂ = v / (1 - beta2ᵗ), in the order that
    section 2 of the paper recommends: corrections are numbers, so that they cost nothing for each
    parameter. The powers of beta1 and beta2 are the state all parameters share.

    >>> p, (m, v) = Adam(0.5).update(1.0, 2.0, (0.0, 0.0), (0.9, 0.999))
    >>> round(p, 6), round(m, 6), round(v, 6)
    (0.5, 0.2, 0.004)
    """

    lr: float | Schedule = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("m", "v")
    shared: ClassVar[tuple[str, ...]] = ("beta1_power", "beta2_power")
    start: ClassVar[tuple[float, ...]] = (1.0, 1.0)

    def advance(self, shared: Scalars) -> Scalars:
        """The powers beta1ᵗ and beta2ᵗ of the next step."""
        power1, power2 = shared
        return power1 * self.beta1, power2 * self.beta2

    def update(
        self, parameter: Any, gradient: Any, slots: Scalars, shared: Scalars
    ) -> tuple[Any, Scalars]:
        """The parameter moved by the corrected moments, and the moments."""
        m, v = slots
        power1, power2 = shared
        m = self.beta1 * m + (1 - self.beta1) * gradient
        v = self.beta2 * v + (1 - self.beta2) * (gradient * gradient)
        correction = sqrt(1 - power2)
        rate = self.lr * (correction / (1 - power1))
        return self.decayed(parameter) - rate * m / (sqrt(v) + self.eps * correction), (m, v)

    def decayed(self, parameter: Any) -> Any:
        """The parameter before it moves: as it is."""
        return parameter


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    p ← p - lr·weight_decay·p - lr·m̂ / (√v̂ + eps): the paper's step with α = 1 and its schedule
    multiplier η as `lr`, which is how PyTorch and Optax write it. Every parameter decays, biases
    included.

    >>> p, _ = AdamW(0.5, weight_decay=0.1).update(1.0, 2.0, (0.0, 0.0), (0.9, 0.999))
    >>> round(p, 6)
    0.45
    """

    weight_decay: float = 0.01

    def decayed(self, parameter: Any) -> Any:
        """The parameter shrunk towards 0 by lr·weight_decay of itself."""
        rate: Any = self.lr
        return parameter - (rate * self.weight_decay) * parameter


@dataclass(frozen=True)
class _Around(Optimizer):
    """An optimizer that is given other gradients; it remembers what the one inside does."""

    optimizer: Optimizer

    def __post_init__(self) -> None:
        inside = find_optimizer(self.optimizer)
        known = {"optimizer": inside, "slots": inside.slots, "shared": inside.remembered}
        for name, thing in known.items():
            object.__setattr__(self, name, thing)
        super().__post_init__()

    @property
    def kinds(self) -> tuple[type[Optimizer], ...]:
        """Its class, and those of the optimizers inside of it."""
        return (type(self), *self.optimizer.kinds)

    def state(self, parameters: int) -> list[float]:
        """The state of the optimizer inside."""
        return self.optimizer.state(parameters)

    def step(
        self, parameters: Sequence[Any], gradients: Sequence[Any], state: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """The step of the optimizer inside, with the gradients that it is given here."""
        return self.optimizer.step(parameters, self.gradients(parameters, gradients), state)

    def at_step(self, once: Scalars) -> tuple[Optimizer, Scalars, Scalars]:
        """The same around what the optimizer inside is at that step."""
        inside, shared, after = self.optimizer.at_step(once)
        rule = copy(self)
        object.__setattr__(rule, "optimizer", inside)
        return rule, shared, after

    def innermost(self, parameters: Any, gradients: Any) -> tuple[Optimizer, Any]:
        """That of the optimizer inside, with the gradients that it is given here."""
        return self.optimizer.innermost(parameters, self.gradients_of_all(parameters, gradients))

    def gradients(self, parameters: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
        """The gradients in the place of those that were derived."""
        raise NotImplementedError

    def gradients_of_all(self, parameters: Any, gradients: Any) -> Any:
        """The same of arrays."""
        import numpy

        return numpy.array(self.gradients(parameters, gradients), float)


@dataclass(frozen=True)
class Clipped(_Around):
    """Gradients that are longer than `norm` are scaled down to it, all by the same factor.

    Their length is the Euclidean norm of all of them together; the optimizer inside takes the step
    (Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks",
    algorithm 1).

    >>> Clipped(SGD(1.0), norm=1.0).step([0.0, 0.0], [3.0, -4.0], [])
    ([-0.6000000000000001, 0.8], [])
    """

    norm: float = 1.0

    def gradients(self, parameters: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
        """The gradients, no longer than `norm` together."""
        scale = self._scale(sum(g * g for g in gradients))
        return [g * scale for g in gradients]

    def gradients_of_all(self, parameters: Any, gradients: Any) -> Any:
        """The same of arrays."""
        return gradients * self._scale((gradients * gradients).sum())

    def _scale(self, squares: Any) -> Any:
        """What gradients are multiplied by whose squares add up to this."""
        return self.norm / maximum(sqrt(squares), self.norm)


@dataclass(frozen=True)
class Decayed(_Around):
    """Parameters are pulled towards 0: the gradient of weight_decay·p²/2 is added to each.

    This is L2 regularisation of a loss that is not averaged over the parameters; for `AdamW` decay
    is apart from the gradient (Loshchilov & Hutter 2019).

    >>> Decayed(SGD(0.5), weight_decay=0.1).step([2.0], [1.0], [])
    ([1.4], [])
    """

    weight_decay: float = 0.01

    def gradients(self, parameters: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
        """The gradients of the loss and of the penalty."""
        pairs = zip(parameters, gradients, strict=True)
        return [self.gradients_of_all(parameter, gradient) for parameter, gradient in pairs]

    def gradients_of_all(self, parameters: Any, gradients: Any) -> Any:
        """The same of arrays."""
        return gradients + self.weight_decay * parameters


_RANGES: Final[dict[str, Range]] = {
    "momentum": FRACTION,
    "beta1": FRACTION,
    "beta2": FRACTION,
    "eps": POSITIVE,
    "norm": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
}

OptimizerName = Literal["sgd", "momentum", "adam", "adamw"]
"""The optimizers that `fit` knows by name."""

OPTIMIZERS: Final[dict[str, type[Optimizer]]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adam": Adam,
    "adamw": AdamW,
}
"""Every optimizer by the name `fit` accepts; the name alone means its default settings."""


def find_optimizer(optimizer: Any) -> Optimizer:
    """The optimizer itself, or the one of a name with its default settings.

    >>> find_optimizer("momentum")
    Momentum(lr=0.01, momentum=0.9)
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer in OPTIMIZERS:
        return OPTIMIZERS[optimizer]()
    unknown = UnknownNameError.of("optimizer", optimizer, OPTIMIZERS)
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        rate = getattr(optimizer, "lr", "")
        raise UnknownNameError(f"{unknown}; for settings write {optimizer.__name__}({rate})")
    if is_number(optimizer):
        raise UnknownNameError(f"{unknown}; for a learning rate write SGD({optimizer})")
    raise unknown
