"""Asking a daemon, where something else may answer."""

import socket
import threading

import pytest

from aemon.config.schema import Config
from aemon.doctor.daemon_client import ask_daemon


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello", b""])
def test_something_else_answers(said):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        listen = f"127.0.0.1:{listener.getsockname()[1]}"
        pumps = {"source": {"kind": "host"}, "score_every": "1m"}
        config = Config.model_validate({"http": {"listen": listen}, "monitors": {"pumps": pumps}})
        answer = ask_daemon(config)
        thread.join(5)
    assert answer.status is None
    assert listen in answer.why
