import json
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from aemon.sources.sql.position import read_value, write_value


@pytest.mark.parametrize(
    "value",
    [
        None, True, 2**70, 0.1, 1e300, "ä\n", b"\x00\xff", date(2020, 1, 2), Decimal("1.50"),
        datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2020, 1, 2), uuid.UUID(int=7),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_a_raw_value_survives_json_with_its_type(value):
    read = read_value(json.loads(json.dumps(write_value(value))))
    assert (type(read), read) == (type(value), value)


def test_a_value_of_another_type_is_refused():
    with pytest.raises(TypeError, match="values of the type list cannot order records"):
        write_value([1])
