"""Reads the texts that the records are made of: designs, names and the pieces of messages.

They are kept as plain text beside the code, so that whoever has a better line adds it without
reading Python. A file is a run of sections; a section is a `[heading]` and its lines; blank lines
and lines that begin with `#` are for the reader.
"""

from pathlib import Path

TEXTS = Path(__file__).with_name("texts")


def read_sections(name: str) -> dict[str, list[str]]:
    """Reads one file of texts.

    Args:
        name: the file's name without its ending, such as `names`.

    Returns:
        The lines of each section by its heading, both in the order of the file.

    Raises:
        ValueError: a line stands before the first heading, or a heading comes twice.
    """
    sections: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for raw in (TEXTS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            heading = line.strip("[]")
            if heading in sections:
                raise ValueError(f"{name}.txt has two sections [{heading}]: join them.")
            lines = sections[heading] = []
        elif lines is None:
            raise ValueError(f"{name}.txt begins with {line!r}: put a [heading] before it.")
        else:
            lines.append(line)
    return sections
