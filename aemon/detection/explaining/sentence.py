"""The reason for flagging a record, as one plain sentence."""

from collections.abc import Collection, Mapping, Sequence
from math import floor, log10

from aemon.detection.features.columns import listed, shortened
from aemon.detection.judgement import Contribution

LARGEST_PLAIN = 1e9
"""Numbers with this absolute value or more are written with an exponent."""

NEARLY_ALL = 0.9
"""A category with at least this share of the records is expected, even if no other column leads to
this category."""

RARE = 0.02
"""A category that at most this share of the records has is unusual in any record."""

_UNUSUAL = "unusual given the other columns"
_MOST_DECIMALS = 6  # with more decimals, an exponent is easier to read
# Least and most digits of numbers with an exponent; further digits are rounding errors of floats.
_DIGITS, _MOST_DIGITS = 3, 12


def sentence(
    blamed: Sequence[Contribution],
    given: Sequence[str],
    categories: Mapping[str, Mapping[str, float]],
    units: Mapping[str, str],
    counted: Collection[str] = (),
) -> str:
    """Return observed and expected values as a sentence, with a part for each blamed column.

    Args:
        blamed: the blamed columns, in the order of blame.
        given: the columns that lead to the expected value of the first blamed column.
        categories: column -> learned category -> share, for categorical columns.
        units: column -> unit, for numeric columns with a unit.
        counted: columns that are judged by their increase.
    """
    clauses = []
    for part in blamed:
        because = (
            f", given {listed(list(map(shortened, given)))}" if given and part is blamed[0] else ""
        )
        name = shortened(part.column) + (" rose by" if part.column in counted else "")
        shares, unit = categories.get(part.column), units.get(part.column)
        clauses.append(_clause(name, part, shares, unit, because))
    return "; ".join(clauses) or "every value is as expected"


def _clause(
    column: str,
    part: Contribution,
    shares: Mapping[str, float] | None,
    unit: str | None,
    because: str,
) -> str:
    if shares is not None and part.observed not in shares:
        return f"{column} {shortened(str(part.observed))!r} never seen in training"
    if shares is not None and not because and shares.get(str(part.reconstructed), 1) < NEARLY_ALL:
        # No column leads to the most frequent category; it is expected because it is frequent.
        share = shares[str(part.observed)]
        shown = shortened(str(part.observed))
        if share <= RARE:
            return f"{column} {shown}, which only {100 * share:.2g} % of the records have"
        return f"{column} {shown} {_UNUSUAL}"
    if isinstance(part.observed, bool) or shares is not None:
        observed, expected = _word(part.observed), _word(part.reconstructed)
        seen = observed
    else:
        pair = float(part.observed or 0), float(part.reconstructed or 0)
        observed, expected = number_pair(*pair)
        seen = f"{observed} {unit}" if unit else observed
    if observed == expected:
        return f"{column} {seen} {_UNUSUAL}"
    return f"{column} {seen} where {expected} was expected{because}"


def _word(value: object) -> str:
    """Return the text of a category or a boolean; a float is the probability of true."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"true with probability {value}" if isinstance(value, float) else shortened(str(value))


def number_pair(observed: float, expected: float) -> tuple[str, str]:
    """Return two numbers as texts, with decimals that show two digits of their difference.

    >>> number_pair(2.1, 4.0137)
    ('2.1', '4.0')
    >>> number_pair(1013.25, 1013.41)
    ('1013.25', '1013.41')
    >>> number_pair(1551, 1408.3)
    ('1551', '1408')
    """
    gap, largest = abs(observed - expected), max(abs(observed), abs(expected))
    if gap > largest * 10**-_MOST_DIGITS and largest < LARGEST_PLAIN:
        decimals = max(0, 1 - floor(log10(gap)))
        if decimals <= _MOST_DECIMALS:
            return _plain(observed, decimals), _plain(expected, decimals)
    for digits in range(_DIGITS, _MOST_DIGITS):
        pair = _with_digits(observed, digits), _with_digits(expected, digits)
        if pair[0] != pair[1]:
            break
    return pair


def _plain(number: float, decimals: int) -> str:
    return f"{round(number, decimals) + 0.0:.{decimals}f}"  # + 0.0 turns -0 into 0


def _with_digits(number: float, digits: int) -> str:
    """Return a number as text with this number of digits, or with all digits before the point.

    So 1234 is not written as 1.23e+03; only numbers from `LARGEST_PLAIN` on have an exponent.
    """
    whole = len(str(int(abs(number)))) if abs(number) < LARGEST_PLAIN else 0
    return f"{number:.{max(digits, whole)}g}"
