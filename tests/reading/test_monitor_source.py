"""What a monitor's records are read from: decided in one place, by the kind of its source."""

from aemon.config.schema import MonitorSettings
from aemon.reading.inbox_records import InboxRecords
from aemon.reading.monitor_source import open_inbox, open_records
from aemon.sources.sql.source import SqlTable


def test_a_replayable_source_is_read_itself_and_has_no_inbox(settings, store, clock):
    assert isinstance(open_records("pumps", settings, store, clock), SqlTable)
    assert open_inbox("pumps", settings, store, clock) is None


def test_of_a_stream_the_inbox_is_read(store, clock):
    settings = MonitorSettings.model_validate({"source": {"kind": "host"}, "score_every": "1m"})
    assert isinstance(open_records("pumps", settings, store, clock), InboxRecords)
    assert open_inbox("pumps", settings, store, clock) is not None
