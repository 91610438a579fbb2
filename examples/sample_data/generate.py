"""Makes the sample data that the services load into an empty store.

Run it as `python -m examples.sample_data.generate`: it writes the same bytes each time, so a change
to the texts shows in review as exactly the records that it changed.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from .greetings import make_greetings
from .products import make_designs
from .shapes import Shape
from .users import make_accounts

ROOT = Path(__file__).parents[2]


def make_files() -> dict[str, bytes]:
    """Makes all sample files.

    Returns:
        The contents of each by its path from the root of the project.
    """
    designs = make_designs()
    accounts = make_accounts()
    contacts = [known.contact for account in accounts for known in account.contacts]
    contacts.sort(key=lambda contact: contact.id)
    return {
        "services/products/sample/products.jsonl": to_jsonl(design.product for design in designs),
        "services/users/sample/users.jsonl": to_jsonl(account.user for account in accounts),
        "services/users/sample/contacts.jsonl": to_jsonl(contacts),
        "services/greetings/sample/greetings.jsonl": to_jsonl(make_greetings(accounts, designs)),
    }


def to_jsonl(records: Iterable[Shape]) -> bytes:
    """Writes records as UTF-8, one JSON object a line."""
    return b"".join(msgspec.json.encode(record) + b"\n" for record in records)


def main() -> None:
    """Writes the files and says how large they are."""
    for name, contents in make_files().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
        records = contents.count(b"\n")
        sys.stdout.write(f"{name}: {records} records, {len(contents)} bytes\n")


if __name__ == "__main__":
    main()
