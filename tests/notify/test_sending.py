"""Sending to a real server: what every answer means, and that nothing is given away or waited for."""

import base64
import json
import shutil
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import TypeAdapter

from aemon.config.receiver_settings import Receiver
from aemon.notify.receivers.receiver_kinds import receiver_of
from aemon.notify.sending import MOST_SHOWN, send
from aemon.testing.http_receiver import receiving
from tests.lacking import lacking
from tests.processes import free_port

KEY = "5b9b8b4e"


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


def webhook(url, **more):
    given = {"kind": "webhook", "url": url, "timeout": "2s", **more}
    return receiver_of(TypeAdapter(Receiver).validate_python(given))


def test_what_is_taken_has_its_key_and_credentials(receiver):
    answer = send(
        webhook(receiver.url, bearer_token="t0k3n", headers={"X-Team": "plant"}), b"[1]", KEY
    )
    assert (answer.taken, answer.status, answer.error) == (True, 200, "")
    (heard,) = receiver.heard
    assert (heard.path, heard.body) == ("/hook/s3cret", [1])
    assert heard.headers["Authorization"] == "Bearer t0k3n"
    assert heard.headers["X-Team"] == "plant"
    assert heard.headers["Idempotency-Key"] == KEY
    assert heard.headers["Content-Type"] == "application/json"
    send(webhook(receiver.url, basic_auth={"username": "ä", "password": "p:w"}), b"1", KEY)
    assert receiver.heard[1].headers["Authorization"] == "Basic w6Q6cDp3"


@pytest.mark.parametrize(
    ("status", "permanent", "alone"),
    [
        (500, False, True), (502, False, False), (503, False, False), (429, False, False),
        (408, False, False), (400, True, False), (401, True, False), (404, True, False),
        (410, True, False), (302, True, False), (308, True, False),
    ],
)  # fmt: skip
def test_some_answers_are_final(receiver, status, permanent, alone):
    receiver.always = (status, {}, b"no")
    answer = send(webhook(receiver.url), b"{}", KEY)
    assert (answer.status, answer.taken) == (status, False)
    assert (answer.permanent, answer.alone) == (permanent, alone)
    assert answer.error.startswith(f"HTTP {status}")


def test_a_redirection_is_not_followed(receiver):
    """It would take the credentials along."""
    with receiving() as other:
        receiver.always = (307, {"Location": other.url}, b"")
        answer = send(webhook(receiver.url, bearer_token="t0k3n"), b"{}", KEY)
        assert answer.error == "HTTP 307: the receiver has moved; correct the url"
        assert other.heard == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("999999999", 3600), ("soon", None), ("-1", None), (None, None)]
)
def test_it_waits_as_long_as_it_is_asked_to(receiver, text, seconds):
    receiver.always = (429, {"Retry-After": text} if text else {}, b"")
    waited = send(webhook(receiver.url), b"{}", KEY).retry_after
    assert waited == (None if seconds is None else timedelta(seconds=seconds))


def test_it_may_be_asked_to_wait_until_a_time(receiver):
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    receiver.always = (503, {"Retry-After": at}, b"")
    waited = send(webhook(receiver.url), b"{}", KEY).retry_after
    assert timedelta(seconds=55) < waited <= timedelta(seconds=60)


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_no_answer_is_waited_for_longer_than_its_time(receiver, way):
    receiver.always = way
    began = time.monotonic()
    answer = send(webhook(receiver.url, timeout="600ms"), b"{}", KEY)
    assert time.monotonic() - began < 3
    assert (answer.taken, answer.permanent, answer.status) == (False, False, None)
    assert answer.error == "no answer within 0.6 s"


@pytest.mark.parametrize("way", ["cut", "reset"])
def test_a_broken_connection_may_heal(receiver, way):
    receiver.always = way
    answer = send(webhook(receiver.url), b"{}", KEY)
    assert (answer.taken, answer.permanent) == (False, False)
    assert answer.error


