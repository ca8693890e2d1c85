"""Forms that change something: read with limits, and only from the pages themselves."""

from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import Request

from aemon.errors import ConfigError
from aemon.frame import printable
from aemon.web.client import is_same_origin
from aemon.web.pages.page_desk import refused

MOST_BYTES = 20_000
MOST_FIELDS = 20
MOST_CHARACTERS = 1000  # of a field
FORM = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form that a page of this daemon sent.

    Raises:
        HTTPException: the form was sent by a foreign page, or is not such a form.
        ConfigError: the form cannot be read.
    """
    check_own(request.headers)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the Content-Type must be {FORM}")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the form is too long")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise ConfigError("the form cannot be read", todo="reload the page") from None
    return {name: printable(value.strip())[:MOST_CHARACTERS] for name, value in pairs}


def check_own(headers: Headers) -> None:
    """Check that a page of this daemon sent a request, and no foreign page.

    Raises:
        HTTPException: the request came from elsewhere, or does not say where it came from.
    """
    if not is_same_origin(headers):
        raise refused(HTTPStatus.FORBIDDEN, "only a form of this page may change something")
