"""Two packages' graphs as one, in which what both compute alike is computed once."""

import hashlib
from collections.abc import Sequence

import onnx
from onnx import helper


def join_graphs(models: Sequence[bytes]) -> bytes | None:
    """One graph for several with the same input; output `name` of the first becomes `0/name`, and so on.

    A node is shared where operator, attributes and inputs are the same, constants by their bytes: so graphs on one
    frozen backbone share it. None where they cannot be joined: another input, another version of the operators, or
    loops.
    """
    graphs = [onnx.ModelProto.FromString(model) for model in models]
    first = graphs[0]
    if any(_kind(graph) != _kind(first) or _has_loops(graph) for graph in graphs):
        return None
    joined = onnx.ModelProto()
    joined.ir_version = max(graph.ir_version for graph in graphs)
    joined.opset_import.extend(first.opset_import)
    joined.graph.name = first.graph.name
    joined.graph.input.extend(first.graph.input)
    known: dict[bytes, list[str]] = {}
    for place, model in enumerate(graphs):
        _add(joined.graph, model.graph, f"{place}/", known)
    return joined.SerializeToString(deterministic=True)


def _add(joined: onnx.GraphProto, graph: onnx.GraphProto, prefix: str, known: dict[bytes, list[str]]) -> None:
    """Add what `joined` has not; `known` are the values in it, by what they are computed from."""
    names = {"": ""} | {item.name: item.name for item in graph.input}
    for constant in graph.initializer:
        content = onnx.TensorProto()
        content.CopyFrom(constant)
        content.name = ""
        key = _key(content.SerializeToString(deterministic=True))
        if key not in known:
            known[key] = [f"{prefix}{constant.name}"]
            content.name = known[key][0]
            joined.initializer.append(content)
        names[constant.name] = known[key][0]
    for node in graph.node:
        inputs = [names[name] for name in node.input]
        attributes = sorted(part.SerializeToString(deterministic=True) for part in node.attribute)
        key = _key(node.op_type.encode(), node.domain.encode(), *map(str.encode, inputs), *attributes)
        if key not in known or len(known[key]) != len(node.output):
            known[key] = [f"{prefix}{name}" if name else "" for name in node.output]
            added = joined.node.add()
            added.CopyFrom(node)
            added.name = ""
            added.input[:], added.output[:] = inputs, known[key]
        names |= dict(zip(node.output, known[key], strict=True))
    for output in graph.output:
        named = joined.output.add()
        named.CopyFrom(output)
        named.name = f"{prefix}{output.name}"
        if named.name != names[output.name]:
            joined.node.append(helper.make_node("Identity", [names[output.name]], [named.name]))


def _kind(model: onnx.ModelProto) -> tuple[bytes, ...]:
    """What graphs must have in common: inputs and operator versions, which a merged graph names again and again."""
    versions = sorted({part.SerializeToString(deterministic=True) for part in model.opset_import})
    return (*(part.SerializeToString(deterministic=True) for part in model.graph.input), *versions)


def _has_loops(model: onnx.ModelProto) -> bool:
    """Whether a node holds a graph of its own, which may use any value by name."""
    return any(part.HasField("g") or part.graphs for node in model.graph.node for part in node.attribute)


def _key(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.digest()
