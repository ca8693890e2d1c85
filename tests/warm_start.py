"""Command lines in a process that has imported everything before: a start costs 20 ms, not 2 s.

The first command of a test process starts a server with every module of aemon loaded. For each
command it forks a process of its own, which runs `python -m aemon` in its own folder, environment
and files, and ends with its own exit code. What imports cost or leave out shows in a real start
alone: the acceptance tests start the program for real.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

import aemon

LONGEST_SECONDS = 200
_NOT_LOADED = ("__main__", "demo.feed")


class _Server:
    """The process that forks; one of each test process."""

    def __init__(self) -> None:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_start"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            cwd=Path(__file__).resolve().parents[1],
        )  # fmt: skip
        self._asking = threading.Lock()
        atexit.register(self._process.kill)

    def run(self, arguments: list[str], cwd: Path | None) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder, self._asking:
            out, err = Path(folder, "out"), Path(folder, "err")
            request = {
                "arguments": arguments, "cwd": str(cwd or Path.cwd()), "environment": {**os.environ},
                "out": str(out), "err": str(err),
            }  # fmt: skip
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            assert answer, "the server of command lines has ended"
            return subprocess.CompletedProcess(
                arguments, int(answer), out.read_text("utf-8"), err.read_text("utf-8")
            )


_server: dict[int, _Server] = {}


def aemon_warm(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    if os.getpid() not in _server:
        _server[os.getpid()] = _Server()
    return _server[os.getpid()].run([*arguments], cwd)


def serve() -> None:
    """Fork a process for every request of standard input, and answer with its exit code."""
    for found in pkgutil.walk_packages(aemon.__path__, "aemon."):
        if not found.name.endswith(_NOT_LOADED):
            importlib.import_module(found.name)
    import torch  # noqa: F401 -- training alone needs it, and loads it longest

    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(request: dict[str, Any]) -> NoReturn:
    """Become `python -m aemon`."""
    code = 1
    try:
        for target, path in ((1, request["out"]), (2, request["err"])):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, target)
            os.close(opened)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = ["aemon", *request["arguments"]]
        signal.alarm(LONGEST_SECONDS)
        try:
            runpy.run_module("aemon", run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as ended:
            code = _exit_code(ended.code)
        except BaseException:  # noqa: BLE001 -- as the interpreter does
            traceback.print_exc()
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _exit_code(given: object) -> int:
    """What `sys.exit` makes of its argument."""
    if given is None or isinstance(given, int):
        return given or 0
    print(given, file=sys.stderr)
    return 1


if __name__ == "__main__":
    serve()
