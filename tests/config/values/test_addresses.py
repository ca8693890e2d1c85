"""What may be shown of a database's address: never a piece of its password."""

import pytest
from sqlalchemy.engine import make_url

from aemon.config.values.addresses import (
    public_address,
    read_address,
    read_store_address,
    without_secrets,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:hunter2@h:5432/d?sslmode=require", "postgresql://u:***@h:5432/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql:///d", "postgresql:///d"),
        ("sqlite:////home/you@work/x.db", "sqlite:////home/you%40work/x.db"),
        ("postgresql://u:hunter%402@h/d", "postgresql://u:***@h/d"),
        # The parser cuts these at the wrong @, and takes pieces of a password for the place.
        ("postgresql://u:pw@SECRET@127.0.0.1/d", "postgresql://u:***@127.0.0.1/d"),
        ("postgresql://u:pw@a@SECRET@h:5432/d?x=1", "postgresql://u:***@h:5432/d"),
        ("postgresql://u:pw@SEC/RET@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:pw@SEC?RET=x@h/d", "postgresql://u:***@"),
        ("postgresql://u/pw:SECRET@h/d", "postgresql://***@h/d"),
    ],
)
def test_an_address_is_shown_without_password_and_options(text, shown):
    assert public_address(make_url(text)) == shown


@pytest.mark.parametrize(
    "password",
    ["pw@SECRET", "SECRET@pw", "pw@SEC/RET", "pw@SEC?RET=x", "SEC/RET", "pw@@SECRET@@"],
)
def test_no_piece_of_a_password_is_shown_in_what_a_driver_says(password):
    url = make_url(f"postgresql://u:{password}@127.0.0.1/plant")
    said = f"cannot resolve {url.host!r}, database {url.database!r}, option {dict(url.query)}"
    shown = without_secrets(said, url) + public_address(url)
    assert not [piece for piece in ("SECRET", "SEC", "RET") if piece in shown]


@pytest.mark.parametrize("written", ["it's", "it%27s", r"it\'s"])
def test_a_password_is_masked_however_it_is_written(written):
    url = make_url("postgresql://u:it%27s@h/d?sslpassword=other1")
    assert without_secrets(f'bad "{written}"\n  or other1', url) == 'bad "***" or ***'


def test_a_password_of_a_letter_does_not_mask_that_letter_everywhere():
    url = make_url("postgresql://u:a@h/d")
    assert without_secrets("a database said a-ha", url) == "*** database said ***-ha"


def test_a_plain_cause_stays_as_it_is():
    url = make_url("postgresql://u:hunter2@127.0.0.1:1/d")
    said = 'connection to server at "127.0.0.1", port 1 failed: Connection refused'
    assert without_secrets(said, url) == said


def test_an_unencoded_special_character_is_refused_with_how_to_write_it():
    with pytest.raises(ValueError, match="percent-encoded, '@' as %40"):
        read_address("postgresql://u:hunter2@SECRET@127.0.0.1/d")
    assert read_address("postgresql://u:hunter2%40SECRET@127.0.0.1/d").host == "127.0.0.1"


def test_addresses_of_every_kind_are_read():
    for text in ("mysql+pymysql://u:p@h/d", "sqlite:////home/you@work/x.db", "postgresql:///d"):
        assert read_address(text)
    for text in ("sqlite:///aemon.db", "postgresql+psycopg2://u@h/d", "postgresql://a@b:p@h/d"):
        assert read_store_address(text)
