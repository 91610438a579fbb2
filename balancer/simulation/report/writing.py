"""Where the report's files are, and writing them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import msgspec

from ...errors import ConfigError
from .figures import Figures
from .page import page
from .pictures import pictures


class Files(msgspec.Struct, frozen=True):
    """The files of one report.

    Attributes:
        page: the report itself, a Markdown file.
    """

    page: Path

    @property
    def figures(self) -> Path:
        """The figures, beside it."""
        return self.page.with_suffix(".json")

    @property
    def plots(self) -> Path:
        """The folder of the plots, beside it."""
        return self.page.with_suffix("")


def _drawing() -> ModuleType:
    """The room that draws: it needs an extra, and is heavy, so only who draws enters it."""
    return import_module(".drawing", __package__)


def check_drawing() -> None:
    """Find out that plots cannot be drawn before everything has been run.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        _drawing()
    except ImportError as error:
        raise ConfigError(
            f"the plots need matplotlib ({error}); install it with: pip install 'txmesh[report]'"
        ) from error


def write_report(files: Files, figures: Figures) -> None:
    """Write the page, the plots and the figures.

    Args:
        files: where; what is there is overwritten.
        figures: of all runs.
    """
    draw = _drawing().draw
    files.plots.mkdir(parents=True, exist_ok=True)
    for picture in pictures(figures):
        (files.plots / f"{picture.name}.svg").write_text(draw(picture), "utf-8")
    files.page.write_text(page(figures, files.plots.name), "utf-8")
    # Last: as long as it is the old one, the test says that the report is to be made anew.
    files.figures.write_text(figures.text(), "utf-8")
