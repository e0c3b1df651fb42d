#!/usr/bin/env python3
"""Verifies a Holdfast journal from docs/record-format.md alone.

    verify.py journal.db [CHECKPOINT]

Recomputes the hash of every record, from the genesis on, and checks that the journal contains the checkpoint if one is
given. Changes no file. Ends 0 if the journal is intact, 1 if not, 2 if it cannot tell.
"""

import pathlib
import shutil
import sqlite3
import struct
import sys
import tempfile
import urllib.parse

from blake3 import blake3

APPLICATION_ID = 0x484F4C44
FORMAT = 1
COLUMNS = ("sequence", "time", "rules", "policy", "command", "events", "previous", "hash")
TYPES = (int, int, int, bytes, bytes, bytes, bytes, bytes)


class Changed(Exception):
    """The journal is not as it was written."""


def genesis_hash(journal_id):
    return blake3(b"holdfast-journal/v1\n" + journal_id).digest()


def record_hash(sequence, time, rules, policy, command, events, previous):
    return blake3(
        b"holdfast-record/v1\n"
        + previous
        + struct.pack(">QQI", sequence, time, rules)
        + policy
        + struct.pack(">Q", len(command))
        + command
        + struct.pack(">Q", len(events))
        + events
    ).digest()


def read_checkpoint(path):
    """Returns (journal id, sequence, hash)."""
    lines = pathlib.Path(path).read_text(encoding="ascii").split("\n")
    if len(lines) != 5 or lines[0] != "holdfast-checkpoint/v1" or lines[4]:
        raise ValueError(f"{path} is not a checkpoint")
    fields = dict(line.split(": ", 1) for line in lines[1:4])
    return bytes.fromhex(fields["journal"]), int(fields["sequence"]), bytes.fromhex(fields["hash"])


def open_unchanged(journal, scratch):
    """Opens the database without changing a file: SQLite would carry the log over and remove it, so with a log beside
    it the pair is copied first."""
    log = pathlib.Path(f"{journal}-wal")
    if log.exists() and log.stat().st_size > 0:
        copy = pathlib.Path(scratch) / "journal.db"
        shutil.copyfile(journal, copy)
        shutil.copyfile(log, f"{copy}-wal")
        return sqlite3.connect(copy)
    return sqlite3.connect(f"file:{urllib.parse.quote(str(journal))}?immutable=1", uri=True)


def verify(database, checkpoint):
    """Returns how many records there are and the last one's hash."""
    for pragma, expected in (("application_id", APPLICATION_ID), ("user_version", FORMAT)):
        (found,) = database.execute(f"PRAGMA {pragma}").fetchone()
        if found != expected:
            raise Changed(f"{pragma} is {found}, not {expected}: not a journal of this format")
    (journal_id,) = database.execute("SELECT value FROM meta WHERE key = 'id'").fetchone()
    if checkpoint and checkpoint[0] != journal_id:
        raise Changed(f"this is journal {journal_id.hex()}, the checkpoint is of {checkpoint[0].hex()}")
    sequence, previous = 0, genesis_hash(journal_id)
    seen = checkpoint is None or checkpoint[1:] == (0, previous)
    for row in database.execute(f"SELECT {', '.join(COLUMNS)} FROM record ORDER BY sequence"):
        sequence += 1
        if row[0] != sequence:
            raise Changed(f"record {sequence} is missing: the next one there is {row[0]}")
        if tuple(map(type, row)) != TYPES or record_hash(*row[:7]) != row[7]:
            raise Changed(f"record {sequence} differs from its hash")
        if row[6] != previous:
            raise Changed(f"record {sequence} does not continue the record before it")
        previous = row[7]
        if checkpoint and sequence == checkpoint[1]:
            if previous != checkpoint[2]:
                raise Changed(f"record {sequence} is not the checkpoint's")
            seen = True
    if not seen:
        raise Changed(f"the journal ends at sequence {sequence}: it does not contain checkpoint {checkpoint[1]}")
    return sequence, previous


def main(arguments):
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        checkpoint = read_checkpoint(arguments[1]) if len(arguments) == 2 else None
        journal = pathlib.Path(arguments[0]).resolve(strict=True)
    except (OSError, ValueError, KeyError) as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as scratch:
            sequence, head = verify(open_unchanged(journal, scratch), checkpoint)
    except (Changed, sqlite3.Error, struct.error, TypeError) as error:
        print(f"changed: {error}")
        return 1
    print(f"intact: {sequence} records, head {head.hex()}")
    if checkpoint is None:
        print("no checkpoint given: records cut from the end would not show")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
