"""The daemon: connects monitors, scheduler, workers, metrics and web, and stops them in order."""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prometheus_client

from aemon import __version__
from aemon.clock import Clock, utc_now
from aemon.config.schema import Config
from aemon.config.values.addresses import page_url
from aemon.daemon.health import Condition
from aemon.daemon.leasing import Leasing, Watch, own_name
from aemon.daemon.local_workers import LocalWorkers
from aemon.daemon.pruning import Retention
from aemon.daemon.reloading import Change, Reloading
from aemon.daemon.runner import Runner
from aemon.daemon.scheduler import Scheduler
from aemon.daemon.systemd import Notifier
from aemon.daemon.trainings import Trainings
from aemon.daemon.watched_monitors import Watching, WatchingParts
from aemon.errors import ExitCode, ResourceError, StoreError
from aemon.logs import Action, log, set_up_logs
from aemon.metrics.metrics import Metrics
from aemon.notify.notifier import Outbox
from aemon.operations.installation import Installation
from aemon.operations.status_report import DaemonState, StatusPage, status_page
from aemon.reading.pushed_records import PushDesk
from aemon.records import Job, Outcome
from aemon.store.engine import open_engine
from aemon.store.leases import Replica
from aemon.store.lists.ledger_sums import LedgerSums
from aemon.store.schema import revisions
from aemon.store.store import Store
from aemon.threads import first_dead, start_thread
from aemon.web.access import WatchedAccess, exposure
from aemon.web.app import guarded, routes
from aemon.web.guard import Limits
from aemon.web.host_names import known_hosts
from aemon.web.push_routes import Pushes
from aemon.web.server import WebServer, listen

if TYPE_CHECKING:
    import threading

    from starlette.routing import BaseRoute

logger = logging.getLogger(__name__)

Diagnose = Callable[[], Iterator[Any]]

# Waiting times of a stopping daemon:
STOP_SECONDS = 6.0  # for running runs to commit
GIVE_BACK_SECONDS = 1.0  # to give back the leases
LAST_RECORDS_SECONDS = 0.5  # at most, for the last records of streams
CUT_OFF_SECONDS = 1.0  # for the cancellation of hanging queries
LAST_WORD_SECONDS = 1.5  # at least, for the answers of receivers
AWAKE_EVERY_SECONDS = 0.2
CLOCK_STEP_SECONDS = 5.0  # NTP makes smaller steps when it adjusts the clock slowly


