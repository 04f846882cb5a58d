"""What can go wrong, as the library says it; the command line turns it into exit codes."""

from contextlib import contextmanager


class HomogError(Exception):
    """Base of every error that homog raises on purpose."""

    exit_code = 1


class ParameterError(HomogError, ValueError):
    """A parameter lies outside what the theory or the program allows (exit code 2)."""

    exit_code = 2


class DataError(HomogError, ValueError):
    """A file or an array does not hold a valid unit cell (exit code 3)."""

    exit_code = 3


class ConvergenceError(HomogError, RuntimeError):
    """The solver did not reach its tolerance; no number is returned (exit code 4)."""

    exit_code = 4


@contextmanager
def naming(path):
    """Errors within name the file that they are about."""
    try:
        yield
    except HomogError as error:
        raise type(error)(f"{path}: {error}") from error
