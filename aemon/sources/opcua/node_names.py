"""Names of nodes: an identifier with its namespace, or a path of browse names."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

ANY_LEVEL = "+"
_NODE_ID = re.compile(r"(?:nsu=(?P<uri>[^;]+);|ns=(?P<index>[0-9]{1,5});)?(?P<name>[isgb]=.+)")
_LOOKS_LIKE_ID = re.compile(r"(?:nsu|ns|[isgb])=")


@dataclass(frozen=True, slots=True)
class NodeName:
    """The name of nodes in a configuration.

    Attributes:
        uri: URI of the identifier's namespace; empty if the index is given.
        index: index of the identifier's namespace.
        name: the identifier, such as `s=Pump1.Flow`; empty if there is a path.
        path: browse names, starting at the level below the Objects folder; `+` means any name.
    """

    uri: str = ""
    index: int = 0
    name: str = ""
    path: tuple[str, ...] = ()

    def always_has(self, level: int) -> bool:
        """Return whether the name is a path that has the level `level`, counted from 0."""
        return level < len(self.path)


def read_node_name(text: str) -> NodeName:
    """Parse `nsu=http://plant.example/;s=Flow`, `ns=2;i=7`, or a path such as `Plant/+/Flow`.

    >>> read_node_name("nsu=urn:plant;s=P1.Flow")
    NodeName(uri='urn:plant', index=0, name='s=P1.Flow', path=())
    >>> read_node_name("Plant/+/Flow").path
    ('Plant', '+', 'Flow')

    Raises:
        ValueError: the text is neither an identifier nor a path.
    """
    if _LOOKS_LIKE_ID.match(text):
        found = _NODE_ID.fullmatch(text)
        kind, _, rest = found["name"].partition("=") if found else ("", "", "")
        if found is None or (kind == "i" and not rest.isdecimal()):
            raise ValueError(
                f"{text!r} is not an identifier of a node; write for example "
                "nsu=http://plant.example/;s=Pump1.Flow"
            )
        return NodeName(
            uri=unquote(found["uri"] or ""), index=int(found["index"] or 0), name=found["name"]
        )
    levels = tuple(text.split("/"))
    if not all(levels):
        raise ValueError(f"{text!r} has an empty level; write for example Plant/+/Flow")
    if any(ANY_LEVEL in level and level != ANY_LEVEL for level in levels):
        raise ValueError(f"{text!r}: + stands for a whole level, such as Plant/+/Flow")
    return NodeName(path=levels)
