"""The error for a client library that is not installed; an extra of aemon installs it."""

from collections.abc import Mapping

from aemon.errors import SourceConfigError


def missing_package(
    error: ModuleNotFoundError, kind: str, packages: Mapping[str, str]
) -> Exception:
    """Return the error to raise for a missing module.

    If a client library is missing, the error is a configuration error that says what to install.
    Any other missing module is a fault in aemon, and `error` is returned unchanged.

    Args:
        error: the error of the import.
        kind: kind of the source, which is also the name of the extra.
        packages: module of a client library -> package that installs the module.
    """
    package = packages.get((error.name or "").partition(".")[0])
    if package is None:
        return error
    return SourceConfigError(
        f"a source of kind {kind} needs {package}, which is not installed",
        todo=f"pip install 'aemon[{kind}]'",
    )
