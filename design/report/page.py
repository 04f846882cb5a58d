"""The page: HTML with its style, its program and its data inside."""

import base64
import hashlib
import html
import json
from importlib.resources import files

PROGRAM = (  # parts of one module; later ones use what earlier ones define
    "dom.js", "octant.js", "field.js", "meshing.js", "downloads.js", "viewer.js", "stage.js",
    "scales.js", "chart.js", "quantities.js", "report.js", "details.js", "gallery.js", "front.js",
    "judgement.js", "page.js",
)  # fmt: skip
NETWORK = "default-src 'none'; base-uri 'none'; form-action 'none'"  # nothing is ever loaded


def page(shown):
    """Text of the page that shows some content.

    Whatever the content says reaches the page as JSON, which cannot end its element, and is put
    into the document as text. Only this program and this style run, by their digests.

    Parameters
    ----------
    shown : dict
        See ``design.report.content.content``.

    Returns
    -------
    str
    """
    program = "\n".join(_read(name) for name in PROGRAM)
    style = _read("page.css")
    goals = ", ".join(
        f"{'maximize' if goal['maximize'] else 'minimize'} {goal['name']}"
        for goal in shown["task"]["goals"]
    )
    policy = f"{NETWORK}; script-src {_digest(program)}; style-src {_digest(style)}; img-src data:"
    parts = {
        "POLICY": policy,
        "TITLE": html.escape(f"Designs to {goals}"),
        "STYLE": style,
        "DATA": _json(shown),
        "PROGRAM": program,
    }
    head, *rest = _read("page.html").split("{{")
    made = [head]
    for part in rest:
        name, after = part.split("}}", 1)
        made += [parts[name], after]
    return "".join(made)


def _read(name):
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(text):
    """What a policy calls an inline element by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value):
    """JSON that is safe within a script element."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
