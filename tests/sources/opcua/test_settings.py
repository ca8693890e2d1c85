"""What a source of kind opcua may be told."""

import pytest
from pydantic import ValidationError

from aemon.config.source_settings import identity
from aemon.sources.opcua.node_names import read_node_name
from aemon.sources.opcua.settings import OpcUaSource

PLAIN = {"kind": "opcua", "url": "opc.tcp://plant:4840", "nodes": {"Plant/+/Flow": "flow"}}
SIGNED_IN = {"user": "me", "password": "hunter2"}
FILES = {"cert_file": "c.pem", "key_file": "k.pem", "server_cert_file": "s.pem"}


def settings(**more):
    return OpcUaSource.model_validate(PLAIN | more)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "http://plant"}, "is not an address of a server"),
        ({"url": "opc.tcp://me:hunter2@plant"}, "write them under the keys user and password"),
        ({"nodes": {}}, "at least 1 item"),
        ({"nodes": {"nsu=urn:x": "flow"}}, "is not an identifier of a node"),
        ({"nodes": {"ns=2;i=x": "flow"}}, "is not an identifier of a node"),
        ({"nodes": {"a//b": "flow"}}, "has an empty level"),
        ({"nodes": {"a/b+": "flow"}}, r"\+ stands for a whole level"),
        ({"nodes": {"a/+": 2}}, r"a/\+ has no level 2"),
        ({"nodes": {"i=7": 0}}, "i=7 is not a path"),
        ({"entity": 3}, "has no level 3"),
        ({"nodes": {"a": "$x"}}, "pattern"),
        ({"user": "me"}, "belong together"),
        (SIGNED_IN, "would be sent over a connection without encryption"),
        ({**SIGNED_IN, **FILES, "security": "sign"}, "without encryption"),
        ({"cert_file": "c.pem"}, "has no effect without protection"),
        ({"security": "sign", "cert_file": "c", "key_file": "k"}, "is needed for"),
        ({"policy": "Basic256"}, "Basic256Sha256"),
        ({"time": "none"}, "source"),
    ],
)
def test_a_mistake_is_told_without_secrets(given, told):
    with pytest.raises(ValidationError, match=told) as caught:
        settings(**given)
    assert "hunter2" not in str(caught.value)


def test_a_password_is_taken_over_encryption_or_where_clear_text_is_allowed():
    assert settings(**SIGNED_IN, **FILES, security="sign_and_encrypt").user == "me"
    assert settings(**SIGNED_IN, clear_text_password=True).user == "me"


def test_its_inbox_stays_the_same_whatever_is_changed():
    changed = settings(**SIGNED_IN, clear_text_password=True, bucket="1m", nodes={"i=1": "x"})
    assert identity(changed) == identity(settings()) == '{"kind":"opcua"}'
    assert "hunter2" not in repr(changed)


def test_a_namespace_may_have_escaped_characters():
    name = read_node_name("nsu=http://plant.example/a%3Bb;s=Pump 1;Flow")
    assert (name.uri, name.name) == ("http://plant.example/a;b", "s=Pump 1;Flow")
