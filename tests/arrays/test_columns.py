"""Columns of coordinates as indices of axes."""

import numpy as np

from wengert.arrays.columns import Key, index_of
from wengert.ops.reads import Table


def test_a_column_over_axes_that_hold_few_points_is_a_table_all_the_same():
    draw = np.random.default_rng(0)
    places = np.sort(draw.choice(1328, 40, replace=False))
    keys = [Key("a", places, 1328), Key("b", draw.permutation(np.arange(40) % 16), 16)]
    column = np.arange(40) % 9
    found = index_of(np.concatenate([column, column[::-1] + 1]), twice(keys))
    assert isinstance(found, Table)
    assert found.axes == ("a", "b")
    table = np.array(found.values).reshape(found.lengths)
    assert (table[keys[0].column, keys[1].column] == column).all()


def twice(keys):
    """Keys of which no axis alone tells the points apart."""
    first, second = keys
    a = np.concatenate([first.column, first.column[::-1]])
    b = np.concatenate([second.column, (second.column[::-1] + 1) % second.length])
    return [Key("a", a, first.length), Key("b", b, second.length)]
