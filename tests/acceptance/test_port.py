"""The port of a real daemon with TLS and credentials, as operators and Prometheus meet it."""

import json
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from aemon.config.loading import load_config
from aemon.doctor.daemon_client import ask_daemon
from aemon.doctor.finding import Finding
from aemon.doctor.host_checks import http_port
from aemon.errors import ConfigError, ExitCode
from aemon.web.access import load_access
from tests import readings
from tests.cli.commands import run
from tests.lacking import lacking
from tests.processes import Daemon, free_port, insert, make_table, sql_source
from tests.web_security import PASSWORD, PUSH_TOKEN, TOKEN, Keys, bcrypted, sha256

pytestmark = pytest.mark.acceptance

TLS = """
tls_server_config:
  cert_file: server.crt
  key_file: server.key
"""
WEB = f"""
http_server_config:
  http2: true
basic_auth_users:
  alice: {bcrypted(PASSWORD)}
bearer_tokens:
  prometheus: {sha256(TOKEN)}
  sensor: {sha256(PUSH_TOKEN)}
permissions:
  sensor: [push]
"""
CLIENT = f"client: {{user: alice, password: {PASSWORD}}}"


class SecureDaemon(Daemon):
    """Asked over TLS, with credentials."""

    tls: ssl.SSLContext

    def ask(self, path: str, shown: str = "", method: str = "GET") -> int:
        """The code that is answered."""
        url = f"https://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, method=method)
        if shown:
            request.add_header("Authorization", shown)
        try:
            with urllib.request.urlopen(request, timeout=5, context=self.tls) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def get(self, path: str) -> str | None:
        try:
            url = f"https://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=5, context=self.tls) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def shown(self) -> bytes:
        """The certificate that is shown, as PEM."""
        place = ("127.0.0.1", self.port)
        return ssl.get_server_certificate(place, timeout=5).encode()

    def said(self, action: str) -> list[str]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line["message"] for line in lines if line.get("action") == action]


def port_of(daemon: Daemon) -> Finding:
    """What `aemon doctor` finds of the port."""
    return http_port(load_config(daemon.config), daemon.config)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def daemon(tmp_path, keys) -> SecureDaemon:
    """Not yet started."""
    for file in keys.folder.iterdir():
        shutil.copy(file, tmp_path)
    make_table(tmp_path / "plant.db", "readings", ["ts TEXT", *readings.COLUMNS])
    insert(tmp_path / "plant.db", "readings", readings.rows(10))
    (tmp_path / "web.yml").write_text(TLS + WEB)
    monitors = f"""
  pumps:
    source: {sql_source(tmp_path / "plant.db")}
    score_every: 1s
"""
    made = SecureDaemon(tmp_path, monitors, http=f"web_config: web.yml, {CLIENT}")
    made.tls = keys.trusting()
    return made


BEARER, PUSHER = f"Bearer {TOKEN}", f"Bearer {PUSH_TOKEN}"


def test_a_port_with_tls_and_credentials(daemon, keys, tmp_path):
    with daemon:
        # Nothing is told without credentials, but health
        for path in ("/", "/metrics", "/status.json", "/readyz", "/nothing-there"):
            assert daemon.ask(path) == 401, path
            assert daemon.ask(path, "Bearer wrong") == 401, path
        assert daemon.ask("/healthz") == 200
        # Readers read, and pushers push
        assert daemon.ask("/metrics", BEARER) == 200
        assert daemon.ask("/metrics", BEARER, "POST") == 403
        assert daemon.ask("/metrics", PUSHER) == 403
        assert daemon.ask("/metrics", PUSHER, "POST") == 405
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/healthz", timeout=5)
        # The daemon is asked by those who work on this host
        assert "from the daemon at" in run(tmp_path, "status").stdout
        doctor = json.loads(run(tmp_path, "doctor", "--json").stdout)
        found = {one["check"]: one for one in doctor}
        assert found["daemon"]["level"] == "ok", found["daemon"]
        assert found["http port"]["level"] == "warning"
        assert "HTTP/2 is not offered" in port_of(daemon).what
        (tmp_path / "server.key").chmod(0o644)
        assert port_of(daemon).todo == f"chmod 640 {tmp_path}/server.key"
        assert "web.yml: valid, but http_server_config.http2" in run(tmp_path, "check").stdout
        config = daemon.config.read_text()
        daemon.config.write_text(config.replace(PASSWORD, "wrong"))
        told = ask_daemon(load_config(daemon.config))
        assert (
            told.why == f"127.0.0.1:{daemon.port} answers, but returns no status: 401 Unauthorized"
        )
        assert told.todo.startswith("set credentials under http.client")
        daemon.config.write_text(config.replace(CLIENT, f"client: {{token: {TOKEN}}}"))
        assert ask_daemon(load_config(daemon.config)).status

        # A new certificate and new credentials are taken up without a restart
        before = daemon.shown()
        (tmp_path / "web.yml").write_text((TLS + WEB).replace(sha256(TOKEN), sha256("new")))
        daemon.wait(lambda: daemon.ask("/metrics", "Bearer new") == 200, "the new token", 10)
        assert daemon.ask("/metrics", BEARER) == 401
        new = Keys(keys.authority, tmp_path).issue("server", "127.0.0.1")
        daemon.wait(lambda: daemon.shown() != before, "the new certificate", 10)
        assert daemon.shown().split() == new.split()
        assert "401" in ask_daemon(load_config(daemon.config)).why  # its token is no more

        # What is broken is told, with its place, and changes nothing
        (tmp_path / "web.yml").write_text(TLS + "basic_auth_users:\n  alice: open-secret\n")
        daemon.wait(lambda: bool(daemon.said("web.refused")), "the refusal", 10)
        (tmp_path / "server.key").write_text("rubbish")
        (tmp_path / "web.yml").write_text(TLS)
        daemon.wait(lambda: len(daemon.said("web.refused")) == 2, "the second refusal", 10)
        assert daemon.ask("/metrics", "Bearer new") == 200
        hash_, key = daemon.said("web.refused")
        assert f"{tmp_path}/web.yml:6: basic_auth_users.alice: is not a bcrypt hash" in hash_
        assert f"{tmp_path}/web.yml:3: tls_server_config.cert_file: " in key
        assert len(daemon.said("web.reloaded")) == 2
        assert daemon.said("web.ignored") == [
            "http_server_config.http2: HTTP/2 is not offered, only HTTP/1.1 is offered"
        ]
        assert daemon.stop() < 10
    for secret in (PASSWORD, TOKEN, PUSH_TOKEN, "open-secret", "$2b$", "sha256:"):
        assert secret not in daemon.log.read_text()


