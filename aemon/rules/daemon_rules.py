"""The alerting rules about daemons, and the recording rules of all monitors."""

from datetime import timedelta

from aemon.rules.rule import AT_ONCE, MINUTE, Alert, Played, Recording

DAEMON_ALERTS = (
    Alert(
        name="AemonSchedulerStands",
        severity="critical",
        expression="time() - aemon_scheduler_heartbeat_timestamp_seconds > 120",
        hold=MINUTE,
        summary="The scheduler on {{ $labels.instance }} has stopped",
        description="The daemon answers, but the last heartbeat of its scheduler is more than two "
        "minutes old: no job runs.",
        runbook="Save the daemon's log for analysis, then: systemctl restart aemon.",
        fires=(Played("aemon_scheduler_heartbeat_timestamp_seconds"),),
        calm=(Played("aemon_scheduler_heartbeat_timestamp_seconds", {}, 0, 1),),
        after=2 * MINUTE,
        carries=("instance",),
    ),
    Alert(
        name="AemonStoreDown",
        severity="critical",
        expression="aemon_store_up == 0",
        hold=MINUTE,
        summary="The daemon on {{ $labels.instance }} cannot write its store",
        description="No verdicts are stored. Nothing is lost: records that were not judged are "
        "judged once the store can be written again.",
        runbook="aemon doctor shows whether the database answers, whether its disk is full, and "
        "whether its schema fits this version.",
        fires=(Played("aemon_store_up", {}, 0),),
        calm=(Played("aemon_store_up", {}, 1),),
        carries=("instance",),
    ),
    Alert(
        name="AemonStoreErrors",
        severity="warning",
        expression="increase(aemon_store_errors_total[15m]) > 3",
        hold=AT_ONCE,
        summary="The store of the daemon on {{ $labels.instance }} fails repeatedly",
        description="More than three reads or writes of the store failed in the last 15 minutes.",
        runbook="Run aemon doctor; look for lock waits and a full disk at the database.",
        fires=(Played("aemon_store_errors_total", {}, 0, 1 / 60),),
        calm=(Played("aemon_store_errors_total", {}, 7),),
        after=15 * MINUTE,
        carries=("instance",),
    ),
    Alert(
        name="AemonLeasesLost",
        severity="warning",
        expression="increase(aemon_leases_lost_total[15m]) > 0",
        hold=AT_ONCE,
        summary="Another daemon took over monitors of {{ $labels.instance }}",
        description="The daemon on {{ $labels.instance }} missed its heartbeat: it hung, its host "
        "was suspended, or the store was too slow.",
        runbook="Look at the load of the daemon's host and at the daemon's log; raise "
        "replicas.lease if the store is slow.",
        fires=(Played("aemon_leases_lost_total", {}, 0, 1 / 60),),
        calm=(Played("aemon_leases_lost_total", {}, 3),),
        after=15 * MINUTE,
        carries=("instance",),
    ),
    Alert(
        name="AemonConfigRefused",
        severity="warning",
        expression="aemon_config_last_reload_successful == 0",
        hold=5 * MINUTE,
        summary="The configuration on {{ $labels.instance }} was refused",
        description="The configuration file has an error. The daemon continues with the previous "
        "configuration.",
        runbook="aemon check -c FILE shows the line and what to do.",
        fires=(Played("aemon_config_last_reload_successful", {}, 0),),
        calm=(Played("aemon_config_last_reload_successful", {}, 1),),
        carries=("instance",),
    ),
    Alert(
        name="AemonNotificationsFail",
        severity="warning",
        expression=(
            "sum by (receiver) "
            '(increase(aemon_notifications_total{outcome="dead"}[1h])) > 0\n'
            "or max by (receiver) (min_over_time(aemon_notifications_waiting[30m])) > 0\n"
            # A daemon that has just started has no values from the time before its start.
            "and max by (receiver) (aemon_notifications_waiting offset 30m) > 0"
        ),
        hold=AT_ONCE,
        summary="Notifications do not reach {{ $labels.receiver }}",
        description="aemon has given up a notification, or notifications have waited for half an "
        "hour: the receiver does not answer, or refuses them.",
        runbook="See the receiver's answers: aemon notify list --dead. Test the receiver: aemon "
        "notify test {{ $labels.receiver }}. Send dead letters again: aemon notify retry --all.",
        fires=(
            Played("aemon_notifications_total", {"receiver": "ops", "outcome": "dead"}, 0, 1 / 60),
        ),
        calm=(
            Played("aemon_notifications_total", {"receiver": "ops", "outcome": "dead"}, 4),
            Played("aemon_notifications_waiting", {"receiver": "ops"}, 0),
        ),
        after=timedelta(hours=1),
        carries=("receiver",),
    ),
    Alert(
        name="AemonRetentionFails",
        severity="warning",
        expression=(
            "sum by (instance) "
            '(increase(aemon_runs_total{run="prune", outcome=~"failed|timed_out"}[1d])) > 3'
        ),
        hold=AT_ONCE,
        summary="The daemon on {{ $labels.instance }} fails to remove old results",
        description="More than three attempts failed within a day: the store grows.",
        runbook="The reason is in the table runs. aemon db prune --dry-run counts the rows that "
        "would be removed.",
        fires=(Played("aemon_runs_total", {"run": "prune", "outcome": "failed"}, 0, 1 / 3600),),
        calm=(Played("aemon_runs_total", {"run": "prune", "outcome": "failed"}, 9),),
        after=timedelta(hours=12),
        carries=("instance",),
    ),
)
"""The alerts that do not depend on the name of the daemons' scrape job."""


