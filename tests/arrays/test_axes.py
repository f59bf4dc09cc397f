"""Axes have one letter for each thing that they are indices of, in every statement."""

import pytest
import scalar_programs as programs

import wengert as wg
from wengert.arrays.written import written_program


def lines(outputs):
    return str(wg.roll(outputs)).splitlines()


def matrix(graph, name, rows, columns):
    return [graph.inputs(f"{name}_{i}_", columns) for i in range(rows)]


def test_letters_come_from_the_names_of_leaves_and_are_the_same_in_the_backward_pass():
    graph = wg.Graph()
    table, up = matrix(graph, "wte", 5, 3), matrix(graph, "fc", 4, 3)
    hidden = [wg.relu(a) for token in (1, 3, 1) for a in programs.linear(table[token], up)]
    loss, leaves = sum(a * a for a in hidden), (*table, *up)
    found = lines([loss, *wg.grad(loss, [a for row in leaves for a in row], allow_unused=True)])
    assert found[0] == "t1[i, f] = Σ_e wte[wte_index[i], e]·fc[f, e]"
    assert any(line.startswith("dfc[f, e] = Σ_i ") for line in found)
    assert any(line.startswith("dwte[t, e] = ") for line in found)


def test_two_axes_over_one_thing_have_a_letter_each():
    graph = wg.Graph()
    rows = matrix(graph, "points", 4, 3)
    products = [programs.dot(a, b) for a in rows for b in rows]
    assert lines(products) == ["t1[p, q] = Σ_i points[p, i]·points[q, i]"]


def test_letters_are_never_the_names_of_arrays():
    graph = wg.Graph()
    i, points = matrix(graph, "i", 2, 3), graph.inputs("p", 3)
    assert lines([programs.dot(row, points) for row in i]) == ["t1[j] = Σ_k i[j, k]·p[k]"]


def test_arrays_as_users_write_them_have_the_same_letters():
    graph = wg.Graph()
    keys, queries = graph.array("keys", (4, 3)), graph.array("queries", (5, 3))
    sums = wg.exp(queries @ keys.T).sum(1)
    assert str(written_program(graph, [sums.id])) == (
        "t4[q] = Σ_k exp(Σ_i queries[q, i]·keys[k, i])"
    )


@pytest.mark.parametrize("layers", [1, 2])
def test_layers_have_the_same_letters(layers):
    source, loss = programs.gpt(4, 3, layers=layers)
    found = lines(source.with_gradient(loss))
    for layer in range(layers):
        assert any(line.startswith(f"q{layer}[p, q] = Σ_e wq{layer}[q, e]·") for line in found)


def test_what_weights_make_is_called_after_them_where_no_name_is_lost():
    graph = wg.Graph()
    weights, x = matrix(graph, "wq", 2, 3), graph.inputs("x", 3)
    made = programs.linear(x, weights)
    assert lines(made) == ["q[i] = Σ_j wq[i, j]·x[j]"]
    named = list(map(wg.tanh, made))
    for i, a in enumerate(named):
        a.label = f"q_{i}"
    assert lines(named) == ["q[i] = tanh(Σ_j wq[i, j]·x[j])"]
