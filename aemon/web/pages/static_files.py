"""The static files of the pages: scripts, the stylesheet and the icon, kept in memory."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from aemon.web.accepted_encodings import takes_gzip

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
FOREVER = "public, max-age=31536000, immutable"  # the name has the hash of the content
BRIEFLY = "no-cache"  # the browser asks again each time


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A static file with its content, also compressed, and the hash of the content."""

    content: bytes
    compressed: bytes
    digest: str
    kind: str


@cache
def static_files() -> dict[str, StaticFile]:
    """Return name -> static file, for all files that the pages may load."""
    folder = files("aemon.web").joinpath("static")
    found = {}
    for path in folder.iterdir():
        kind = TYPES.get(f".{path.name.rpartition('.')[2]}")
        if kind is not None:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            found[path.name] = StaticFile(content, gzip.compress(content, mtime=0), digest, kind)
    return found


def static_url(name: str) -> str:
    """Return the path of a static file; it changes with the content.

    Raises:
        KeyError: there is no such file.
    """
    return f"/static/{static_files()[name].digest}/{name}"


async def serve_static(request: Request) -> Response:
    """Answer a request for a static file; an old hash in the path gets the present file."""
    name, digest = request.path_params["name"], request.path_params["digest"]
    found = static_files().get(name)
    if found is None:
        return PlainTextResponse("there is no such file\n", HTTPStatus.NOT_FOUND)
    headers = {
        "Cache-Control": FOREVER if digest == found.digest else BRIEFLY,
        "Content-Type": found.kind,
        "ETag": f'"{found.digest}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(found.compressed, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.content, headers=headers)