def test_nobody_there():
    answer = send(webhook(f"http://127.0.0.1:{free_port()}/"), b"{}", KEY)
    assert (answer.error, answer.permanent) == ("Connection refused", False)
    unknown = send(webhook("http://no-such-host.invalid/"), b"{}", KEY)
    assert not unknown.taken
    assert not unknown.permanent


def test_an_answer_is_told_in_short_and_without_secrets(receiver):
    said = f"{receiver.url} with Bearer t0k3n and pa55: no\r\n\x1b[2J" + 10_000_000 * "x"
    receiver.always = (400, {}, said.encode())
    answer = send(webhook(receiver.url, bearer_token="t0k3n", headers={"X-A": "pa55"}), b"{}", KEY)
    assert len(answer.error) < MOST_SHOWN + 20
    assert answer.error.startswith("HTTP 400: *** with Bearer *** and ***: no [2Jxx")
    for secret in ("s3cret", "t0k3n", "pa55"):
        assert secret not in repr(answer)


@pytest.mark.parametrize(
    "said",
    [
        "{path}",
        175 * "x" + "{path}",  # it is told but in part
        '{{"path": "{escaped}"}}',
        "unknown token {token}",
    ],
)
def test_no_part_of_a_secret_is_told(receiver, said):
    secret, token = "T024BE7LD-XXXXXXXXXXXXXXXX", "eyJhbGciOiJIUzI1NiJ9"
    url = f"{receiver.url}/{secret}"
    path = f"/hook/s3cret/{secret}"
    told = said.format(path=path, escaped=path.replace("/", r"\/"), token=token)
    receiver.always = (403, {}, told.encode())
    answer = send(webhook(url, headers={"Authorization": f"Bearer {token}"}), b"{}", KEY)
    assert answer.error.startswith("HTTP 403: ")
    assert secret[:6] not in answer.error
    assert token not in answer.error


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """One for 127.0.0.1 that signs itself; with its key in the same file."""
    if shutil.which("openssl") is None:
        lacking("openssl")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=receiver", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_a_certificate_must_be_trusted(certificate):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # whoever does not trust it hangs up
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    url = f"https://127.0.0.1:{server.server_address[1]}/"
    try:
        strange = send(webhook(url), b"{}", KEY)
        assert strange.error.startswith("the receiver's certificate is not trusted: self")
        assert not strange.permanent
        trusted = send(webhook(url, ca_file=certificate / "cert.pem"), b"{}", KEY)
        assert (trusted.status, trusted.error) == (204, "")
        missing = send(webhook(url, ca_file=certificate / "nothing.pem"), b"{}", KEY)
        assert "No such file" in missing.error
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_proxy_of_the_environment_is_used(receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{receiver.port}")
    monkeypatch.setenv("no_proxy", "")
    assert send(webhook("http://receiver.example/x"), json.dumps({}).encode(), KEY).taken
    assert receiver.heard[0].path == "http://receiver.example/x"


@pytest.mark.parametrize(
    "credentials",
    [{"basic_auth": {"username": "me", "password": "hunter2"}}, {"bearer_token": "hunter2/x y"},
     {"headers": {"X-Key": "Token hunter2"}}],
)  # fmt: skip
def test_credentials_that_an_answer_repeats_in_another_writing_are_hidden(receiver, credentials):
    forms = ["hunter2", "hunter2/x y"]
    forms += [base64.b64encode(form.encode()).decode() for form in (*forms, "me:hunter2")]
    receiver.always = (400, {}, " ".join([*forms, "hunter2%2Fx%20y"]).encode())
    told = send(webhook(receiver.url, **credentials), b"{}", KEY).error
    sent = receiver.heard[-1].headers.get("Authorization", "Token hunter2").partition(" ")[2]
    assert sent not in told
    if "bearer_token" in credentials:
        assert "hunter2%2Fx%20y" not in told
    else:
        assert "hunter2" not in told.replace("hunter2/x", "").replace("hunter2%2F", "")
