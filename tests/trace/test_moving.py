"""Numbers and gradients of many Values: as machine code moves them, so does Python."""

import numpy as np
import pytest

import wengert as wg
from wengert import Value
from wengert.trace import moving
from wengert.trace.moving import add_shares, vector_of, write_numbers

COUNT = 3 * moving.MANY


@pytest.fixture(params=["machine code", "Python"])
def way(request, monkeypatch):
    if request.param == "Python":
        monkeypatch.setattr(moving, "slots", lambda: None)
    else:
        pytest.importorskip("llvmlite")
        assert moving.slots() is not None
    return request.param


@pytest.fixture(params=[list, tuple])
def values(request):
    return request.param(Value(k / 7) for k in range(COUNT))


def test_numbers_are_read_and_written(way, values):
    values[3].data, values[4].data = 3, -1  # as users write them
    expected = [float(value.data) for value in values]
    found = vector_of(values)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == expected
    write_numbers(values, found * 2)
    assert [value.data for value in values] == [2 * number for number in expected]
    assert type(values[3].data) is float


def test_gradients_are_added_to_whatever_counts_as_a_number(way, values):
    slopes = np.linspace(-1.0, 1.0, COUNT)
    for k, grad in {2: None, 5: 0, 7: 2, 9: -1, 11: True, 13: 2.5}.items():
        values[k].grad = grad
    before = [value.grad or 0.0 for value in values]
    add_shares(values, slopes, 0.3)
    expected = [b + 0.3 * slope for b, slope in zip(before, slopes.tolist(), strict=True)]
    assert [value.grad for value in values] == expected


def test_numbers_that_others_hold_stay_what_they_are(way, values):
    """A float is written where it lies only if nothing else has it."""
    shared = values[1].data + 0.5
    values[2].data = values[3].data = shared  # one float in two Values and a name
    values[4].grad = values[5].grad = shared
    kept = [value.data for value in values]
    before = kept.copy()
    write_numbers(values, np.arange(COUNT) + 0.25)
    add_shares(values, np.ones(COUNT), 2.0)
    assert kept == before
    assert shared == before[2]
    assert [value.data for value in values] == [k + 0.25 for k in range(COUNT)]
    assert [value.grad for value in values[3:6]] == [2.0, shared + 2.0, shared + 2.0]
    read = [value.data for value in values]
    write_numbers(values, np.zeros(COUNT))
    assert read == [k + 0.25 for k in range(COUNT)]


def test_slopes_in_other_shapes_are_added_alike(way, values):
    for slopes in (np.arange(2.0 * COUNT)[::2], np.arange(COUNT, dtype=np.float32)):
        wg.zero_grad(values)
        add_shares(values, slopes, 1)
        assert [value.grad for value in values] == slopes.tolist()
    wg.zero_grad(values)
    add_shares(values, [0.5] * COUNT, 2.0)
    assert [value.grad for value in values] == [1.0] * COUNT


def test_what_is_no_number_is_an_error_and_what_has_none_as_well(way, values):
    values[COUNT // 2].grad = "text"
    with pytest.raises(TypeError):
        add_shares(values, np.ones(COUNT), 1)
    del values[1].grad
    with pytest.raises(AttributeError):
        add_shares(values, np.ones(COUNT), 1)


def test_gradients_of_subclasses_are_theirs(way):
    class Mine(Value):
        __slots__ = ("color",)

    values = [Mine(1.0) if k % 2 else Value(2.0) for k in range(COUNT)]
    assert vector_of(values).sum() == COUNT * 1.5
    add_shares(values, np.ones(COUNT), 1)
    assert {value.grad for value in values} == {1.0}


def test_no_reference_is_lost_or_kept(way, values):
    import sys

    number = float("0.123456")
    for value in values:
        value.data = value.grad = number
    before = sys.getrefcount(number)
    add_shares(values, np.ones(COUNT), 1)
    write_numbers(values, np.zeros(COUNT))
    assert sys.getrefcount(number) == before - 2 * COUNT
