"""Graphs for files that hold numbers and text alone: GraphML, GML and GEXF, by networkx.

What those formats cannot hold, lists and whatever belongs to the graph as a whole, is JSON text in
attributes of the nodes and edges.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..errors import SaveFileError, shorten
from ..graph.expr import Graph

if TYPE_CHECKING:
    import networkx

_TEXTS: Final = ("value", "shape", "statics", "origin", "adjoint_of")


def to_networkx(graph: Graph) -> networkx.DiGraph[int]:
    """A networkx graph of plain attributes, which `networkx.write_graphml` and its like can write.

    It is that of `graph.nx`, and `from_networkx` reads it back, also from a file: numbers, lists
    and origins are JSON text, each output and gradient is noted at its node, and the nodes say
    that their encoding is "json".

    >>> import io, networkx, wengert as wg
    >>> g = wg.Graph(); x = g.input("x"); y = x * x
    >>> file = io.BytesIO(); networkx.write_graphml(wg.to_networkx(g), file); _ = file.seek(0)
    >>> print(wg.from_networkx(networkx.read_graphml(file))[1])
    x*x
    """
    import networkx

    plain: networkx.DiGraph[int] = networkx.DiGraph()
    for node, fields in graph.nx.nodes(data=True):
        kept = {"op": fields["op"], "name": fields["name"], "encoding": "json"}
        for name in _TEXTS:
            if fields.get(name) not in (None, (), []):
                kept[name] = json.dumps(_listed(fields[name]))
        plain.add_node(node, **kept)
    for operand, consumer, fields in graph.nx.edges(data=True):
        plain.add_edge(operand, consumer, positions=json.dumps(fields["positions"]))
    for place, node in enumerate(graph.outputs):
        _note(plain, node, "outputs", place)
    for place, ((output, leaf), node) in enumerate(list(graph.gradients.items())):
        _note(plain, node, "gradients", [place, output, leaf])
    return plain


def _listed(thing: Any) -> Any:
    return thing.tolist() if hasattr(thing, "tolist") else thing


def _note(plain: Any, node: int, name: str, entry: Any) -> None:
    noted = json.loads(plain.nodes[node].get(name, "[]"))
    plain.nodes[node][name] = json.dumps([*noted, entry])


def decoded(nx_graph: networkx.DiGraph[Any]) -> networkx.DiGraph[Any]:
    """A graph in the attributes of `graph.nx`: the same one, unless its nodes say they are text."""
    import networkx

    if not any(fields.get("encoding") == "json" for _, fields in nx_graph.nodes(data=True)):
        return nx_graph
    number = {node: int(node) if str(node).isdecimal() else node for node in nx_graph}
    found: networkx.DiGraph[Any] = networkx.DiGraph()
    outputs: list[tuple[int, Any]] = []
    gradients: list[list[Any]] = []
    for node, fields in nx_graph.nodes(data=True):
        read = {name: _read(node, fields, name) for name in _TEXTS if name in fields}
        found.add_node(number[node], op=fields.get("op"), name=fields.get("name", ""), **read)
        outputs += [(place, number[node]) for place in _read(node, fields, "outputs")]
        gradients += [[*entry, number[node]] for entry in _read(node, fields, "gradients")]
    for operand, consumer, fields in nx_graph.edges(data=True):
        positions = _read(consumer, fields, "positions")
        found.add_edge(number[operand], number[consumer], positions=positions)
    found.graph["outputs"] = [node for _, node in sorted(outputs)]
    found.graph["gradients"] = [entry[1:] for entry in sorted(gradients)]
    return found


def _read(node: object, fields: Mapping[str, Any], name: str) -> Any:
    text = fields.get(name, "[]")
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise SaveFileError(
            f"node {shorten(node)}: its {name} are {shorten(text)}; expected JSON, as to_networkx "
            "writes it"
        ) from None
