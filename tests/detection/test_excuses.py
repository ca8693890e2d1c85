"""Which records are like one that a person called a false alarm."""

import pytest

from aemon.detection.excuses import Excuses, reason_of
from aemon.detection.judgement import Contribution


def reason(observed, expected, *, column="flow", other=0.1, entity="p1"):
    parts = [
        Contribution(
            column=column, observed=observed, reconstructed=expected, error=9.0, share=1 - other, rank=1
        ),
        Contribution(
            column="pressure", observed=4.0, reconstructed=3.9, error=1.0, share=other, rank=2
        ),
    ]  # fmt: skip
    return reason_of(entity, parts)


SPOKEN = reason(12.0, 9.0)


@pytest.mark.parametrize(
    ("like", "excused"),
    [
        (reason(12.0, 9.0), True),
        (reason(23.5, 20.0), True),  # the gap counts, not the level
        (reason(11.2, 9.0), True),
        (reason(10.0, 9.0), False),  # much milder
        (reason(15.0, 9.0), False),  # twice as far
        (reason(6.0, 9.0), False),  # to the other side
        (reason(12.0, 9.0, column="level"), False),
        (reason(12.0, 9.0, other=0.5), False),  # another pattern of blame
        (reason(12.0, 9.0, entity="p2"), False),
        (reason("Bad", 9.0), False),
    ],
)
def test_only_the_like_of_a_false_alarm_is_excused(like, excused):
    assert Excuses(false_alarms=(SPOKEN,)).cover(like) is excused


def test_a_confirmed_anomaly_that_is_like_it_outweighs_it():
    excuses = Excuses(false_alarms=(SPOKEN,), confirmed=(reason(12.6, 9.0),))
    assert not excuses.cover(reason(12.0, 9.0))


def test_words_are_alike_where_they_are_the_same():
    excuses = Excuses(false_alarms=(reason("STANDBY", "RUN"),))
    assert excuses.cover(reason("STANDBY", "RUN"))
    assert not excuses.cover(reason("FAULT", "RUN"))


def test_of_a_record_without_columns_nothing_is_known():
    assert reason_of("p1", []) is None
