"""What has arrived waits in bounded memory, and what is lost is counted."""

from aemon.sources.arrivals import Arrivals


def test_each_item_is_handed_over_once_in_order():
    arrivals = Arrivals(most=10)
    for number in range(5):
        arrivals.put(number)
    first, rest = arrivals.take(3), arrivals.take(3)
    assert (first.items, first.more) == ([0, 1, 2], True)
    assert (rest.items, rest.more) == ([3, 4], False)
    assert arrivals.take(3).items == []


def test_the_oldest_make_room_for_the_newest_and_each_loss_is_reported_once():
    arrivals = Arrivals(most=3)
    for number in range(5):
        arrivals.put(number)
    piece = arrivals.take(10)
    assert (piece.items, piece.lost) == ([2, 3, 4], 2)
    assert arrivals.take(10).lost == 0
