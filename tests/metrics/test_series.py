"""Series that keep their line until their value changes."""

import math
import threading

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from aemon.metrics.series import Family, Metric


def family(kind="gauge", labels=("monitor", "reason")) -> Family:
    return Family(Metric("aemon_things", kind, labels, "things"), CollectorRegistry())


def text(some: Family) -> str:
    return some.text()


def test_a_line_follows_its_value():
    things = family()
    things.labels("pumps", "leak").set(3)
    assert text(things).endswith('aemon_things{monitor="pumps",reason="leak"} 3.0\n')
    things.labels(monitor="pumps", reason="leak").inc(0.5)
    assert text(things).endswith('aemon_things{monitor="pumps",reason="leak"} 3.5\n')
    assert text(things).startswith("# HELP aemon_things things\n# TYPE aemon_things gauge\n")


def test_a_counter_never_counts_down_and_is_called_total():
    things = family("counter", ())
    things.inc(2)
    assert text(things).endswith("aemon_things_total 2.0\n")
    with pytest.raises(ValueError, match="only counts up"):
        things.inc(-1)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e-9, 1.5e17, 0.1])
def test_every_number_comes_back_as_it_was(value):
    things = family(labels=())
    things.set(value)
    (parsed,) = text_string_to_metric_families(text(things))
    assert parsed.samples[0].value == pytest.approx(value, nan_ok=True)


def test_every_label_comes_back_as_it_was():
    things, odd = family(labels=("entity",)), 'a "b" \\ c\nd é {}'
    things.labels(odd).set(1)
    (parsed,) = text_string_to_metric_families(text(things))
    assert parsed.samples[0].labels == {"entity": odd}


def test_wrong_labels_are_refused():
    with pytest.raises(ValueError, match="has the labels"):
        family().labels("pumps")


def test_what_a_monitor_leaves_behind_goes_at_once():
    things = family()
    things.labels("pumps", "leak").inc()
    things.labels("fans", "leak").inc()
    things.remove("pumps")
    assert "pumps" not in text(things)
    assert "fans" in text(things)


def test_no_count_is_lost_and_no_line_is_stale_while_it_is_scraped():
    things = family("counter")
    done = threading.Event()

    def count(which: int) -> None:
        for turn in range(5000):
            things.labels("pumps", str(which)).inc()
            things.labels(f"m{turn % 50}", str(which)).inc()

    def scrape() -> None:
        while not done.is_set():
            text(things)

    scraping = threading.Thread(target=scrape)
    counting = [threading.Thread(target=count, args=(which,)) for which in range(4)]
    for thread in (scraping, *counting):
        thread.start()
    for thread in counting:
        thread.join()
    done.set()
    scraping.join()
    for which in range(4):
        assert f'aemon_things_total{{monitor="pumps",reason="{which}"}} 5000.0\n' in text(things)
