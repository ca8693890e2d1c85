"""The setting `holidays`: a country or a part of a country, by its name in package `holidays`."""

from importlib.util import find_spec
from typing import Annotated

from pydantic import AfterValidator, Field


def _check(place: str) -> str:
    if find_spec("holidays") is None:
        raise ValueError("needs a package that is not installed: pip install 'aemon[holidays]'")
    import holidays

    country, _, part = place.partition("-")
    parts = holidays.list_supported_countries()
    if country not in parts:
        raise ValueError(
            f"{country} is not a country with known holidays; write two capital letters such as "
            "DE, FR or US"
        )
    if part and part not in parts[country]:
        known = ", ".join(parts[country]) or "none"
        raise ValueError(
            f"{part} is not a part of {country} with known holidays; known are: {known}"
        )
    return place


Holidays = Annotated[
    str, Field(pattern=r"^[A-Z]{2}(-[A-Za-z0-9 ]{1,40})?$"), AfterValidator(_check)
]
"""A country as two letters (ISO 3166-1); a dash and a part of the country may follow."""
