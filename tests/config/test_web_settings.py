"""The web configuration: files of Prometheus' exporters work, and what is wrong is named."""

import re
from datetime import timedelta
from pathlib import Path

import bcrypt
import pytest

from aemon.config.web_settings import WebSettings, read_web_config
from aemon.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
TOKEN = f"sha256:{64 * '0'}"

NODE_EXPORTER = f"""
tls_server_config:
  cert_file: server.crt
  key_file: /etc/ssl/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example.org]
  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]
  prefer_server_cipher_suites: true
  curve_preferences: [X25519]
http_server_config:
  http2: true
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: sameorigin
    X-Content-Type-Options: nosniff
    X-XSS-Protection: "0"
    Strict-Transport-Security: max-age=31536000; includeSubDomains
basic_auth_users:
  alice: {HASH}
  bob: $2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m
rate_limit:
  interval: "1s"
  burst: 20
"""


@pytest.fixture
def read(tmp_path):
    def read(text: str) -> WebSettings:
        (tmp_path / "web.yml").write_text(text)
        return read_web_config(tmp_path / "web.yml", {"PLACE": "tls"})[0]

    return read


def test_a_file_that_was_written_for_node_exporter_is_taken_as_it_is(read, tmp_path):
    web = read(NODE_EXPORTER)
    tls = web.tls_server_config
    assert tls.cert_file == tmp_path / "server.crt"
    assert tls.key_file == Path("/etc/ssl/server.key")
    assert tls.client_ca_file == tmp_path / "ca.crt"
    assert web.basic_auth_users["alice"] == HASH
    assert web.takes_credentials
    assert web.takes_certificate
    assert web.rate_limit.interval == timedelta(seconds=1)
    assert "HTTP/2 is not offered" in web.ignored


def test_little_is_enough(read):
    assert not read("tls_server_config: {}\nbasic_auth_users:\n").takes_credentials
    assert read("rate_limit: {interval: 0, burst: 1}\n").rate_limit.interval == timedelta(0)
    assert read("rate_limit: {interval: 0s}\n").ignored == ""
    web = read("tls_server_config: {cert_file: '${PLACE}/x.crt', key_file: y}\n")
    assert web.tls_server_config.cert_file.parts[-2:] == ("tls", "x.crt")


TLS = "tls_server_config:\n  cert_file: a\n  key_file: b\n"
TAKES_VERIFIED = "client_auth_type: RequireAndVerifyClientCert"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tls_server_config:\n  cert_file: a\n", "1: tls_server_config.key_file: missing; it must be given"),
        (TLS + "  cert_flie: c\n", "4: tls_server_config.cert_flie: unknown key; did you mean cert_file?"),
        (TLS + "  cert: PEM\n", "4: tls_server_config.cert: is read from a file only; name the file in cert_file"),
        (TLS + "  min_version: TLS11\n", "4: tls_server_config.min_version: TLS before 1.2 is broken"),
        (TLS + "  min_version: TLS13\n  max_version: TLS12\n", "4: tls_server_config.min_version: is above max_version"),
        (TLS + "  cipher_suites: [RC4]\n", "4: tls_server_config.cipher_suites: 'RC4' is not known; known are: TLS_AES"),
        (TLS + "  curve_preferences: [X25519, CurveP256]\n", "4: tls_server_config.curve_preferences: only one"),
        (TLS + "  client_auth_type: RequireAnyClientCert\n", "4: tls_server_config.client_auth_type: accepts certificates that are not verified"),
        (TLS + "  client_auth_type: Any\n", "4: tls_server_config.client_auth_type: must be one of 'NoClientCert'"),
        (TLS + f"  {TAKES_VERIFIED}\n", "4: tls_server_config.client_auth_type: verifies certificates against client_ca_file"),
        (TLS + "  client_ca_file: c\n", "4: tls_server_config.client_ca_file: has no effect"),
        (TLS + "  client_allowed_sans: [c]\n", f"4: tls_server_config.client_allowed_sans: needs {TAKES_VERIFIED}"),
        (f"basic_auth_users:\n  bob: {HASH}\n  alice: open-secret\n", "3: basic_auth_users.alice: is not a bcrypt hash"),
        ("basic_auth_users:\n  bob: 17\n", "2: basic_auth_users.bob: must be text; put it in quotes"),
        (f"basic_auth_users:\n  'a:b': {HASH}\n", "2: basic_auth_users.a:b: a user's name must not"),
        ("bearer_tokens:\n  bob: open-secret\n", "2: bearer_tokens.bob: must be `sha256:`"),
        (f"bearer_tokens:\n  bob: {TOKEN}\nbasic_auth_users:\n  bob: {HASH}\n", "2: bearer_tokens.bob: is also a user"),
        ("permissions:\n  bob: [read]\n", "2: permissions.bob: no user or token has this name"),
        (f"bearer_tokens:\n  bob: {TOKEN}\npermissions:\n  bob: [write]\n", "4: permissions.bob.0: must be one of 'read', 'feedback', 'push' or 'admin'"),
        ("http_server_config:\n  headers:\n    Server: x\n", "3: http_server_config.headers.Server: cannot be set"),
        ("http_server_config:\n  headers:\n    X-Frame-Options: never\n", "3: http_server_config.headers.X-Frame-Options: must be deny or sameorigin"),
        ('http_server_config:\n  headers:\n    X-XSS-Protection: "0\\r\\nSet-Cookie: x"\n', "3: http_server_config.headers.X-XSS-Protection: must be one line"),
        ("rate_limit:\n  interval: 5\n", "2: rate_limit.interval: write a duration with its unit"),
        ("basic_auth_user:\n", "1: basic_auth_user: unknown key; did you mean basic_auth_users?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_line_and_key(read, tmp_path, text, told):
    with pytest.raises(ConfigError) as raised:
        read(text)
    lines = str(raised.value).splitlines()
    assert any(line.startswith(f"{tmp_path}/web.yml:{told}") for line in lines), lines
    assert "open-secret" not in str(raised.value)


def test_a_file_that_is_not_there_or_empty_opens_nothing(read, tmp_path):
    with pytest.raises(
        ConfigError, match=r"web.yml: the file is empty \(http.web_config names the file"
    ):
        read("")
    with pytest.raises(ConfigError, match="no such file"):
        read_web_config(tmp_path / "other.yml")


def test_the_example_for_deployment_is_valid_and_lets_nobody_in_with_a_password_all_know():
    web, _ = read_web_config(ROOT / "deploy" / "web.yml")
    assert web.tls_server_config.cert_file == ROOT / "deploy" / "tls" / "aemon.crt"
    assert (web.basic_auth_users, web.bearer_tokens) == ({}, {})


def test_the_example_takes_what_the_commands_print(tmp_path):
    text = (ROOT / "deploy" / "web.yml").read_text()
    text = re.sub(r"#((basic_auth_users|bearer_tokens|permissions):)", r"\1", text)
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    text = text.replace("#operator: $2b$12$...", f"operator: {hashed}")
    text = text.replace("#prometheus: sha256:...", f"prometheus: sha256:{'0' * 64}")
    (tmp_path / "web.yml").write_text(text.replace("#operator: [read", "operator: [read"))
    web, _ = read_web_config(tmp_path / "web.yml")
    assert list(web.basic_auth_users) == ["operator"]
    assert list(web.bearer_tokens) == ["prometheus"]
    assert web.permissions["operator"] == ("read", "feedback")
