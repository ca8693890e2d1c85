"""Functions that find the nodes of a configuration on a server, and subscribe to these nodes."""

from dataclasses import dataclass

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.common.subscription import Subscription

from aemon.errors import SourceConfigError
from aemon.sources.opcua.buckets import Cell
from aemon.sources.opcua.node_names import ANY_LEVEL, NodeName, read_node_name
from aemon.sources.opcua.settings import OpcUaSource
from aemon.sources.source import there

MOST_NODES = 20_000
QUEUED = 10  # maximum values of a node that the server keeps between two of its messages
_AT_ONCE = 500  # maximum nodes in one request, because servers have limits


@dataclass(frozen=True, slots=True)
class Found:
    """The configured nodes that a server has.

    Attributes:
        cells: node -> entity and column of its values.
        missing: configured names without a node, each with the existing names.
    """

    cells: dict[Node, Cell]
    missing: tuple[str, ...]


async def find_nodes(client: Client, settings: OpcUaSource) -> Found:
    """Find the nodes that the settings name.

    Raises:
        SourceConfigError: the server has none of the nodes, or more than `MOST_NODES`.
    """
    namespaces = await client.get_namespace_array()
    cells: dict[Node, Cell] = {}
    missing: list[str] = []
    for text, column in settings.nodes.items():
        name = read_node_name(text)
        if not name.path:
            if name.uri and name.uri not in namespaces:
                missing.append(f"{text}: no such namespace; {there(namespaces, name.uri)}")
                continue
            node = client.get_node(_node_id(name, namespaces))
            cells[node] = ("", str(column))
            continue
        found, instead = await _follow(client.get_objects_node(), name.path)
        if not found:
            missing.append(f"{text}: {instead}")
        for node, levels in found:
            entity = "" if settings.entity is None else levels[settings.entity]
            cells[node] = (entity, levels[column] if isinstance(column, int) else column)
        if len(cells) > MOST_NODES:
            raise SourceConfigError(
                f"{settings.url} has more than {MOST_NODES:,} nodes of these names",
                todo="name fewer nodes",
            )
    if not cells:
        raise SourceConfigError(
            f"the OPC UA server {settings.url} has none of the nodes: {'; '.join(missing)}",
            todo="correct the names under nodes",
        )
    return Found(cells, tuple(missing))


async def subscribe(
    client: Client, settings: OpcUaSource, found: Found, handler: object
) -> tuple[Subscription, tuple[str, ...]]:
    """Subscribe to nodes; return the subscription and the nodes that the server refuses.

    Raises:
        SourceConfigError: the server refuses all nodes.
    """
    half = settings.bucket.total_seconds() * 1000 / 2
    subscription = await client.create_subscription(min(half, 1000.0), handler)  # type: ignore[arg-type]
    nodes = list(found.cells)
    refused: list[str] = []
    for first in range(0, len(nodes), _AT_ONCE):
        some = nodes[first : first + _AT_ONCE]
        interval = ua.Double(half)
        handles = await subscription.subscribe_data_change(
            some, queuesize=QUEUED, sampling_interval=interval
        )
        refused += [
            f"{node.nodeid.to_string()} ({handle.name})"
            for node, handle in zip(some, handles, strict=True)
            if isinstance(handle, ua.StatusCode)
        ]
    if len(refused) == len(nodes):
        raise SourceConfigError(
            f"the OPC UA server {settings.url} refuses all nodes: {', '.join(refused[:10])}",
            todo="correct the names under nodes, and check that the user has permission to "
            "read the nodes",
        )
    return subscription, tuple(refused)


def _node_id(name: NodeName, namespaces: list[str]) -> ua.NodeId:
    index = namespaces.index(name.uri) if name.uri else name.index
    return ua.NodeId.from_string(f"ns={index};{name.name}")


async def _follow(
    start: Node, path: tuple[str, ...]
) -> tuple[list[tuple[Node, tuple[str, ...]]], str]:
    """Return the nodes of a path, each with the names of its levels.

    The second value is a text: the first missing level and the existing names, or empty.
    """
    reached: list[tuple[Node, tuple[str, ...]]] = [(start, ())]
    for level in path:
        further: list[tuple[Node, tuple[str, ...]]] = []
        seen: list[str] = []
        for node, names in reached:
            for child in await node.get_children_descriptions():
                name = child.BrowseName.Name or ""
                seen.append(name)
                if level in (ANY_LEVEL, name):
                    at = Node(node.session, child.NodeId)
                    further.append((at, (*names, name)))
            if len(further) > MOST_NODES:
                break
        if not further:
            return [], f"no node {level} at this level; {there(set(seen), level)}"
        reached = further
    return reached, ""