def test_a_broken_web_configuration_is_told_at_once(daemon, tmp_path):
    (tmp_path / "web.yml").write_text(WEB + TLS.replace("server.crt", "none.crt"))
    for command in ("run", "check"):
        error = run(tmp_path, command, code=ExitCode.CONFIG).stderr
        assert (
            "web.yml:13: tls_server_config.cert_file: cannot read none.crt: No such file" in error
        )
    (tmp_path / "web.yml").write_text(TLS.replace("server.key", "client.pem"))
    with pytest.raises(
        ConfigError, match=r"web.yml:4: .*client.pem is not the key of .*server.crt"
    ):
        load_access(tmp_path / "web.yml")


def test_who_connects_may_have_to_show_a_certificate(daemon, keys, tmp_path):
    asks = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
    names = "  client_allowed_sans: [{}]\n"
    (tmp_path / "web.yml").write_text(TLS + asks + names.format("prometheus.example.org"))
    config = daemon.config.read_text()
    pair = "client: {cert_file: client.pem, key_file: client.pem}"
    daemon.config.write_text(config.replace(CLIENT, pair))
    daemon.tls = keys.trusting(client=True)
    with daemon:
        assert daemon.ask("/metrics") == 200
        assert daemon.ask("/metrics", method="POST") == 405  # a certificate is who one is
        assert ask_daemon(load_config(daemon.config)).status
        daemon.tls = keys.trusting()
        assert daemon.get("/healthz") is None
        daemon.tls = keys.trusting(client=True)
        (tmp_path / "web.yml").write_text(TLS + asks + names.format("other.example.org"))
        daemon.wait(lambda: daemon.get("/healthz") is None, "the other name to count", 10)


def test_a_port_that_is_open_to_all_says_so(daemon, tmp_path):
    (tmp_path / "web.yml").write_text("rate_limit: {}\n")
    text = daemon.config.read_text().replace("127.0.0.1", "0.0.0.0")
    daemon.config.write_text(text)
    plain = Daemon.__new__(Daemon)
    plain.__dict__.update(daemon.__dict__)
    with plain:
        (warned,) = daemon.said("web.open")
        assert (
            warned == "everyone who reaches the port can read everything: no credentials are needed"
        )
        assert (port_of(daemon).level, port_of(daemon).what) == ("warning", warned)


def test_prometheus_scrapes_with_a_password_and_with_a_token_over_tls(daemon, tmp_path):
    prometheus = shutil.which("prometheus") or lacking("prometheus")
    job = """
  - job_name: {name}
    scheme: https
    scrape_interval: 1s
    tls_config: {{ca_file: {folder}/ca.crt}}
    {shown}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
    ways = {
        "password": f"basic_auth: {{username: alice, password: {PASSWORD}}}",
        "token": f"authorization: {{credentials: {TOKEN}}}",
        "nobody": "",
        "pusher": f"authorization: {{credentials: {PUSH_TOKEN}}}",
    }
    jobs = [
        job.format(name=name, folder=tmp_path, shown=shown, port=daemon.port)
        for name, shown in ways.items()
    ]
    (tmp_path / "prometheus.yml").write_text("scrape_configs:" + "".join(jobs))
    port = free_port()
    with daemon:
        scraping = subprocess.Popen(
            [prometheus, f"--config.file={tmp_path}/prometheus.yml",
             f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 30
            while len(told := targets(port)) < len(ways) or "unknown" in str(told):
                assert time.monotonic() < deadline, told
                time.sleep(0.3)
        finally:
            scraping.kill()
            scraping.wait()
    assert told == {
        "password": ("up", ""),
        "token": ("up", ""),
        "nobody": ("down", "server returned HTTP status 401 Unauthorized"),
        "pusher": ("down", "server returned HTTP status 403 Forbidden"),
    }


def targets(port: int) -> dict[str, tuple[str, str]]:
    try:
        url = f"http://127.0.0.1:{port}/api/v1/targets"
        with urllib.request.urlopen(url, timeout=5) as answer:
            active = json.load(answer)["data"]["activeTargets"]
    except OSError:
        return {}
    return {one["labels"]["job"]: (one["health"], one["lastError"]) for one in active}
