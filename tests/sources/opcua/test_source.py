"""A stream of values from a real OPC UA server."""

import json
import socket
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from aemon.clock import utc_now
from aemon.errors import SourceConfigError, SourceError
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.sources.opcua.opening import open_source
from aemon.sources.opcua.settings import OpcUaSource
from aemon.sources.opcua.values import NotPlainError, time_of, value_of
from tests.opcua import URI, OpcUaServer, wait_for


@pytest.fixture(scope="module")
def plant():
    """A server that tests share: each must set what it reads."""
    with OpcUaServer() as server:
        yield server


@pytest.fixture
def listen():
    opened = []

    def listen(server, **more):
        stream = opcua(server, **more)
        opened.append(stream)
        stream.take(1)
        wait_for(lambda: stream._listener.is_connected or stream._listener.problem)
        return stream

    yield listen
    for stream in opened:
        stream.close()


def opcua(server, **more):
    given = {
        "url": server.url, "nodes": {"Plant/+/Flow": "flow", "Plant/+/State": "state"}, "entity": 1,
        "bucket": "200ms", "wait": "300ms", **more,
    }  # fmt: skip
    return open_source(OpcUaSource.model_validate(given), utc_now)


def rows(stream):
    """What is handed over next, as rows by entity."""
    found = {}
    wait_for(lambda: found.update(table=stream.take(1_000).table) or len(found["table"]))
    return found["table"].set_index("$entity")


def wait_for_row(stream, entity, **columns):
    def is_there():
        table = stream.take(1_000).table
        mine = table[table["$entity"] == entity] if len(table) else table
        return any(
            all(row.get(name) == value for name, value in columns.items())
            for row in mine.to_dict("records")
        )

    wait_for(is_there)


def test_nodes_by_path_are_columns_of_entities(plant, listen):
    stream = listen(plant)
    plant.write("Pump1.Flow", 4.5)
    plant.write("Pump2.State", "stop")
    wait_for_row(stream, "Pump1", flow=4.5, state="run")
    wait_for_row(stream, "Pump2", state="stop")


def test_nodes_by_identifier_have_their_namespace_by_its_uri(listen):
    with OpcUaServer(namespaces_before=["urn:other", "urn:third"]) as server:
        nodes = {f"nsu={URI};s=Pump1.Flow": "flow", "ns=0;i=2259": "state"}
        stream = listen(server, nodes=nodes, entity=None)
        wait_for_row(stream, "", flow=1.0, state=0)


def test_a_level_of_the_path_may_name_the_column(plant, listen):
    stream = listen(plant, nodes={"Plant/+/+": 2})
    assert {"Flow", "Pressure", "State"} <= set(rows(stream))


def test_a_value_of_bad_quality_is_a_missing_cell(plant, listen):
    stream = listen(plant)
    for status in ("Bad", "UncertainLastUsableValue", "BadSensorFailure"):
        plant.write("Pump1.Flow", 8.0)
        wait_for_row(stream, "Pump1", flow=8.0)
        plant.write("Pump1.Flow", 9.0, status=status)
        wait_for(lambda: pd.isna(rows(stream).loc[["Pump1"], "flow"].iloc[-1]))
    plant.write("Pump1.Flow", 1.0)


def test_the_time_of_a_value_is_that_of_its_device(plant, listen):
    stream = listen(plant, bucket="1s", wait="1s")
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    plant.write("Pump1.Flow", 11.0, begin + timedelta(milliseconds=200))
    plant.write("Pump1.Flow", 12.0, begin + timedelta(milliseconds=700))
    found = []

    def is_there():
        table = stream.take(1_000).table
        found.extend(row for row in table.to_dict("records") if row["$entity"] == "Pump1")
        return found and found[-1]["$time"] >= begin

    wait_for(is_there)
    flows = {row["$time"].to_pydatetime(): row["flow"] for row in found}
    assert flows[begin] == 12.0
    assert all(flow not in (11.0, 12.0) for time, flow in flows.items() if time < begin)


