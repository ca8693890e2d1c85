"""Whose public holidays count: refused in words where nobody knows them."""

import pytest
from pydantic import ValidationError

from aemon.config.learning_settings import LearningSettings
from aemon.config.values import holidays_of

pytest.importorskip("holidays")


@pytest.mark.parametrize("place", ["DE", "DE-BY", "US-NY", "FR"])
def test_countries_and_their_parts_are_taken(place):
    assert LearningSettings(holidays=place).holidays == place


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("XX", "XX is not a country with known holidays"),
        ("DE-XX", "known are: BB, BE"),
        ("de", "pattern"),
        ("Germany", "pattern"),
    ],
)
def test_others_are_refused_in_words(place, told):
    with pytest.raises(ValidationError, match=told):
        LearningSettings(holidays=place)


def test_the_package_is_asked_for_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(holidays_of, "find_spec", lambda _name: None)
    with pytest.raises(ValidationError, match=r"pip install 'aemon\[holidays\]'"):
        LearningSettings(holidays="DE")


def test_what_was_learned_without_is_not_out_of_date():
    assert LearningSettings().fingerprint == LearningSettings(holidays=None).fingerprint
    assert LearningSettings().fingerprint != LearningSettings(holidays="DE").fingerprint
