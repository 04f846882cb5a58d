"""What commands share: options, lines of output, and bars that show progress."""

import os
import sys
from contextlib import contextmanager

import click

from homog.errors import HomogError, ParameterError

EXTRAS = {  # of packages that another extra than a command's own brings
    **dict.fromkeys(("matplotlib", "mpl_toolkits", "skimage", "PIL"), "view"),
    "pymoo": "design",
}
PATH = click.Path(readable=False)  # what cannot be read is bad data, and is found on opening
YOUNG = click.option("--E", "E", type=float, required=True, help="Young's modulus of the solid.")
POISSON = click.option("--nu", type=float, required=True, help="Poisson's ratio of the solid.")
FORCE = click.option("--force", is_flag=True, help="Replace the output if it exists.")
OUTPUT = click.option("-o", "--output", type=PATH, required=True, help="File to write.")
WORKERS = click.option(
    "--workers", type=click.IntRange(min=1), help="Processes.  [default: all processors]"
)

THREADS = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads.  [default: all processors]"
)


class RangeType(click.ParamType):
    """LOW:HIGH as two numbers; an end that is left out is infinite."""

    name = "low:high"

    def convert(self, value, parameter, context):
        if isinstance(value, tuple):
            return value
        low, colon, high = value.partition(":")
        try:
            ends = float(low or "-inf"), float(high or "inf")
        except ValueError:
            ends = (1, 0)
        if not (colon and ends[0] <= ends[1]):  # also rejects NaN
            self.fail(f"expected a range such as 0.299:0.301, got {value!r}", parameter, context)
        return ends


RANGE = RangeType()


def tol_option(default):
    """Option for the accuracy of C."""
    return click.option(
        "--tol",
        type=click.FloatRange(1e-13, 1, max_open=True),
        default=default,
        show_default=True,
        help="Allowed error of C, relative to its largest entry.",
    )


def check_ending(output, *endings):
    """Refuse a name of an output that tells another format."""
    if not output.endswith(endings):
        raise ParameterError(f"{output}: expected a name that ends in {' or '.join(endings)}")


@contextmanager
def needs_extra(extra):
    """Say how to install a missing package: by an extra, or by that of ``EXTRAS``."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = error.name.partition(".")[0]
        extra = EXTRAS.get(package, extra)
        raise ParameterError(
            f"{package} is not installed; pip install 'homog-toolkit[{extra}]'"
        ) from error


def worker_count(workers):
    from homog.threads import available_threads

    return workers or available_threads()


def show(text):
    """To stdout; leaves quietly if nobody reads it any more."""
    try:
        click.echo(text)
    except BrokenPipeError:
        give_up_output()
        sys.exit(141)


def give_up_output():
    """Where output cannot be written, Python does not try again, and complain anew, at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(message):
    """One line on stderr."""
    click.echo(f"homog: {' '.join(str(message).split())}", err=True)


@contextmanager
def resumable(how="the same command"):
    """Tell who interrupts a command that its work is not lost."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        complain(f"stopped; {how} continues")
        raise


def comma_separated(text, kind):
    """Numbers of a kind that commas separate, as a tuple; empty if one is none."""
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        return ()


@contextmanager
def progress_bar(label):
    """Yield a function of the fraction done; a bar appears after two seconds on a terminal."""
    from tqdm import tqdm

    layout = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, desc=label, delay=2, leave=False, bar_format=layout, disable=None) as bar:
        yield lambda fraction: bar.update(max(0.0, fraction - bar.n))


@contextmanager
def counter(label, total):
    """Yield a function to call for each of ``total`` things; a bar appears on a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, desc=label, delay=1, leave=False, disable=None) as bar:
        yield lambda: bar.update()


@contextmanager
def label_bar():
    """Yield a function that takes the number of units, then each unit's labels."""
    from tqdm import tqdm

    with tqdm(desc="labels", unit=" units", delay=1, leave=False, disable=None) as bar:
        failed = 0

        def progress(row):
            nonlocal failed
            if isinstance(row, int):
                bar.reset(row)
                return
            failed += int(row["labels"]["status"] != 0)
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()

        try:
            yield progress
        except (KeyboardInterrupt, SystemExit):
            complain(f"stopped after {bar.n} units, which are kept; the same command continues")
            raise
        except OSError as error:
            raise HomogError(
                f"{error}; what is done is kept, and the same command continues"
            ) from error
