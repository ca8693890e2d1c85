import numpy as np
import pytest

FAULTS = {"flow": 12.0, "pressure": 0.9, "current": 2.5, "temperature": 9.0}


@pytest.mark.parametrize("column", FAULTS)
def test_the_column_at_fault_comes_first_with_what_it_should_have_been(
    pump, make_frame, pump_records, column
):
    # Given records in which one column has moved, in its own units
    healthy = pump_records(50, 20)
    table = healthy.copy()
    table[column] += FAULTS[column]
    # When they are explained
    explanations = pump.explain(make_frame(table))
    # Then it is ranked first (not always: other columns follow a wrong value), and the value it
    # should have had is told
    firsts = [explanation.contributions[0] for explanation in explanations]
    assert np.mean([first.column == column for first in firsts]) > 0.8
    told = np.array([explanation.reconstructed[column] for explanation in explanations])
    assert np.median(np.abs(told - healthy[column])) < 0.3 * FAULTS[column]
    assert all(first.rank == 1 for first in firsts)
    assert firsts[0].observed == table[column][0]
    begins = [e.reason.startswith(f"{column} ") for e in explanations]
    assert np.mean(begins) > 0.8


def test_shares_sum_to_1_and_fall_with_the_rank(pump, make_frame, pump_records):
    for explanation in pump.explain(make_frame(pump_records(40, 21))):
        shares = [part.share for part in explanation.contributions]
        assert sum(shares) == pytest.approx(1)
        assert shares == sorted(shares, reverse=True)
        assert [part.rank for part in explanation.contributions] == list(range(1, 8))
        errors = [part.error for part in explanation.contributions]
        assert min(errors) >= 0


def test_errors_are_shares_of_the_gap_to_the_outline(pump, make_frame, pump_records):
    frame = make_frame(pump_records(5, 22))
    gaps = pump.scorer.outline.errors(*pump.feature_map.transform(frame)).sum(axis=1)
    for gap, explanation in zip(gaps, pump.explain(frame), strict=True):
        for part in explanation.contributions:
            assert part.error == pytest.approx(part.share * gap, rel=1e-4)


def test_values_come_in_their_original_units_and_types(pump, make_frame, pump_records):
    table = pump_records(20, 23)
    for row, explanation in enumerate(pump.explain(make_frame(table))):
        assert explanation.observed == table.iloc[row].to_dict()
        assert list(explanation.reconstructed) == list(explanation.observed)
        assert isinstance(explanation.reconstructed["flow"], float)
        assert explanation.reconstructed["mode"] in {"eco", "full", "idle"}
        assert isinstance(explanation.reconstructed["open"], bool | float)
        assert 40 < explanation.reconstructed["flow"] < 90


def test_an_unseen_category_is_told_as_such(pump, make_frame, pump_records):
    table = pump_records(1, 24)
    table["mode"] = "stuck"
    (explanation,) = pump.explain(make_frame(table))
    assert explanation.reason == "mode 'stuck' never seen in training"
    assert explanation.observed["mode"] == "stuck"


def test_two_faults_are_both_told(pump, make_frame, pump_records):
    table = pump_records(30, 25)
    table["pressure"] += 1.5
    table["room"] += 40
    told = [explanation.reason for explanation in pump.explain(make_frame(table))]
    both = ["pressure " in reason and "room " in reason for reason in told]
    assert np.mean(both) > 0.9


def test_a_missing_value_is_none_and_takes_no_share(pump, make_frame, pump_records):
    table = pump_records(1, 26)
    table["flow"] = np.nan
    table["mode"] = None
    (explanation,) = pump.explain(make_frame(table))
    parts = {part.column: part for part in explanation.contributions}
    for column in ("flow", "mode"):
        assert explanation.observed[column] is None
        assert parts[column].observed is None
        assert parts[column].share == 0
        assert f"{column} " not in explanation.reason
    assert 40 < explanation.reconstructed["flow"] < 90


@pytest.mark.parametrize("value", [1e9, -1e9])
def test_expected_values_stay_near_what_training_saw_and_scores_do_not(
    pump, make_frame, pump_records, value
):
    # Given a record so far out that it drags every reconstruction with it
    table = pump_records(1, 28)
    table["flow"] = value
    table["pressure"] = value
    # When it is explained
    (explanation,) = pump.explain(make_frame(table))
    # Then what was expected is nothing absurd
    seen = pump_records(2000, 1)[:1280]
    for column in ("flow", "pressure", "current", "temperature", "room"):
        margin = 0.11 * np.ptp(seen[column])
        told = explanation.reconstructed[column]
        assert seen[column].min() - margin <= told <= seen[column].max() + margin
    assert pump.judge(make_frame(table)).exceedances[0] > 1000


def test_an_explanation_is_the_same_alone_and_in_company(pump, make_frame, pump_records):
    table = pump_records(30, 27)
    table.loc[::3, "pressure"] += 1
    together = pump.explain(make_frame(table))
    for row in (0, 1, 29):
        (alone,) = pump.explain(make_frame(table.iloc[[row]].reset_index(drop=True)))
        assert alone.contributions[0].column == together[row].contributions[0].column
        assert alone.contributions[0].share == pytest.approx(
            together[row].contributions[0].share, rel=1e-3
        )


def test_the_sentence_names_the_columns_that_come_first(pump, make_frame, pump_records):
    table = pump_records(40, 29)
    table["pressure"] += 1.5
    table.loc[::2, "current"] -= 3
    for explanation in pump.explain(make_frame(table)):
        clauses = explanation.reason.split("; ")
        assert 1 <= len(clauses) <= 3
        told = [clause.split(" ")[0] for clause in clauses]
        assert told == [part.column for part in explanation.contributions[: len(told)]]
        shares = [part.share for part in explanation.contributions]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=1e-12)


def test_values_that_are_fine_each_by_itself_are_told_against_the_others(
    pump, make_frame, pump_records
):
    # Given records of a usual flow and a usual pressure that do not go together
    table = pump_records(30, 30)
    table["flow"], table["pressure"], table["current"] = 75.0, 3.8, 12.2
    table["temperature"] = table["room"] + 21
    # When they are explained
    told = [explanation.reason for explanation in pump.explain(make_frame(table))]
    # Then it is told which one the others contradict, and what they lead to expect
    assert np.mean([reason.startswith("pressure 3.8") for reason in told]) > 0.9
    assert np.mean([", given " in reason for reason in told]) > 0.9


def test_units_are_told_beside_numbers(pump, make_frame, pump_records):
    table = pump_records(5, 31)
    table["pressure"] += 3
    units = {"pressure": "bar", "room": "°C", "gone": "m"}
    plain = pump.explain(make_frame(table))
    told = pump.explain(make_frame(table), units)
    for before, after in zip(plain, told, strict=True):
        assert after.reason.split(" where ")[0] == before.reason.split(" where ")[0] + " bar"
        assert after.contributions == before.contributions
