"""Declaring a metric as a typed attribute, so that a misspelt one is found before it is needed."""

from dataclasses import dataclass
from typing import Generic, Self, TypeVar, overload

from prometheus_client import Histogram

from aemon.metrics.series import Family, Metric

Made = TypeVar("Made", Family, Histogram)


@dataclass(frozen=True, slots=True)
class Declared(Generic[Made]):
    """A metric that is an attribute of each instance of the class that declares it.

    The instance sets the attribute itself. Until then, reading it is an error.
    """

    metric: Metric

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...

    @overload
    def __get__(self, holder: object, owner: type) -> Made: ...

    def __get__(self, holder: object | None, owner: type) -> "Self | Made":
        """Return the declaration to the class; each instance has the attribute of its own."""
        if holder is not None:
            raise AttributeError(f"{self.metric.name} is not made yet")
        return self


def counter(name: str, labels: tuple[str, ...], text: str) -> Declared[Family]:
    """Declare a number that only grows; it is exposed with `_total` behind its name."""
    return Declared(Metric(name, "counter", labels, text))


def gauge(name: str, labels: tuple[str, ...], text: str) -> Declared[Family]:
    """Declare a number that goes up and down."""
    return Declared(Metric(name, "gauge", labels, text))


def histogram(
    name: str, labels: tuple[str, ...], text: str, buckets: tuple[float, ...]
) -> Declared[Histogram]:
    """Declare a distribution, counted in buckets with these upper ends."""
    return Declared(Metric(name, "histogram", labels, text, buckets))
