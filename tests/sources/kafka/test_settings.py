"""What a source of kind kafka may be told."""

import pytest
from pydantic import ValidationError

from aemon.config.source_settings import identity
from aemon.errors import SourceConfigError
from aemon.sources.kafka.connecting import client_config
from aemon.sources.kafka.places import Place, read_place
from aemon.sources.kafka.settings import KafkaSource

PLAIN = {"kind": "kafka", "servers": "broker:9092", "topics": "readings", "group": "pumps"}
SIGNED_IN = {"user": "me", "password": "hunter2"}


def settings(**more):
    return KafkaSource.model_validate(PLAIN | more)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"servers": "kafka://broker"}, "is not an address of a broker"),
        ({"servers": "broker:70000"}, "is not an address of a broker"),
        ({"servers": []}, "at least 1 item"),
        ({"topics": "a b"}, "is not a topic"),
        ({"topics": "^("}, "is not a regular expression"),
        ({"values": {"flow": "flow"}}, r"must begin with \$"),
        ({"values": {"flow": "$topics"}}, "is not a part of a message"),
        ({"values": {"flow": "$timestamp.x"}}, "without members"),
        ({"values": {"flow": "$headers"}}, "must name one header"),
        ({"values": {}}, "at least 1 item"),
        ({"entity": "key"}, r"must begin with \$"),
        ({"user": "me"}, "belong together"),
        ({"password": "hunter2"}, "belong together"),
        ({"ca_file": "ca.pem"}, "has no effect without TLS"),
        ({"tls": True, "cert_file": "c.pem"}, "needs the other file"),
        ({**SIGNED_IN, "sasl": "PLAIN"}, "sends the password in clear text"),
        ({"sasl": "GSSAPI"}, "PLAIN"),
        ({"skip_bytes": 5}, "is for Avro only"),
        ({"start": "middle"}, "oldest"),
    ],
)
def test_a_mistake_is_told_without_secrets(given, told):
    with pytest.raises(ValidationError, match=told) as caught:
        settings(**given)
    assert "hunter2" not in str(caught.value)


def test_servers_and_topics_may_be_written_as_one_text():
    both = settings(servers="a:1, b:2,[::1]:3")
    assert (both.servers, both.topics) == (["a:1", "b:2", "[::1]:3"], ["readings"])


@pytest.mark.parametrize(
    ("given", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"tls": True}, "SSL"),
        (SIGNED_IN, "SASL_PLAINTEXT"),
        ({**SIGNED_IN, "tls": True, "sasl": "PLAIN"}, "SASL_SSL"),
    ],
)
def test_the_protocol_follows_from_user_and_tls(given, protocol):
    config = client_config(settings(**given), lambda error: None)
    assert config["security.protocol"] == protocol
    assert ("sasl.password" in config) == ("user" in given)


def test_a_certificate_that_is_not_there_is_told(tmp_path):
    given = settings(tls=True, ca_file=tmp_path / "ca.pem")
    with pytest.raises(SourceConfigError, match=r"ca_file .* is not a readable file"):
        client_config(given, lambda error: None)


def test_a_password_in_clear_text_is_allowed_and_said_loudly():
    from aemon.clock import utc_now
    from aemon.sources.kafka.opening import open_source

    given = settings(**SIGNED_IN, sasl="PLAIN", clear_text_password=True)
    told = open_source(given, utc_now).describe()
    assert "THE PASSWORD GOES OVER THE NETWORK IN CLEAR TEXT" in told
    assert "hunter2" not in told


def test_its_inbox_stays_the_same_whatever_is_changed():
    changed = settings(**SIGNED_IN, topics=["b"], values={"x": "$.x"}, group="others")
    assert identity(changed) == identity(settings()) == '{"kind":"kafka"}'
    assert "hunter2" not in repr(changed)


def test_a_place_is_a_part_and_a_path():
    assert read_place("$") == Place("value", ())
    assert read_place("$.key") == Place("value", ("key",))
    assert read_place("$key") == Place("key", ())
    assert read_place("$key['a b']") == Place("key", ("a b",))
    assert read_place("$headers.site") == Place("headers", ("site",))