def fleet_alerts(job: str) -> tuple[Alert, ...]:
    """Return the alerts about daemons.

    Args:
        job: name of the daemons' scrape job in Prometheus.
    """
    up = f'up{{job="{job}"}}'
    return (
        Alert(
            name="AemonAbsent",
            severity="critical",
            expression="absent(aemon_build_info)",
            hold=2 * MINUTE,
            summary="Prometheus sees no aemon daemon",
            description="No daemon runs and nothing is judged, or Prometheus cannot scrape any "
            "daemon. Meanwhile all alerts about anomalies are silent.",
            runbook="On the daemon's host: systemctl status aemon; aemon doctor. In Prometheus: "
            f"see the page Targets, job {job}.",
            fires=(),
            calm=(Played("aemon_build_info", {"version": "0"}, 1),),
            carries=(),
        ),
        Alert(
            name="AemonDown",
            severity="warning",
            expression=f"{up} == 0",
            hold=2 * MINUTE,
            summary="The daemon on {{ $labels.instance }} cannot be reached",
            description="The daemon has stopped, or Prometheus cannot scrape it. If daemons share "
            "a store, another daemon takes over the monitors of a stopped daemon.",
            runbook="On the daemon's host: systemctl status aemon; aemon doctor.",
            fires=(Played("up", {"job": job}, 0),),
            calm=(Played("up", {"job": job}, 1),),
            carries=("job", "instance"),
        ),
        *DAEMON_ALERTS,
    )


RECORDINGS = (
    Recording(
        "monitor:aemon_records_scored:rate5m",
        "sum by (monitor) (rate(aemon_records_scored_total[5m]))",
    ),
    Recording(
        "monitor:aemon_anomalies:increase1d",
        "sum by (monitor) (increase(aemon_anomalies_total[1d]))",
    ),
    Recording(
        "monitor:aemon_budget_used:ratio1d",
        "sum by (monitor) (increase(aemon_anomalies_total[1d]))\n"
        "/ (max by (monitor) (aemon_promised_false_alarm_ratio)\n"
        "   * (sum by (monitor) (increase(aemon_records_scored_total[1d]))\n"
        "      - sum by (monitor) (increase(aemon_records_idle_total[1d])) > 0))",
    ),
    Recording(
        "monitor:aemon_run_age:pauses",
        "(time() - max by (monitor) "
        '(aemon_run_last_success_timestamp_seconds{run="score"}))\n'
        '/ max by (monitor) (aemon_run_interval_seconds{run="score"})',
    ),
    Recording(
        "monitor:aemon_source_delay:seconds",
        "time() - max by (monitor) (aemon_source_newest_record_timestamp_seconds)",
    ),
)
"""The recording rules.

`aemon_budget_used` is 1 if as many records are flagged as the target rate allows. `aemon_run_age`
is 1 if the last good run ended one pause between runs ago.
"""
