"""Repairs a damaged journal: flipped bits are corrected by their checksums, and what cannot be read is left out.

Trials and studies have no names in a journal, their numbers are the order in which they were created. So a record that
created one and cannot be read is replaced by a stand-in that never counts; otherwise every later record would be about
another trial.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from ...files import write_whole
from ...locks import locked
from ...trial.classes import NotAllowed
from ..study import Study
from .journal import KEY, TAIL, Journal, checked, line_of, whole
from .opening import close_storage

LONGEST = 20_000  # bytes of a record in which a flipped bit is looked for: every bit is tried
CREATE_STUDY, CREATE_TRIAL, FAIL = 0, 4, 3  # as Optuna writes them
RECORD = re.compile(rb'\{"op_code":[^\n]*?' + re.escape(KEY) + rb'[0-9a-f]{8}"\}')

READABLE = re.compile(rb'\{"op_code":\d+,"worker_id"')
CREATE = b'{"op_code":4,'


@dataclass
class Part:
    """Lines of a journal that follow each other: intact ones, or damaged ones and what could be recovered from them.

    first: number of the first line.
    lines: those that are kept.
    damaged: how many lines were damaged.
    lost: what could not be read.
    more: how many stand-ins for trials replace what was lost, besides those for records that can be recognised.
    """

    first: int
    lines: list[bytes]
    damaged: int = 0
    lost: list[bytes] = field(default_factory=list)
    more: int = 0

    def text(self) -> bytes:
        """Return the lines as they are to be written."""
        return b"".join(
            [
                *stand_ins(self.lost, self.first),
                *(line_of(lost_trial(self.first)) for _ in range(self.more)),
                *self.lines,
            ]
        )


def repaired(path: Path, name: str) -> Iterator[str]:
    """Repair a journal that no process is using, and yield what was done, line by line.

    The file as it was is kept in the same folder, and the new one replaces it in one step.

    path: of the journal. name: of the study in it.
    Raises NotAllowed, and changes nothing, where the trials must be compared with the design and are of a class that
    may not be imported.
    """
    with locked(str(path)) as handle:
        size = handle.seek(0, 2)
        kept = path.with_name(f"{path.name}.damaged-{datetime.now():%Y%m%d-%H%M%S-%f}")
        content = path.read_bytes()
        parts = list(divided(content))
        damaged = [p for p in parts if p.damaged]
        if not damaged:
            cut = size - content.rfind(b"\n") - 1
            if cut:
                write_whole(kept, content)
                whole(handle)
            gone = f"; {cut} bytes behind the last line end are gone, of a write that was cut off"
            yield f"{path}: every whole record is intact" + (f"{gone}; the file as it was: {kept}" if cut else "")
            return
        for part in damaged:
            if any(not READABLE.match(text) for text in part.lost):
                align(path, parts, part, name)
        write_whole(kept, content)
        write_whole(path, text_of(parts))
    count = sum(p.damaged for p in damaged)
    yield f"{path}: {count} damaged line{'s' * (count > 1)}; the file as it was: {kept}"
    for part in damaged:
        where = f"line {part.first}" if part.damaged == 1 else f"lines {part.first} to {part.first + part.damaged - 1}"
        if not part.lost:
            yield f"{where}: a bit had flipped; nothing is lost"
            continue
        intact = f", {len(part.lines)} records in between are intact" if part.lines else ""
        yield f"{where}: lost {sum(map(len, part.lost))} bytes{intact}; lost: {shown(part.lost)}"


def shown(lost: Sequence[bytes]) -> str:
    """Return the beginning of what was lost, in characters that any terminal can show."""
    text = b" ".join(lost).decode("ascii", "replace")
    return "".join(c if c.isprintable() and c != "\ufffd" else "." for c in text[:160]) + (
        "..." if len(text) > 160 else ""
    )


def divided(content: bytes) -> Iterator[Part]:
    """The parts of a journal, without half a line at its end that a writer left when it died."""
    good: list[bytes] = []
    bad: list[bytes] = []
    start = number = 1
    for line in BytesIO(content):
        if not line.endswith(b"\n"):
            break
        try:
            checked(line)
        except ValueError:
            if not bad:
                yield Part(start, good)
                good, start = [], number
            bad.append(line)
        else:
            if bad:
                yield salvaged(start, bad)
                bad, start = [], number
            good.append(line)
        number += 1
    yield salvaged(start, bad) if bad else Part(start, good)


def salvaged(first: int, lines: list[bytes]) -> Part:
    """Return what can be recovered from damaged lines that follow each other."""
    part = Part(first, [], damaged=len(lines))
    block = b"".join(lines)
    mended = unflipped(block)  # also where the flip made two lines of one
    if mended is not None:
        part.lines = [mended]
        return part
    place = 0
    for found in RECORD.finditer(block):  # lines of which one has lost its end, or stands behind rubbish
        for start in (found.start() + k.start() for k in re.finditer(rb'\{"op_code":', found.group())):
            line = accepted(block[start : found.end()] + b"\n")
            if line is not None:
                part.lost += remains(block[place:start])
                part.lines.append(line)
                place = found.end()
                break
    for text in BytesIO(block[place:]):
        mended = unflipped(text)
        if mended is None:
            part.lost += remains(text)
        else:
            part.lines.append(mended)
    return part


def remains(text: bytes) -> list[bytes]:
    """Return a text that was lost, as a list; empty for the end of a line, or for what a flipped bit made of one."""
    return [text] if len(text.strip()) > 1 else []


def unflipped(line: bytes) -> bytes | None:
    """Return the line that differs from this one in a single bit and has the right checksum; None where there is none.

    CRC-32 distinguishes all errors of one to three bits in lines of up to 11 kB, so that the line that it accepts is
    the one that was written.
    """
    if len(line) > LONGEST or len(line) <= TAIL:
        return None
    try:
        wanted = int(line[8 - TAIL : -3], 16)
    except ValueError:
        wanted = None
    candidates = bytearray(line)
    if wanted is not None and line[-TAIL : 8 - TAIL] == KEY:
        before = 0
        for place in range(len(line) - TAIL):
            rest = line[place + 1 : -TAIL]
            for bit in range(8):
                byte = bytes([line[place] ^ 1 << bit])
                if zlib.crc32(rest, zlib.crc32(byte, before)) == wanted:
                    candidates[place] ^= 1 << bit
                    return accepted(bytes(candidates))
            before = zlib.crc32(line[place : place + 1], before)
    for place in range(len(line) - TAIL, len(line)):
        for bit in range(8):
            candidates[place] ^= 1 << bit
            good = accepted(bytes(candidates))
            if good is not None:
                return good
            candidates[place] ^= 1 << bit
    return None


def accepted(line: bytes) -> bytes | None:
    """Return the line where it is a record with a checksum, else None."""
    try:
        checked(line)
    except ValueError:
        return None
    return line if line[-TAIL : 8 - TAIL] == KEY and line.count(b"\n") == 1 else None


def stand_ins(lost: Sequence[bytes], first: int) -> Iterator[bytes]:
    """Records that replace those that were lost and that created a trial or a study."""
    for text in lost:
        for code in re.findall(rb'"op_code":(\d+)', text):
            if int(code) == CREATE_TRIAL:
                yield line_of(lost_trial(first))
            elif int(code) == CREATE_STUDY:
                name = re.search(rb'"study_name":"([^"\\]+)"', text)
                named = name.group(1).decode("utf-8", "replace") if name else f"lost in line {first}"
                yield line_of({"op_code": CREATE_STUDY, "worker_id": "repair", "study_name": named, "directions": [1]})


def lost_trial(first: int) -> dict[str, Any]:
    """Return a record that creates a failed trial without an index, which nothing reads or changes."""
    now = datetime.now().astimezone().isoformat(timespec="microseconds")
    own = {
        "datetime_start": now,
        "datetime_complete": now,
        "state": FAIL,
        "value": None,
        "values": None,
        "params": {},
        "distributions": {},
    }
    more = {"user_attrs": {"lost": f"line {first}"}, "system_attrs": {}, "intermediate_values": {}}
    return {"op_code": CREATE_TRIAL, "worker_id": "repair", "study_id": 0, **own, **more}


def text_of(parts: Sequence[Part]) -> bytes:
    """Return a journal of these parts."""
    return b"".join(p.text() for p in parts)


def align(path: Path, parts: Sequence[Part], part: Part, name: str) -> None:
    """Find how many trials the unreadable part of a journal had created, and set `part.more` to it.

    It is the number with which most later outcomes belong to their trials.
    """
    trial = next((len(line) for p in parts for line in p.lines if line.startswith(CREATE)), 300)
    most, best = sum(map(len, part.lost)) // trial + 1, (-1, 0)
    attempt = path.with_name(f".{path.name}.attempt")
    try:
        for part.more in range(most + 1):
            write_whole(attempt, text_of(parts))
            fits, strangers = judged(attempt, name)
            best = max(best, (fits, -part.more))
            if fits and not strangers:
                break
        part.more = -best[1]
    finally:
        attempt.unlink(missing_ok=True)


def judged(path: Path, name: str) -> tuple[int, int]:
    """Return how many outcomes of a study in a journal belong to their trials, and how many do not.

    Raises NotAllowed for a class that may not be imported.
    """
    storage = Journal(str(path))
    try:
        study = Study.open(storage, name)
        known = [
            study.plan.planned(f.task, f.variant, f.index, f.stored.params).trial.id
            == f.stored.user_attrs.get("trial_id")
            for f in study.finished_trials()
        ]
    except NotAllowed:  # nothing can be said of such trials
        raise
    except (KeyError, AssertionError, ValueError):
        return 0, 0
    finally:
        close_storage(storage)
    return sum(known), known.count(False)
