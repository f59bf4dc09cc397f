"""A graph as text: JSON in networkx's node-link form, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from ..errors import OperandError, SaveFileError, ShapeError, SizeError, kind_of, shorten
from ..graph.expr import Graph
from ..ops.record import Op
from ..ops.shapes import shape_text
from .networkx import check_size, fault, from_networkx

FORMAT: Final = "wengert graph"
VERSION: Final = 1
MAX_CHARACTERS: Final = 4_000_000_000
"""The longest JSON text that is read, in characters."""

_NODE_FIELDS: Final = ("op", "name", "value", "shape", "statics", "origin", "adjoint_of")


def to_json(graph: Graph) -> str:
    """A graph of scalars as JSON in networkx's node-link form; `from_json` reads it back.

    Strict JSON: numbers that are not finite are written as "inf", "-inf" and "nan". The same graph
    gives the same text. `passes` and the link to live `Value`s are left out.

    >>> g = Graph(); x = g.input("x"); y = x * x
    >>> print(from_json(to_json(g))[y.id])
    x*x
    """
    import networkx

    if not isinstance(graph, Graph):
        raise OperandError(
            f"{shorten(graph)} is {kind_of(graph)}; expected a Graph, such as expr.graph"
        )
    check_size(len(graph))
    if graph.shapes:
        node, shape = next(iter(graph.shapes.items()))
        raise ShapeError(
            f"node {node} is an array of shape {shape_text(shape)}; only graphs of scalars are "
            "written as JSON"
        )
    with graph.lock:
        data = networkx.node_link_data(graph.nx, edges="edges")
    for fields in data["nodes"]:
        fields["value"] = _encoded(fields["value"])
        fields["statics"] = [_encoded(number) for number in fields["statics"]]
    return json.dumps({"format": FORMAT, "version": VERSION, **data}, allow_nan=False)


def from_json(text: str, *, operations: Iterable[Op] = ()) -> Graph:
    """The graph that `to_json` wrote as `text`; errors and `operations` as of `from_networkx`.

    >>> from_json('{"format": "recipe"}')
    Traceback (most recent call last):
    wengert.errors.SaveFileError: the format is 'recipe', not 'wengert graph': this is another file
    """
    import networkx

    data = _parsed(text)
    check_size(len(_records(data, "nodes")))
    nodes = [_node_record(record) for record in _records(data, "nodes")]
    ids = {record["id"] for record in nodes}
    if len(ids) < len(nodes):
        raise fault(_first_repeat(record["id"] for record in nodes), "it is there twice")
    edges = [_edge_record(record, ids) for record in _records(data, "edges")]
    pairs = [(record["source"], record["target"]) for record in edges]
    if len(set(pairs)) < len(pairs):
        source, target = _first_repeat(pairs)
        raise fault(target, f"it has two edges from {shorten(source)}; one carries all positions")
    about = data.get("graph", {})
    if not isinstance(about, dict):
        raise SaveFileError(f"'graph' is {shorten(about)}; expected an object")
    whole = {"directed": True, "multigraph": False, "graph": about, "nodes": nodes, "edges": edges}
    return from_networkx(networkx.node_link_graph(whole, edges="edges"), operations=operations)


def _encoded(number: float | None) -> float | str | None:
    return number if number is None or math.isfinite(number) else repr(float(number))


def _decoded(number: Any) -> Any:
    return float(number) if number in ("inf", "-inf", "nan") else number


def _parsed(text: str) -> dict[str, Any]:
    """The JSON object of a saved graph, its header checked."""
    if not isinstance(text, str):
        raise SaveFileError(f"expected the text of a saved graph, got {kind_of(text)}")
    if len(text) > MAX_CHARACTERS:
        raise SizeError(f"{len(text):,} characters; the limit is {MAX_CHARACTERS:,}")
    try:
        data = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise SaveFileError(
            f"this is no JSON of a saved graph ({shorten(str(error))}); is it whole?"
        ) from None
    if not isinstance(data, dict):
        raise SaveFileError(f"expected a JSON object, got {shorten(data)}")
    if data.get("format") != FORMAT:
        found = shorten(data.get("format"))
        raise SaveFileError(f"the format is {found}, not {FORMAT!r}: this is another file")
    if data.get("version") != VERSION:
        found = shorten(data.get("version"))
        raise SaveFileError(f"version {found} of the format; this wengert reads version {VERSION}")
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not strict JSON; write it as text")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{shorten(digits)} is past the largest float")
    return number


def _records(data: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    records = data.get(name)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise SaveFileError(f"{name!r} is {shorten(records)}; expected a list of objects")
    return records


def _node_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields of a node of the file, numbers decoded."""
    node = record.get("id")
    if type(node) is not int and not isinstance(node, str):
        raise SaveFileError(f"the id of a node is {shorten(node)}; expected a number or text")
    fields = {name: record[name] for name in _NODE_FIELDS if name in record}
    if "value" in fields:
        fields["value"] = _decoded(fields["value"])
    if isinstance(fields.get("statics"), list):
        fields["statics"] = [_decoded(number) for number in fields["statics"]]
    return {"id": node, **fields}


def _edge_record(record: Mapping[str, Any], ids: set[Any]) -> dict[str, Any]:
    """The known fields of an edge of the file."""
    for end in ("source", "target"):
        node = record.get(end)
        if not isinstance(node, (int, str)) or isinstance(node, bool) or node not in ids:
            raise SaveFileError(f"the {end} of an edge is {shorten(node)}, which is not a node")
    return {name: record.get(name) for name in ("source", "target", "positions")}


def _first_repeat(things: Iterable[Any]) -> Any:
    seen = set()
    for thing in things:
        if thing in seen:
            return thing
        seen.add(thing)
    return None
