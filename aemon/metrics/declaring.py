"""Metrics declared as typed attributes, so that a type check finds misspelt names."""

from dataclasses import dataclass
from typing import Generic, Self, TypeVar, overload

from prometheus_client import Histogram

from aemon.metrics.series import Family, Metric

Made = TypeVar("Made", Family, Histogram)


@dataclass(frozen=True, slots=True)
class Declared(Generic[Made]):
    """A declared metric: a class attribute, which each instance replaces by its own metric.

    Reading the attribute of an instance is an error until the instance has set the attribute.
    """

    metric: Metric

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...

    @overload
    def __get__(self, holder: object, owner: type) -> Made: ...

    def __get__(self, holder: object | None, owner: type) -> "Self | Made":
        """Return the declaration if the attribute is read from the class.

        Raises:
            AttributeError: the attribute is read from an instance that has not set it yet.
        """
        if holder is not None:
            raise AttributeError(f"the metric {self.metric.name} is not set yet")
        return self


def counter(name: str, labels: tuple[str, ...], text: str) -> Declared[Family]:
    """Declare a number that only grows; its exported name ends with `_total`."""
    return Declared(Metric(name, "counter", labels, text))


def gauge(name: str, labels: tuple[str, ...], text: str) -> Declared[Family]:
    """Declare a number that goes up and down."""
    return Declared(Metric(name, "gauge", labels, text))


def histogram(
    name: str, labels: tuple[str, ...], text: str, buckets: tuple[float, ...]
) -> Declared[Histogram]:
    """Declare a distribution, counted in buckets with these upper bounds."""
    return Declared(Metric(name, "histogram", labels, text, buckets))
