"""Templates of messages: what a person needs works, and none takes all memory or never ends."""

import time
import tracemalloc

import pytest

from aemon.config.values.templates import TemplateError, try_template


@pytest.mark.parametrize(
    "text",
    [
        '{{ "x" * 10**10 }}', "{{ [1] * 10**9 }}", "{{ 9 ** (9 ** 9) }}", "{{ 10**4000 }}",
        '{{ "%9999999999d" | format(1) }}', '{{ "%9999999999d" % 1 }}', '{{ "%*d" % (10**9, 1) }}',
        '{{ "{:>9999999999}".format(1) }}', '{{ "{:{}}".format(1, 10**9) }}', '{{ "a" | center(10**10) }}',
        '{{ "a".center(10**10) }}', '{{ "a".ljust(10**10) }}', "{{ lipsum(10**7) }}", "{{ range(10**9) | list }}",
        '{{ range(9999) | map("string") | join("x" * 99999) }}',
        '{% set x = "y" * 19999 %}{% set x = x.replace("y", x) %}{% set x = x.replace("y", x) %}{{ x | length }}',
        "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "{{ reason | tojson(10**9) }}", "{{ x", "{% if %}",
    ],
)  # fmt: skip
def test_a_template_that_is_no_message_is_refused_soon_and_without_memory(text):
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(TemplateError):
            try_template(text)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 10
    assert most < 500_000_000


@pytest.mark.parametrize(
    "text",
    [
        '{{ "%d of %s" | format(1234567, title) }}', '{{ "%(a)5.1f" % {"a": 1234567.89} }}', '{{ "order 1234567: {:>8.2f}".format(1.5) }}',
        '{{ 1234567 | string }} {{ 1234567 | int }} {{ 2.345 | round(1) }} {{ "a" | indent(4) }}', '{{ title | center(80) }} {{ "-" * 40 }} {{ 1000 * 86400 }}',
        '{{ [3, 1] | sort | join(", ") }} {{ reason | tojson }} {{ title | replace("a", "b") | truncate(20) | upper }}',
        "{% for column in columns %}{{ loop.index }} {{ column.column }}\n{% endfor %}", "{{ range(3) | batch(2) | list }}",
    ],
)  # fmt: skip
def test_what_messages_need_works(text):
    try_template(text)
