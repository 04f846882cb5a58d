"""What homog runs on: for bug reports and for those who wonder which copy they run."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from homog import __version__
from homog.formats import available_memory
from homog.threads import available_threads

REQUIRED = ("numpy", "scipy", "numba", "pyamg", "h5py", "click", "tqdm")
OPTIONAL = ("torch", "pymoo", "matplotlib", "distributed")


def environment_table():
    """Versions, folders, threads and memory as lines of text."""
    memory = available_memory()
    rows = [
        ("homog", __version__, Path(__file__).parent),
        ("python", platform.python_version(), platform.platform()),
        ("threads", available_threads(), "processors that this process may use"),
        ("memory", f"{memory / 1e9:.1f} GB" if memory else "unknown", "available"),
        ("kernels", *_kernel_cache()),
        *(_package(name) for name in REQUIRED + OPTIONAL),
    ]
    return "\n".join(f"{name:<14}{value!s:<14}{place}" for name, value, place in rows)


def _package(name):
    """Name, version and folder of a package, without importing it."""
    try:
        found = version(name)
    except PackageNotFoundError:
        return name, "-", "not installed" + (" (optional)" if name in OPTIONAL else "")
    return name, found, Path(find_spec(name).origin).parent


def _kernel_cache():
    """Whether compiled kernels are kept between runs, and where."""
    from homog import kernels

    folder = kernels.residual.stats.cache_path
    if folder is None:
        return "not cached", "no writable folder; set NUMBA_CACHE_DIR to save seconds a run"
    return "cached", folder if os.path.isdir(folder) else f"{folder} (after the first run)"
