"""A real OPC UA server for tests, asyncua's, in a process of its own: it can be killed."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager

from tests.processes import free_port

URI = "http://plant.example/"
ROOT = Path(__file__).resolve().parent.parent


class OpcUaServer:
    """A plant with two pumps, each with Flow, Pressure and State; `Pump1.Flow` has such an identifier too."""

    def __init__(self, **options: Any) -> None:
        self.port = free_port()
        self.options = options
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        given = json.dumps({"url": self.url, **self.options})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.opcua", given],
            cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def write(
        self, name: str, value: Any, at: datetime | None = None, status: str = "Good"
    ) -> None:
        """Set a value such as that of `Pump1.Flow`; return when the server has it."""
        time = (at or datetime.now(UTC)).isoformat()
        self.process.stdin.write(json.dumps([name, value, time, status]) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()


def wait_for(condition: Callable[[], Any], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class _Users(UserManager):
    def get_user(self, iserver, username=None, password=None, certificate=None):
        known = (username, password) == ("aemon", "hunter2")
        return User(role=UserRole.User) if known else None


async def _serve(options: dict[str, Any]) -> None:
    server = Server(user_manager=_Users()) if options.get("users") else Server()
    await server.init()
    server.set_endpoint(options["url"])
    if "cert" in options:
        kinds = ua.SecurityPolicyType
        server.set_security_policy(
            [
                kinds.Basic256Sha256_SignAndEncrypt, kinds.Basic256Sha256_Sign,
                kinds.Aes128Sha256RsaOaep_SignAndEncrypt, kinds.Aes256Sha256RsaPss_SignAndEncrypt,
            ]
        )  # fmt: skip
        await server.set_application_uri("urn:plant")
        await server.load_certificate(options["cert"])
        await server.load_private_key(options["key"])
    else:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for other in options.get("namespaces_before", ()):
        await server.register_namespace(other)
    index = await server.register_namespace(URI)
    plant = await server.nodes.objects.add_object(index, "Plant")
    nodes = {}
    for pump in ("Pump1", "Pump2"):
        folder = await plant.add_object(index, pump)
        for name, value in (("Flow", 1.0), ("Pressure", 2.0), ("State", "run")):
            place = ua.NodeId(f"{pump}.{name}", index)
            nodes[f"{pump}.{name}"] = await folder.add_variable(place, name, value)
    async with server:
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            name, value, at, status = json.loads(line)
            data = ua.DataValue(
                ua.Variant(value),
                StatusCode=ua.StatusCode(getattr(ua.StatusCodes, status)),
                SourceTimestamp=datetime.fromisoformat(at).astimezone(UTC).replace(tzinfo=None),
                ServerTimestamp=datetime.now(UTC).replace(tzinfo=None),
            )
            await server.write_attribute_value(nodes[name].nodeid, data)
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
