"""Database addresses, as they may be shown."""

from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL

SECRET_OPTIONS = ("password", "sslpassword", "passfile")


def public_address(url: URL) -> str:
    """The address without password and options, for messages and logs."""
    return url.set(query={}).render_as_string(hide_password=True)


def without_secrets(text: str, url: URL) -> str:
    """What a driver says, on one line and without the secrets of its address."""
    text = " ".join(text.split())
    options = url.normalized_query
    secrets = [url.password, *(s for option in SECRET_OPTIONS for s in options.get(option, ()))]
    for secret in filter(None, secrets):
        for written in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(written, "***")
    return text
