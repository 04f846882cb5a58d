"""``python -m homog`` is the command ``homog``."""

from homog.cli import main

main()
