"""The encodings that a client accepts."""

import re


def takes_gzip(accepted: str) -> bool:
    """Return whether an `Accept-Encoding` header names gzip with a weight above 0.

    >>> takes_gzip("deflate, GZIP;q=0.5"), takes_gzip("gzip; q=0.0, *"), takes_gzip("br")
    (True, False, False)
    """
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False
