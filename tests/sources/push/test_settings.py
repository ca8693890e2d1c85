"""What a source of kind push may be told."""

import pytest
from pydantic import ValidationError

from aemon.sources.push.settings import PushSource


@pytest.mark.parametrize("given", [{"bucket": "1m"}, {"pivot": {"name": "tag", "value": "v"}}])
def test_readings_and_remote_write_do_not_go_together(given):
    assert PushSource.model_validate(given).holds_readings
    with pytest.raises(ValidationError, match="cannot be used with remote_write"):
        PushSource.model_validate({**given, "remote_write": {}})


def test_a_column_has_one_part():
    with pytest.raises(ValidationError, match="time is already the column of the time"):
        PushSource.model_validate({"pivot": {"name": "tag", "value": "time"}})
