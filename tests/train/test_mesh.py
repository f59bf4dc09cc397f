"""Training over several devices: the numbers of one, whatever the mesh."""

import json
import os
import socket
import subprocess
import sys
from types import MappingProxyType

import pytest

import wengert as wg
from wengert.train.mesh import check_mesh

pytest.importorskip("jax", exc_type=ImportError)

SCRIPT = r"""
import json, re, sys
import numpy as np
import jax
import wengert as wg
from wengert.train.mesh import MeshStep
from wengert.train.step import training_step

jax.config.update("jax_platforms", "cpu")
number, count, address = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if count > 1:
    jax.distributed.initialize(address, count, number)
draw = np.random.default_rng(0)
X = draw.normal(size=(48, 3))
Y = np.sin(X.sum(1))


def train(**options):
    net = wg.MLP(3, [5, 1], seed=0)  # 26 parameters
    history = wg.fit(net, X, Y, epochs=2, batch_size=24, optimizer=wg.Adam(0.01), **options)
    return [history.loss, [p.data for p in net.parameters()]]


def traffic():
    # what is communicated in a step of eight devices: each operation, and how many numbers
    net = wg.MLP(3, [5, 1], seed=0)
    step = training_step(net, target="jax")
    with jax.enable_x64(True):
        run = MeshStep(step, jax.make_mesh((8,), ("batch",)))
        params = [p.data for p in net.parameters()]
        lowered = run.lowered(params, [], X, Y)
    text = lowered.compile().as_text()
    found = re.findall(r"= (.*?) (all-\w+|reduce-scatter|collective-permute)\(", text)
    return [[name, sum(map(size, re.findall(r"f64\[([\d,]*)\]", kinds)))] for kinds, name in found]


def size(shape):
    return int(np.prod([int(n) for n in shape.split(",") if n]))


found = {"devices": jax.device_count(), "one": train(target="numpy")}
if count == 1:
    found["traffic"] = traffic()
    found["batch"] = train(mesh=jax.make_mesh((8,), ("batch",)))
found["both"] = train(mesh=jax.make_mesh((4, 2), ("batch", "parameters")))
print(json.dumps(found))
"""


def ran(devices, processes=1):
    """What the script prints in each process, with so many devices in each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(number), str(processes), address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for number in range(processes)
    ]
    try:
        told = [process.communicate(timeout=240) for process in running]
    finally:
        for process in running:
            process.kill()
    assert all(process.returncode == 0 for process in running), told
    return [json.loads(out.splitlines()[-1]) for out, _ in told]


def flat(numbers):
    return [x for row in numbers for x in row]


@pytest.mark.parametrize(("devices", "processes"), [(8, 1), (4, 2)])
def test_any_mesh_trains_to_the_numbers_of_one_device(devices, processes):
    for found in ran(devices, processes):
        assert found["devices"] == 8
        if processes == 1:  # the gradient and the loss, once
            assert found.pop("traffic") == [["all-reduce", 27]]
        for kind in found.keys() - {"devices", "one"}:
            assert flat(found[kind]) == pytest.approx(flat(found["one"]), rel=1e-12, abs=1e-13)


def mesh_of_one():
    import jax

    return jax.make_mesh((1,), ("batch",))


class Pretended:
    """A mesh with more devices than there are here."""

    axis_names = ("batch", "parameters")
    shape = MappingProxyType({"batch": 4, "parameters": 3})


def test_a_mesh_of_one_device_is_that_device():
    losses = []
    for options in ({"target": "numpy"}, {"mesh": mesh_of_one()}):
        net = wg.MLP(2, [1], seed=0)
        losses.append(wg.fit(net, [[0.0, 1.0], [1.0, 0.5]], [1.0, 0.0], epochs=2, **options).loss)
    assert losses[1] == pytest.approx(losses[0], rel=1e-14)


def test_what_a_mesh_cannot_share_is_refused_with_both_numbers(monkeypatch):
    import jax

    monkeypatch.setattr(jax.sharding, "Mesh", Pretended)
    with pytest.raises(wg.SettingError, match=r"4 devices along 'batch', and a step takes 6 samp"):
        check_mesh(Pretended(), "jax", [8, 6], 9)
    with pytest.raises(wg.SettingError, match=r"3 devices along 'parameters', .* 10 parameters"):
        check_mesh(Pretended(), "jax", [8], 10)
    check_mesh(Pretended(), "jax", [8, 4], 9)


def test_a_mesh_is_a_mesh_and_its_devices_are_those_of_jax():
    net = wg.MLP(2, [1], seed=0)
    with pytest.raises(wg.SettingError, match=r"expected a jax.sharding.Mesh"):
        wg.fit(net, [[0.0, 1.0]], [1.0], epochs=1, mesh=8)
    with pytest.raises(wg.SettingError, match="target='jax'"):
        wg.fit(net, [[0.0, 1.0]], [1.0], epochs=1, mesh=mesh_of_one(), target="numpy")
