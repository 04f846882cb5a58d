"""The report of a design run: one page that needs no network and no other file."""

from design.report.content import content
from design.report.page import page
from homog.files import write_atomically


def write_report(folder, path, rivals=()):
    """Write the page of a design run.

    Parameters
    ----------
    folder : str or Path
        Of the run; of one that is not finished, the rounds that are.
    path : str or Path
        HTML file to write; an old one is replaced.
    rivals : sequence of str or Path
        Folders of topology optimizations to show beside the designs.

    Returns
    -------
    dict
        What is on the page, see ``content``.

    Raises
    ------
    ParameterError, DataError
        If a folder holds no run, nothing that is verified, or damaged files.
    """
    shown = content(folder, rivals)
    write_atomically(path, page(shown).encode())
    return shown
