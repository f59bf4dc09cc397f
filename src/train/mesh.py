"""Training on several devices: the samples of a step over the devices of a mesh, by JAX.

The step is the function that one device would run. Where its arguments lie says where it runs: XLA
gives each device its share of the samples and adds up what is summed over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..codegen.compiled import Compiled
from ..codegen.engines import jaxtarget
from ..errors import SettingError, kind_of, shorten

SAMPLES: Final = "batch"
"""The axis of a mesh over which samples go; the first axis, where none is called so."""

PARAMETERS: Final = "parameters"
"""The axis over which parameters go; where there is none, each device has them all."""


def check_mesh(mesh: Any, target: str, sizes: Sequence[int], parameters: int) -> None:
    """A `SettingError` unless steps of so many samples, and parameters, go over the mesh evenly."""
    if target != "jax":
        raise SettingError(
            f"mesh is given, and the target is {target!r}; devices are JAX's: target='jax'"
        )
    jax = jaxtarget.engine()
    if not isinstance(mesh, jax.sharding.Mesh):
        raise SettingError(
            f"mesh is {shorten(mesh)}, {kind_of(mesh)}; expected a jax.sharding.Mesh, such as "
            'jax.make_mesh((jax.device_count(),), ("batch",))'
        )
    axis = _axis(mesh)
    count = mesh.shape[axis]
    for size in dict.fromkeys(sizes):
        if size % count:
            raise SettingError(
                f"the mesh has {count} devices along {axis!r}, and a step takes {size} samples, "
                "which they cannot share evenly; give numbers of samples, and a batch_size, that "
                f"are multiples of {count}"
            )
    along = mesh.shape.get(PARAMETERS, 1)
    if parameters % along:
        raise SettingError(
            f"the mesh has {along} devices along {PARAMETERS!r}, and there are {parameters:,} "
            "parameters, which they cannot share evenly; leave that axis out, or give it a length "
            "that divides them"
        )


def _axis(mesh: Any) -> str:
    """The axis that the samples go over."""
    return SAMPLES if SAMPLES in mesh.axis_names else str(mesh.axis_names[0])


class MeshStep:
    """A step whose arguments are laid over a mesh before it runs; otherwise the step it is made of.

    Every process of a run on several calls it with the same numbers, and holds its own part.
    """

    def __init__(self, step: Compiled, mesh: Any) -> None:
        jax = jaxtarget.engine()
        self._jax = jax
        mesh = jax.sharding.Mesh(mesh.devices, mesh.axis_names)  # XLA finds where the rest goes
        self.program, self.recipe, self.target = step.program, step.recipe, step.target
        self._samples = jax.sharding.NamedSharding(mesh, jax.P(_axis(mesh)))
        self._everywhere = jax.sharding.NamedSharding(mesh, jax.P())
        self._along = mesh.shape.get(PARAMETERS, 1)
        spread = PARAMETERS if self._along > 1 else None
        self._spread = jax.sharding.NamedSharding(mesh, jax.P(spread))
        self._data: tuple[Any, Any] = ((), ((), ()))
        self._run = jax.jit(step.function)
        self._moved = {
            where: jax.jit(lambda x: x, out_shardings=where)
            for where in (self._everywhere, self._spread)
        }

    def __call__(self, *arguments: Any) -> Any:
        """What the step gives, parameters and state laid as they came."""
        params, state, rows, targets = arguments
        found = self._run(self._own(params), self._own(state), *self._samples_of(rows, targets))
        for name in ("params", "state"):
            found[name] = self._own(found[name])
        return found

    def lowered(self, params: Any, state: Any, rows: Any, targets: Any) -> Any:
        """The step as JAX lowers it, for whoever wants to see what devices exchange."""
        given = self._own(params), self._own(state), *self._samples_of(rows, targets)
        return self._run.lower(*given)

    def _samples_of(self, rows: Any, targets: Any) -> Any:
        """The samples over the mesh; those of the step before are there already."""
        given, placed = self._data
        if len(given) != 2 or given[0] is not rows or given[1] is not targets:
            placed = self._laid(rows, self._samples), self._laid(targets, self._samples)
            self._data = (rows, targets), placed
        return placed

    def _own(self, numbers: Any) -> Any:
        """Parameters or state where they belong."""
        import numpy

        if isinstance(numbers, list):
            numbers = numpy.array(numbers, numpy.float64)
        divided = self._along > 1 and len(numbers) > 0 and len(numbers) % self._along == 0
        where = self._spread if divided else self._everywhere
        if isinstance(numbers, self._jax.Array):
            return numbers if numbers.sharding == where else self._moved[where](numbers)
        return self._laid(numbers, where)

    def _laid(self, array: Any, where: Any) -> Any:
        """A NumPy array over the mesh; each process takes what its devices hold."""
        return self._jax.make_array_from_callback(array.shape, where, lambda index: array[index])

    def fetched(self, numbers: Any) -> Any:
        """Parameters or state as NumPy's array, in every process."""
        import numpy

        if not isinstance(numbers, self._jax.Array):
            return numbers
        with self._jax.enable_x64(True):
            return numpy.asarray(self._moved[self._everywhere](numbers))