def test_a_late_value_is_set_aside_with_its_node(plant, listen):
    stream = listen(plant)
    plant.write("Pump1.Flow", 2.5)
    wait_for_row(stream, "Pump1", flow=2.5)
    late = []
    at = datetime.now(UTC) - timedelta(seconds=1)
    wait_for(lambda: datetime.now(UTC) > at + timedelta(seconds=2))
    plant.write("Pump1.Flow", 2.75, datetime.now(UTC) - timedelta(milliseconds=1200))
    wait_for(lambda: late.extend(stream.take(1_000).set_aside) or late)
    assert late[0].reason == "too_late"
    assert "Pump1.Flow" in json.loads(late[0].text)["node"]


def test_a_node_that_is_not_there_is_told_and_the_others_are_read(plant, listen):
    stream = listen(plant, nodes={
        "Plant/Pump1/Flow": "flow", "Plant/Pump1/Flw": "x", "nsu=urn:nowhere;s=F": "y",
        f"nsu={URI};s=Nope": "z",
    }, entity=None)  # fmt: skip
    found = []
    wait_for(lambda: found.extend(stream.take(1).set_aside) or len(found) == 3)
    assert {one.reason for one in found} == {"no_node"}
    told = " ".join(one.text for one in found)
    assert "Plant/Pump1/Flw: no node Flw at this level; did you mean Flow?" in told
    assert "nsu=urn:nowhere;s=F: no such namespace" in told
    assert "s=Nope (BadNodeIdUnknown)" in told
    assert set(rows(stream)) == {"flow", "$time", "$key"}


def test_a_server_without_any_of_the_nodes_is_told_what_there_is(plant, listen):
    stream = listen(plant, nodes={"Plants/+/Flow": "flow"})
    with pytest.raises(SourceConfigError, match=r"none of the nodes: .*did you mean Plant\?"):
        stream.take(1)


def test_a_server_that_goes_and_comes_back_is_subscribed_again(listen, store):
    with OpcUaServer() as server:
        stream = opcua(server)
        inbox = Inbox(lambda: stream, store, "pumps", keep=10_000)
        inbox.write_arrived()
        wait_for(lambda: stream._listener.is_connected)
        server.write("Pump1.Flow", 5.0)
        wait_for(lambda: 5.0 in flows(inbox, store))
        server.kill()
        wait_for(lambda: stream._listener.problem)
        with pytest.raises(SourceError, match=f"the OPC UA server {server.url} cannot be read"):
            wait_for(lambda: inbox.write_arrived() is None)
        gone = datetime.now(UTC)
        server.start()
        back = datetime.now(UTC)
        wait_for(lambda: stream._listener.is_connected)
        server.write("Pump1.Flow", 6.0)
        wait_for(lambda: 6.0 in flows(inbox, store))
        inbox.close()
        table = InboxRecords(store, "pumps").fetch(None, 100_000).table
        times = [datetime.fromisoformat(str(time)) for time in table["event_time"]]
        times = [one if one.tzinfo else one.replace(tzinfo=UTC) for one in times]
        assert not [one for one in times if gone < one < back - timedelta(milliseconds=200)]
        assert inbox.take_rejected() == {}


def flows(inbox, store):
    inbox.write_arrived()
    table = InboxRecords(store, "pumps").fetch(None, 100_000).table
    return table["flow"].tolist() if len(table) else []


def test_a_server_that_is_not_there_is_told_with_its_address(listen):
    server = OpcUaServer()
    stream = listen(server)
    with pytest.raises(SourceError, match=f"{server.url} cannot be read: .*Connect"):
        stream.take(1)
    stream.close()
    assert len(stream.take(1).table) == 0


def certificate(folder, name, uri, *, der=False):
    """Make a certificate as OPC UA wants it; return its file and that of its key."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = [x509.UniformResourceIdentifier(uri), x509.DNSName(socket.gethostname())]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    kind = serialization.Encoding.DER if der else serialization.Encoding.PEM
    ending = "der" if der else "pem"
    cert_file, key_file = folder / f"{name}.{ending}", folder / f"{name}.key.{ending}"
    cert_file.write_bytes(made.public_bytes(kind))
    key_file.write_bytes(
        key.private_bytes(kind, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that asks for encryption, and for a user; and its certificate."""
    folder = tmp_path_factory.mktemp("guarded")
    cert, key = certificate(folder, "plant", "urn:plant")
    with OpcUaServer(cert=str(cert), key=str(key), users=True) as server:
        yield server, cert


