"""Command for the report of a design run; its code is imported when it runs."""

import click

from homog.design_commands import needs_design
from homog.terminal import FORCE, OUTPUT, PATH, check_ending, show

REPORT_EXAMPLES = """\b
Examples:
  homog report run/ -o report.html
  homog report run/ --rival to/ -o report.html
"""


@click.command(epilog=REPORT_EXAMPLES)
@click.argument("folder", type=PATH)
@click.option(
    "--rival", type=PATH, multiple=True, metavar="FOLDER",
    help="Folder of homog topopt to show beside the designs; may be repeated.",
)  # fmt: skip
@OUTPUT
@FORCE
def report(folder, rival, output, force):
    """Show a design run on one page: front, units in 3-D, predicted and verified properties.

    FOLDER is that of homog design. The page is one file and needs no network.
    """
    from homog.files import check_output

    with needs_design():
        from design.report import write_report
    check_ending(output, ".html")
    check_output(output, force)
    shown = write_report(folder, output, rival)
    designs = sum(unit["kind"] == "design" for unit in shown["units"])
    notices = len(shown["notices"])
    show(f"{output}: {designs} designs, {notices} thing{'s' * (notices != 1)} to note")


REPORT_COMMANDS = (report,)
