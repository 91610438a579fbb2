"""What products may look like, and how texts are compared when somebody searches."""

from __future__ import annotations

import unicodedata

from msgspec.structs import replace

from clients.products import PublishProduct

from ..kit.values import clean_text

_LONGEST_TITLE = 200
_LONGEST_DESCRIPTION = 2000


def fold(text: str) -> str:
    """Reduce a text to what a search compares: neither letter case nor accents.

    People who look for "cumpleanos" mean "cumpleaños", and do not find that key on most keyboards.
    """
    apart = unicodedata.normalize("NFKD", text)
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    # Casefolding can bring composed letters back, hence once more.
    return unicodedata.normalize("NFKD", bare.casefold())


def words(text: str) -> list[str]:
    """The folded words of a search, each once."""
    return list(dict.fromkeys(fold(text).split()))


def search_text(title: str, description: str, occasion: str, category: str) -> str:
    """The folded text that a product is found by; hyphens part the words of its occasion."""
    return fold(f"{title} {description} {occasion} {category} {occasion.replace('-', ' ')}")


def clean(request: PublishProduct) -> PublishProduct:
    """Bring a product to one spelling: composed letters, no blank edges, sites sorted and once.

    Raises:
        Problem: 422 invalid: a text is blank or has control characters.
    """
    return replace(
        request,
        title=clean_text(request.title, field="title", longest=_LONGEST_TITLE, controls="\n"),
        description=clean_text(
            request.description,
            field="description",
            longest=_LONGEST_DESCRIPTION,
            controls="\n",
        ),
        sites=sorted(set(request.sites)),
    )
