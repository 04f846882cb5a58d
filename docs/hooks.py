"""Hook of mkdocs: writes the help of every command into the page that asks for it."""

import click

from homog.cli import cli

PLACE = "<!-- help of every command -->"
WIDTH = 96


def on_page_markdown(markdown, page, **_):
    """Replace the place holder by a section for each command."""
    return markdown.replace(PLACE, reference()) if PLACE in markdown else None


def reference():
    """A heading and the ``--help`` of each command, in the order of ``homog --help``."""
    top = click.Context(cli, info_name="homog", terminal_width=WIDTH)
    names = [(f"homog {name}", cli.get_command(top, name)) for name in cli.list_commands(top)]
    return "\n\n".join([section("homog", cli, None), *(section(*pair, top) for pair in names)])


def section(title, command, parent):
    """One command: its help as the terminal shows it."""
    name = title.rpartition(" ")[2]
    context = click.Context(command, parent=parent, info_name=name, terminal_width=WIDTH)
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```"
