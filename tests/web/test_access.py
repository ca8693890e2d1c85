"""The web configuration as it is taken up again while the daemon runs."""

from aemon.web import access
from aemon.web.access import WatchedAccess


def test_a_file_that_goes_while_it_is_read_ends_no_watch(tmp_path, monkeypatch, caplog):
    """As certificates do while they are renewed: the next change is taken up all the same."""
    path, load = tmp_path / "web.yml", access.load_access
    path.write_text("rate_limit: {interval: 1s}\n")
    watched = WatchedAccess(path)

    def gone(_path):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(access, "load_access", gone)
    path.write_text("rate_limit: {interval: 2s}\n")
    watched.look()
    watched.look()
    assert [record.action for record in caplog.records] == ["web.refused"]
    assert watched.now.settings.rate_limit.interval.total_seconds() == 1
    monkeypatch.setattr(access, "load_access", load)
    path.write_text("rate_limit: {interval: 3s}\n")
    watched.look()
    watched.look()
    assert watched.now.settings.rate_limit.interval.total_seconds() == 3