@pytest.mark.parametrize("der", [False, True], ids=["pem", "der"])
def test_encryption_with_certificates_user_and_password(guarded, listen, tmp_path, der):
    server, its_cert = guarded
    cert, key = certificate(tmp_path, "aemon", "urn:plant:aemon", der=der)
    given = {
        "security": "sign_and_encrypt", "cert_file": cert, "key_file": key,
        "server_cert_file": its_cert, "user": "aemon",
    }  # fmt: skip
    stream = listen(server, **given, password="hunter2")
    wait_for_row(stream, "Pump1", flow=1.0)
    wrong = listen(server, **given, password="hunter3")
    with pytest.raises(SourceConfigError, match=r"refuses: .*user and password") as caught:
        wrong.take(1)
    assert "hunter3" not in str(caught.value)


@pytest.mark.parametrize(
    ("security", "policy"),
    [
        ("sign", "Basic256Sha256"),
        ("sign_and_encrypt", "Aes128Sha256RsaOaep"),
        ("sign_and_encrypt", "Aes256Sha256RsaPss"),
    ],
)
def test_other_policies(guarded, listen, tmp_path, security, policy):
    server, its_cert = guarded
    cert, key = certificate(tmp_path, "aemon", "urn:plant:aemon")
    stream = listen(server, security=security, policy=policy, cert_file=cert, key_file=key,
                    server_cert_file=its_cert, user="aemon", password="hunter2",
                    clear_text_password=security == "sign")  # fmt: skip
    wait_for_row(stream, "Pump1", flow=1.0)


def test_a_server_with_another_certificate_gets_no_password(guarded, listen, tmp_path, monkeypatch):
    monkeypatch.setattr("aemon.sources.opcua.connecting.ANSWER_SECONDS", 2.0)  # it says nothing
    server, _ = guarded
    cert, key = certificate(tmp_path, "aemon", "urn:plant:aemon")
    stranger, _ = certificate(tmp_path, "stranger", "urn:plant")
    stream = listen(server, security="sign_and_encrypt", cert_file=cert, key_file=key,
                    server_cert_file=stranger, user="aemon", password="hunter2")  # fmt: skip
    assert not stream._listener.is_connected
    with pytest.raises((SourceError, SourceConfigError)):
        stream.take(1)


def test_files_that_are_no_certificates_are_told(plant, listen, tmp_path):
    cert, key = certificate(tmp_path, "aemon", "urn:aemon")
    (tmp_path / "bad.pem").write_text("-----BEGIN nothing")
    given = {"cert_file": cert, "key_file": key, "server_cert_file": cert}
    for name in given:
        for file, told in (("bad.pem", "does not hold a"), ("none.pem", "is not a readable file")):
            bad = given | {name: tmp_path / file}
            stream = listen(plant, security="sign_and_encrypt", **bad)
            with pytest.raises(SourceConfigError, match=f"{name} .*{told}"):
                stream.take(1)


def test_without_encryption_a_password_is_sent_on_request_alone_and_said_loudly(listen):
    with OpcUaServer(users=True) as server:
        given = {"user": "aemon", "password": "hunter2", "clear_text_password": True}
        stream = listen(server, **given)
        wait_for_row(stream, "Pump1", flow=1.0)
        told = stream.describe()
        assert "THE PASSWORD GOES OVER THE NETWORK IN CLEAR TEXT" in told
        assert "hunter2" not in told


def test_values_of_all_plain_types_are_cells():
    def cell(value, kind=None, **more):
        return value_of(ua.DataValue(ua.Variant(value, kind), **more))

    assert cell(2**64 - 1, ua.VariantType.UInt64) == float(2**64)
    assert cell(True) is True
    assert cell(float("nan")) is None
    assert cell(ua.LocalizedText("läuft")) == "läuft"
    assert cell(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00+00:00"
    assert cell(None) is None
    for odd in ([1.0, 2.0], b"raw"):
        with pytest.raises(NotPlainError):
            cell(odd)


def test_a_value_without_a_time_has_that_of_its_arrival():
    now = datetime(2026, 3, 1, tzinfo=UTC)
    data = ua.DataValue(
        ua.Variant(1.0), SourceTimestamp=None, ServerTimestamp=datetime(2026, 2, 1, tzinfo=UTC)
    )
    assert time_of(data, "source", now) == datetime(2026, 2, 1, tzinfo=UTC)
    assert time_of(data, "arrival", now) == now
    assert time_of(ua.DataValue(ua.Variant(1.0)), "source", now) == now
