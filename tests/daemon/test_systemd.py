"""sd_notify: what systemd hears of the daemon, on a real socket."""

import os
import socket
import time

import pytest

from aemon.daemon.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """A socket as systemd has it, and the environment that names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"@aemon-test-{os.getpid()}" if request.param == "abstract" else f"{tmp_path}/notify"
        listener.bind(name.replace("@", "\0"))
        listener.settimeout(0.5)
        yield listener, {"NOTIFY_SOCKET": name}


def heard(listener) -> list[str]:
    messages = []
    try:
        while True:
            messages.append(listener.recv(4096).decode())
    except TimeoutError:
        return messages


def test_systemd_hears_of_the_start_the_state_and_the_end(systemd):
    listener, environment = systemd
    notifier = Notifier(environment)
    notifier.ready()
    for _ in range(2):
        notifier.status("2 monitors, 1 learning")
    notifier.stopping()
    assert heard(listener) == [
        "READY=1",
        "STATUS=2 monitors, 1 learning",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_a_reload_says_when_it_began(systemd):
    listener, environment = systemd
    before = time.monotonic_ns() // 1000
    Notifier(environment).reloading()
    first, second = heard(listener)[0].split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_the_watchdog_is_fed_in_time_and_only_while_the_scheduler_lives(systemd):
    listener, environment = systemd
    watched = {**environment, "WATCHDOG_USEC": "300000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier(watched)
    # Given a scheduler that hangs, nothing is said, however often the main loop comes by
    for _ in range(5):
        notifier.feed_watchdog(lambda: False)
    assert heard(listener) == []
    # When it lives, it is fed, at least twice in the time that systemd waits
    deadline = time.monotonic() + 0.6
    while time.monotonic() < deadline:
        notifier.feed_watchdog(lambda: True)
        time.sleep(0.01)
    fed = heard(listener)
    assert set(fed) == {"WATCHDOG=1"}
    assert 4 <= len(fed) <= 7


def test_a_watchdog_of_another_process_is_not_fed(systemd):
    listener, environment = systemd
    for more in ({}, {"WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"}):
        Notifier({**environment, **more}).feed_watchdog(lambda: True)
    assert heard(listener) == []


def test_without_a_socket_or_with_one_that_went_away_nothing_happens(tmp_path):
    for environment in ({}, {"NOTIFY_SOCKET": f"{tmp_path}/gone", "WATCHDOG_USEC": "1000"}):
        notifier = Notifier(environment)
        notifier.ready()
        notifier.status("well")
        notifier.feed_watchdog(lambda: True)
        notifier.stopping()
