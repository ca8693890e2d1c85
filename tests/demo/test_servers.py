import stat

import pytest

from aemon.demo.demo_sources import DemoSource
from aemon.demo.files import DemoFiles
from aemon.demo.servers import MissingProgramError, check_programs, free_ports, prepare_server
from aemon.errors import ExitCode
from tests.cli.commands import run

SERVERS = [(DemoSource.MQTT, "mosquitto"), (DemoSource.PROMETHEUS, "prometheus")]


@pytest.mark.parametrize(("source", "program"), SERVERS)
def test_without_the_server_one_sentence_says_what_to_install(
    tmp_path, monkeypatch, source, program
):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run(tmp_path, "demo", "--source", source, "--folder", "demo", code=ExitCode.USAGE)
    assert f"needs the program {program}, which is not on PATH" in done.stderr
    ways = (f"apt-get install {program}", f"it is installed as /usr/sbin/{program}")
    assert any(way in done.stderr for way in ways)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_nowhere_is_to_be_installed(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("aemon.demo.servers._NOT_ON_PATH", ("/nowhere",))
    with pytest.raises(MissingProgramError, match="apt-get install prometheus"):
        check_programs(DemoSource.PROMETHEUS)


def test_a_server_beside_the_path_is_named(tmp_path, monkeypatch):
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("aemon.demo.servers._NOT_ON_PATH", (str(tmp_path),))
    with pytest.raises(MissingProgramError, match=f"PATH=.PATH:{tmp_path}"):
        check_programs(DemoSource.MQTT)


def test_the_usual_demo_needs_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    check_programs(DemoSource.SQL)
    assert prepare_server(DemoFiles(folder=tmp_path, port=1)) is None


@pytest.mark.parametrize(("source", "program"), SERVERS)
def test_a_server_listens_on_this_machine_alone_in_a_folder_of_its_own(
    tmp_path, monkeypatch, source, program
):
    path = tmp_path / "bin" / program
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    files = DemoFiles(folder=tmp_path, port=1, source=source, server_port=5, exporter_port=6)
    server = prepare_server(files)
    assert server.command[0] == str(path)
    (config,) = (tmp_path / program).iterdir()
    told = config.read_text() + " ".join(server.command)
    assert "127.0.0.1:5" in told or "listener 5 127.0.0.1" in told
    assert stat.S_IMODE((tmp_path / program).stat().st_mode) == 0o700
    assert not server.is_ready()


def test_free_ports_differ():
    assert len(set(free_ports(3))) == 3
