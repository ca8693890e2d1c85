"""`aemon web`: hashes for a web configuration."""

import hashlib
import json
import os
import pty
import subprocess
import sys

import bcrypt
import yaml

from aemon.config.web_settings import read_web_config
from aemon.errors import ExitCode
from tests.cli.commands import run


def ask(*arguments: str, given: str, code: int = ExitCode.OK) -> str:
    """A password through standard input; what is printed, errors included."""
    done = subprocess.run(
        [sys.executable, "-m", "aemon", "web", "password", *arguments],
        input=given, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert len(given) < 5 or given.strip() not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_is_printed_for_a_password_is_a_web_configuration(tmp_path):
    (tmp_path / "web.yml").write_text(ask("on", given="öpen sesame\n"))
    web, _ = read_web_config(tmp_path / "web.yml")
    assert bcrypt.checkpw("öpen sesame".encode(), web.basic_auth_users["on"].encode())
    told = json.loads(ask("alice", "--json", given="x"))
    assert told["user"] == "alice"
    assert told["hash"].startswith("$2b$12$")


def test_passwords_that_cannot_be_are_refused():
    assert "the password is empty" in ask("alice", given="\n", code=ExitCode.CONFIG)
    assert "longer than 72 bytes" in ask("alice", given=73 * "x", code=ExitCode.CONFIG)
    assert "must not be empty or hold ':'" in ask("a:b", given="x", code=ExitCode.CONFIG)


def test_on_a_terminal_it_is_asked_for_twice_and_not_shown():
    for again, code in (("secret-word", 0), ("other-word", 3)):
        terminal, inside = pty.openpty()
        command = [sys.executable, "-m", "aemon", "web", "password", "alice"]
        asking = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
        )
        os.close(inside)
        shown = b""
        for word, prompt in (("secret-word", b"Password: "), (again, b"Again: ")):
            while not shown.endswith(prompt):
                shown += os.read(terminal, 1024)
            os.write(terminal, f"{word}\n".encode())
        try:
            while part := os.read(terminal, 1024):
                shown += part
        except OSError:  # how a terminal says that nobody is there any more
            pass
        os.close(terminal)
        assert asking.wait(20) == code
        assert b"-word" not in shown
        assert (b"alice: $2b$12$" in shown) == (code == 0)


def test_a_token_is_shown_once_and_its_hash_is_a_web_configuration(tmp_path):
    done = run(tmp_path, "web", "token", "sensor 1")
    token = done.stderr.split()[-1]
    assert token.startswith("aemon_")
    assert len(token) > 40
    assert token not in done.stdout
    kept = f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    assert yaml.safe_load(done.stdout) == {"bearer_tokens": {"sensor 1": kept}}
    told = json.loads(run(tmp_path, "web", "token", "x", "--json").stdout)
    assert told["hash"] == f"sha256:{hashlib.sha256(told['token'].encode()).hexdigest()}"
    assert told["token"] != token
