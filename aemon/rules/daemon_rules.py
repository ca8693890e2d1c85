"""The rules that hold for the daemons as a whole, and the numbers worth recording."""

from datetime import timedelta

from aemon.rules.rule import AT_ONCE, MINUTE, Alert, Played, Recording

DAEMON_ALERTS = (
    Alert(
        name="AemonSchedulerStands",
        severity="critical",
        expression="time() - aemon_scheduler_heartbeat_timestamp_seconds > 120",
        hold=MINUTE,
        summary="The scheduler on {{ $labels.instance }} stands still",
        description="The daemon answers, but its scheduler has not ticked for two minutes.",
        runbook="systemctl restart aemon; keep its log for whoever looks into it.",
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
        description="No verdicts are stored. Nothing is lost: what was not judged is judged once "
        "the store is back.",
        runbook="aemon doctor says whether the database answers, its disk is full, or its schema "
        "is another.",
        fires=(Played("aemon_store_up", {}, 0),),
        calm=(Played("aemon_store_up", {}, 1),),
        carries=("instance",),
    ),
    Alert(
        name="AemonStoreErrors",
        severity="warning",
        expression="increase(aemon_store_errors_total[15m]) > 3",
        hold=AT_ONCE,
        summary="The daemon on {{ $labels.instance }} has trouble with its store",
        description="Again and again the store could not be read or written in the last quarter "
        "of an hour.",
        runbook="aemon doctor; look for lock waits and full disks at the database.",
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
        summary="Another daemon took monitors from {{ $labels.instance }}",
        description="It had not said in time that it lives: it hung, its host slept, or the store "
        "was too slow.",
        runbook="Look at the load of its host and at its log; raise replicas.lease where the "
        "store is slow.",
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
        description="The file has a mistake; the configuration before goes on.",
        runbook="aemon check -c FILE names the line and what to do.",
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
            # A daemon that has just begun knows nothing of the time before.
            "and max by (receiver) (aemon_notifications_waiting offset 30m) > 0"
        ),
        hold=AT_ONCE,
        summary="{{ $labels.receiver }} is not told of episodes",
        description="A notification was given up, or has waited for half an hour: the receiver "
        "does not answer, or refuses what it is sent.",
        runbook="See what it answered: aemon notify list --dead. Try it: aemon notify test "
        "{{ $labels.receiver }}. Send what was given up again: aemon notify retry --all.",
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
        summary="Old results are not removed by {{ $labels.instance }}",
        description="Removal failed again and again within a day: the store grows.",
        runbook="aemon db prune --dry-run says what would go; the reason is in the table runs.",
        fires=(Played("aemon_runs_total", {"run": "prune", "outcome": "failed"}, 0, 1 / 3600),),
        calm=(Played("aemon_runs_total", {"run": "prune", "outcome": "failed"}, 9),),
        after=timedelta(hours=12),
        carries=("instance",),
    ),
)
"""The alerts that are the same whatever Prometheus calls the daemons' scrape job."""


def fleet_alerts(job: str) -> tuple[Alert, ...]:
    """The alerts about the daemons.

    Args:
        job: what Prometheus calls the scrape job of the daemons.
    """
    up = f'up{{job="{job}"}}'
    return (
        Alert(
            name="AemonAbsent",
            severity="critical",
            expression="absent(aemon_build_info)",
            hold=2 * MINUTE,
            summary="No aemon daemon is to be seen",
            description="Nothing is judged, and every other alert about anomalies is silent: no "
            "daemon runs, or Prometheus reaches none.",
            runbook="On its host: systemctl status aemon; aemon doctor. In Prometheus: the page "
            f"Targets, job {job}.",
            fires=(),
            calm=(Played("aemon_build_info", {"version": "0"}, 1),),
            carries=(),
        ),
        Alert(
            name="AemonDown",
            severity="warning",
            expression=f"{up} == 0",
            hold=2 * MINUTE,
            summary="The daemon on {{ $labels.instance }} is not reached",
            description="It has stopped, or Prometheus cannot scrape it. Where daemons share a store, "
            "another one has taken its monitors.",
            runbook="systemctl status aemon; aemon doctor.",
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
"""Share of the budget: 1 is as promised. Age in a monitor's own pauses: 1 is on time."""
