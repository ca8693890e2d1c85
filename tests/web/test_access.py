"""The web configuration as it is taken up again while the daemon runs."""

import os

import pytest

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


@pytest.mark.parametrize(
    "content",
    [
        b"rate_limit: {burst: !!bool maybe}", b"rate_limit: {burst: !!int ''}", b"rate_limit: {interval: [1]}", b"[" * 500 + b"]" * 500,
        b"tls_server_config: {min_version: [TLS12]}", b"tls_server_config: {client_auth_type: {}}", b"a: &a [*a]", b"\xff", b"\0", b"- x", b"",
        b"tls_server_config: {cert_file: fifo, key_file: fifo}", b"bearer_tokens: {x: '${file:fifo}'}", b"headers: !!python/object:os.system x",
        b"tls_server_config: {cert_file: /dev/zero, key_file: /dev/zero}", b"tls_server_config: {cert_file: ., key_file: .}", None, "fifo", "folder",
    ],
)  # fmt: skip
def test_whatever_a_file_holds_later_ones_are_looked_at(tmp_path, caplog, content):
    """Until then the one before stays in use: a token that is revoked next must not be valid."""
    path = tmp_path / "web.yml"
    os.mkfifo(tmp_path / "fifo")
    path.write_text(f"bearer_tokens: {{prometheus: 'sha256:{64 * '0'}'}}\n")
    watched = WatchedAccess(path)
    path.unlink()
    if content == "fifo":
        os.mkfifo(path)
    elif content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    for _ in range(4):
        watched.look()
        assert watched.now.settings.bearer_tokens
    assert [record.action for record in caplog.records] == ["web.refused"]
    assert "please report" not in caplog.text
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_text("rate_limit: {interval: 1s}\n")
    watched.look()
    watched.look()
    assert not watched.now.settings.bearer_tokens


def test_an_error_that_nobody_foresaw_ends_no_watch(tmp_path, monkeypatch, caplog):
    path, read = tmp_path / "web.yml", access.read_web_config
    path.write_text("rate_limit: {interval: 1s}\n")
    watched = WatchedAccess(path)

    def fails(*_):
        raise KeyError("maybe")

    with monkeypatch.context() as patch:
        patch.setattr(access, "read_web_config", fails)
        for _ in range(4):
            watched.look()
    assert [record.action for record in caplog.records] == ["web.refused"]
    path.write_text("rate_limit: {interval: 3s}\n")
    assert access.read_web_config is read
    watched.look()
    watched.look()
    assert watched.now.settings.rate_limit.interval.total_seconds() == 3
