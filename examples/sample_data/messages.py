"""Composes messages out of the openings, bodies and closings in `texts`."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from .people import Person
from .sections import read_sections
from .sites import Site

SECOND_BODY_SHARE = 0.45
# Which body lines suit so many recipients: `1` one person, `2` a couple, `*` several.
MARKS = {1: "1", 2: "2*", 3: "*", 4: "*"}
SLOT = re.compile(r"\{(\w+)\}")
AND = {"en": " and ", "es": " y "}
# Slots that say who writes or reads; the others are drawn, and one message says each only once.
PERSONAL = {"to", "from", "o", "yo", "age", "nth"}


@dataclass(frozen=True)
class Occurrence:
    """What a message is about.

    Attributes:
        occasion: its name.
        site: whose language and spelling to write in.
        sender: who signs.
        recipients: 1 to 4 who are addressed.
        age: what the one recipient turns, when that is known.
    """

    occasion: str
    site: Site
    sender: Person
    recipients: Sequence[Person]
    age: int | None


def has_words_for(occasion: str, site: Site, count: int) -> bool:
    """Says whether there are bodies for this occasion and so many recipients."""
    lines = _texts(site.language).get(occasion, [])
    return any(line[0] in MARKS[count] for line in lines)


def compose(rng: random.Random, occurrence: Occurrence) -> str:
    """Composes one message: an opening, one or two bodies, and a closing on its own line."""
    lines = _texts(occurrence.site.language)[occurrence.occasion]
    opening = rng.choice(_usable(lines, "<", occurrence))
    bodies = [rng.choice(_usable(lines, MARKS[len(occurrence.recipients)], occurrence))]
    if rng.random() < SECOND_BODY_SHARE:
        more = [
            line
            for line in _usable(lines, MARKS[len(occurrence.recipients)], occurrence)
            if line != bodies[0] and not _drawn_slots(line) & _drawn_slots(bodies[0])
        ]
        bodies += [rng.choice(more)] if more else []
    closing = rng.choice(_usable(lines, ">", occurrence))
    # "Dear Ann," stands on its own line, "Happy birthday, Ann!" does not.
    gap = "\n" if opening.endswith((",", ":")) else " "
    return _fill(rng, f"{opening}{gap}{' '.join(bodies)}\n{closing}", occurrence)


def _usable(lines: list[str], marks: str, occurrence: Occurrence) -> list[str]:
    """Keeps the lines with one of these marks, less those that need an age we do not know."""
    texts = [line[1:].strip() for line in lines if line[0] in marks]
    if occurrence.age is None:
        return [text for text in texts if not set(SLOT.findall(text)) & {"age", "nth"}]
    return texts


def _drawn_slots(text: str) -> set[str]:
    return set(SLOT.findall(text)) - PERSONAL


def _fill(rng: random.Random, text: str, occurrence: Occurrence) -> str:
    """Fills the slots, then sets right what filling them put wrong."""
    language = occurrence.site.language
    texts = _texts(language)
    values = {
        "to": _join([person.called for person in occurrence.recipients], language),
        "from": occurrence.sender.called,
        "o": _ending(occurrence.recipients),
        "yo": _ending([occurrence.sender]),
    }
    if occurrence.age is not None:
        values |= {"age": str(occurrence.age), "nth": _ordinal(occurrence.age)}
    for line in texts["slots"]:
        slot, choices = line.split(" = ")
        values[slot] = rng.choice(choices.split(" | "))
    filled = SLOT.sub(lambda match: values[match[1]], text)
    if language == "es":
        return re.sub(r"\b([ad]e?) el\b", lambda m: {"a": "al", "de": "del"}[m[1]], filled)
    for line in texts.get(f"spelling {occurrence.site.name}", []):
        there, here = line.split(" = ")
        filled = re.sub(rf"\b{there}\b", here, filled)
    return filled


def _join(names: list[str], language: str) -> str:
    """Joins names as one says them; Spanish "y" is "e" before an i sound."""
    if len(names) == 1:
        return names[0]
    conjunction = AND[language]
    if language == "es" and re.match(r"(?:[IÍ]|Hi)", names[-1]):
        conjunction = " e "
    return ", ".join(names[:-1]) + conjunction + names[-1]


def _ending(people: Sequence[Person]) -> str:
    """Gives the ending of a Spanish adjective for these people: o, a, os or as."""
    ending = "a" if all(person.woman for person in people) else "o"
    return ending if len(people) == 1 else f"{ending}s"


def _ordinal(number: int) -> str:
    """Writes an English ordinal, such as 21st, 12th or 33rd."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    ending = "th" if number % 100 in {11, 12, 13} else endings.get(number % 10, "th")
    return f"{number}{ending}"


@cache
def _texts(language: str) -> dict[str, list[str]]:
    return read_sections(f"messages_{language}")