class Daemon:
    """The process that watches the configured monitors until a signal stops it.

    Raises at construction:
        AemonError: the store or the address cannot be used.
    """

    _web: WebServer | None = None
    _reload_thread: "threading.Thread | None" = None
    _asked_to_stop = _asked_to_reload = _reload_short = False

    def __init__(
        self, config: Config, clock: Clock = utc_now, path: Path | None = None,
        diagnose: Diagnose | None = None,
    ) -> None:  # fmt: skip
        self._config, self._clock, self._diagnose = config, clock, diagnose
        self._store_url = config.store.get_secret_value()
        self._access = WatchedAccess(config.http.web_config)
        self._socket = listen(config.http.listen)
        name = config.replicas.name or own_name()
        engine = open_engine(self._store_url, name)
        revisions.prepare(engine)
        self._store = Store(engine, clock)
        self._store.add_monitors(config.monitors)
        # Requests must not take connections from runs.
        self._api_store = Store(open_engine(self._store_url, name), clock)
        self._sums = LedgerSums()
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._metrics = Metrics(prometheus_client.CollectorRegistry(), clock)
        self._runner = Runner(self._store, self._metrics, clock)
        workers = LocalWorkers(config.trainings_at_once)
        self._scheduler = Scheduler(self._missed, workers.capacity, clock)
        self._retention = Retention(
            self._store, self._runner, self._metrics, config.monitors, config.retention, clock
        )
        self._trainings = Trainings(
            self._store_url, workers, self._runner, self._scheduler, clock,
            lambda: self._asked_to_stop,
        )  # fmt: skip
        self._outbox = Outbox(
            Store(open_engine(self._store_url, name), clock), self._metrics,
            held=lambda: self._leasing.held, page=page_url(
                config.http.url, self.address, tls=self._access.now.tls is not None
            ),
        )  # fmt: skip
        self._watching = Watching(
            WatchingParts(
                store=self._store, metrics=self._metrics, runner=self._runner,
                scheduler=self._scheduler, trainings=self._trainings, clock=clock,
            ),
            config.monitors,
            observe=self._outbox.observe,
            stopping=lambda: self._asked_to_stop,
        )  # fmt: skip
        self._started_at = clock()
        me = {"name": name, "address": self.address, "version": __version__}
        self._me = Replica(**me, started_at=self._started_at)
        self._leasing = Leasing(
            Store(open_engine(self._store_url, name), clock), self._me, config.replicas.lease,
            self._metrics,
            Watch(
                on_won=self._watching.begin,
                on_lost=self._watching.end,
                running=self._runner.running,
            ),
        )  # fmt: skip
        self._reloading = Reloading(path, self._metrics, lambda: clock().timestamp())
        self._condition = Condition(
            self._store, self._scheduler, self._leasing, self._watching.monitors, self._dead_thread
        )
        self._notifier = Notifier()

    @property
    def address(self) -> str:
        """The `host:port` on which the daemon listens."""
        host, port = self._socket.getsockname()[:2]
        return f"{host}:{port}"

    def run(self) -> ExitCode:
        """Watch the monitors until SIGTERM or SIGINT, then end within ten seconds.

        The daemon also ends, with `FAILED`, if a thread that it needs has ended.

        Raises:
            ResourceError: the machine cannot start a thread.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGHUP, self._ask_to_reload)
        limits = self._limits()
        desk = PushDesk(self._store, lambda: self._config.monitors, self._clock)
        pushes = Pushes(desk, self._metrics.count_rejected, limits.max_body)
        pages = routes(self._status, self._condition.health, self._metrics.exposed)
        app = guarded(
            [*pages, *pushes.routes, *self._for_clients()],
            lambda: self._access.now, limits=limits, refused=self._metrics.count_refused,
        )  # fmt: skip
        self._web = web = WebServer(self._socket, app, self._access)
        web.start()
        exposed = exposure(self._access.now.settings, self._socket.getsockname()[0])
        if exposed:
            log(logger, logging.WARNING, Action.WEB_OPEN, exposed, http=self.address)
        self._leasing.start(self._config.monitors)
        self._outbox.adopt(self._config)
        self._retention.end_lost_runs()
        self._scheduler.prune(self._config.retention.every, self._retention.round)
        self._scheduler.start(self._heartbeat)
        log(
            logger, logging.INFO, Action.STARTED, version=__version__,
            monitors=len(self._config.monitors), http=self.address,
        )  # fmt: skip
        self._notifier.ready()
        self._notifier.keep_reporting(self._condition.line)
        # This thread waits for no lock: a signal handler that runs while this thread holds the lock
        # would wait for itself, and the wait may miss a signal that another thread received.
        ahead, looked_at = time.time() - time.monotonic(), time.monotonic()
        while not (dead := self._dead_thread()) and not self._asked_to_stop:
            time.sleep(AWAKE_EVERY_SECONDS)
            self._notifier.feed_watchdog(lambda: self._condition.alive)
            pause = self._config.reload_every.total_seconds()
            if self._asked_to_reload or time.monotonic() - looked_at >= pause:
                looked_at = time.monotonic()
                self._begin_reload()
            step = time.time() - time.monotonic() - ahead
            if abs(step) > CLOCK_STEP_SECONDS:
                log(logger, logging.WARNING, Action.CLOCK_SET, "the clock was set", seconds=step)
                self._scheduler.start_over()
                ahead += step
        if dead:
            what = f"the thread {dead} has ended: aemon ends, so that it can be restarted"
            log(logger, logging.CRITICAL, Action.SCHEDULER_FAILED, what)
        self._stop(web)
        return ExitCode.FAILED if dead else ExitCode.OK

    def _for_clients(self) -> "list[BaseRoute]":
        # FastAPI takes long to import, and most commands need no daemon.
        from aemon.web.api.desk import QUERY_SECONDS
        from aemon.web.served_routes import served_routes

        store = self._api_store.limited(QUERY_SECONDS)
        made = partial(Installation, store=store, clock=self._clock, sums=self._sums)
        return served_routes(lambda: made(self._config), self._status, self._diagnose)

    def _limits(self) -> Limits:
        http, bound = self._config.http, self._socket.getsockname()[0]
        return Limits(max_body=http.max_body, hosts=known_hosts(http, bound))

    def _dead_thread(self) -> str:
        """Return the name of an ended thread that the daemon needs; empty if all are alive."""
        web = self._web.threads if self._web is not None else []
        return first_dead(
            [*self._scheduler.threads, *self._leasing.threads, *self._outbox.threads, *web]
        )

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._asked_to_stop = True

    def _ask_to_reload(self, _number: int, _frame: object) -> None:
        self._asked_to_reload = True

    def _begin_reload(self) -> None:
        """Reload in a thread, unless a reload is running.

        The store may hang during a reload, and the main thread must continue to feed the watchdog.
        """
        if self._reload_thread is None or not self._reload_thread.is_alive():
            try:
                self._reload_thread = start_thread(self._reload, "reload")
            except ResourceError as error:
                if not self._reload_short:
                    log(logger, logging.ERROR, Action.SCHEDULER_FAILED, str(error))
                self._reload_short = True
            else:
                self._reload_short = False

    def _reload(self) -> None:
        """Read the configuration file, and use its changes, except for keys that need a restart."""
        requested, self._asked_to_reload = self._asked_to_reload, False
        if requested:
            self._notifier.reloading()
        try:
            found = self._reloading.look(self._config, requested=requested)
            if found is not None:
                self._use(*found)
        except StoreError as error:
            self._metrics.store_errors.inc()
            self._reloading.put_off(str(error))
        except Exception as error:
            logger.exception("", extra={"action": Action.CONFIG_REFUSED})
            self._reloading.put_off(repr(error))
        finally:
            if requested:
                self._notifier.ready()

    def _use(self, new: Config, change: Change) -> None:
        """Use a new configuration; after a failure, the previous configuration stays in use."""
        self._store.add_monitors(new.monitors)
        try:
            self._adopt(new)
        except Exception:
            with suppress(
                Exception
            ):  # the next heartbeat begins to watch monitors that are missing
                self._adopt(self._config)
            raise
        self._config = new
        if "log" in change.others:
            set_up_logs(new.log.level, new.log.format)
        self._reloading.done(change)

    def _adopt(self, config: Config) -> None:
        self._retention.adopt(config.monitors, config.retention)
        self._leasing.watch(config.monitors)
        self._watching.adopt(config.monitors)
        for name in (
            config.monitors
        ):  # the lease of a monitor that was removed and added again is still held
            fence = self._leasing.fence_of(name)
            if fence is not None:
                self._watching.begin(name, fence)
        self._outbox.adopt(config)
        self._scheduler.prune(config.retention.every, self._retention.round)

    def _stop(self, web: WebServer) -> None:
        log(logger, logging.INFO, Action.STOPPING)
        self._notifier.stopping()
        self._scheduler.stop()
        self._runner.refuse("aemon is stopping")
        self._trainings.stop()
        self._outbox.ask_to_end()
        self._watching.stop_listening(LAST_RECORDS_SECONDS)
        clean = self._runner.stop(STOP_SECONDS)
        self._outbox.stop(LAST_WORD_SECONDS)
        self._leasing.stop(GIVE_BACK_SECONDS)
        web.stop()
        if clean:
            self._watching.close()
        else:
            self._watching.cut_off(CUT_OFF_SECONDS)
        self._store.close()
        self._api_store.close()
        log(logger, logging.INFO, Action.STOPPED, clean=clean)

    def _missed(self, monitor: str, job: Job, outcome: Outcome, reason: str) -> None:
        self._runner.note(monitor, job, outcome, reason)

    def _heartbeat(self) -> None:
        self._condition.beat()
        heartbeat = self._metrics.scheduler_heartbeat_timestamp_seconds
        heartbeat.set(self._clock().timestamp())

    def _status(self) -> StatusPage:
        state = DaemonState(
            started_at=self._started_at, replica=self._me.name, replicas=self._leasing.live,
            held=self._leasing.held, health=self._condition.health(),
            wanted={name: self._watching.needed(name) for name in self._config.monitors},
            config_refused=self._reloading.refusal,
        )  # fmt: skip
        whole = Installation(self._config, self._store, self._clock, sums=self._sums)
        return status_page(whole, state)


def run_daemon(
    config: Config,
    ready: Callable[[str], Any] | None = None,
    path: Path | None = None,
    diagnose: Diagnose | None = None,
) -> ExitCode:
    """Run the daemon of a configuration until it ends.

    Args:
        config: the configuration at the start.
        ready: called with `host:port` once the daemon listens there.
        path: the file of the configuration, which the daemon watches for changes.
        diagnose: runs the checks of `aemon doctor`, for the page `/setup`; None without them.

    Returns:
        The exit code of the process.
    """
    daemon = Daemon(config, path=path, diagnose=diagnose)
    if ready:
        ready(daemon.address)
    return daemon.run()
