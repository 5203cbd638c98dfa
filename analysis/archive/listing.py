"""What a shipped archive holds, in lines: how many trials, which are missing, and where they ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runs.record.archive import Archive, read_archive, stored_schema
from runs.record.facts import DECISIVE_PACKAGES
from runs.record.shipped import CURVES, sum_of

from .. import words

MOST_NAMED = 6  # pairs that lack trials


def described(path: Path, sums: Mapping[str, str]) -> list[str]:
    """Return the lines on an archive: the first begins with its name, the others are indented.

    path: of its file.
    sums: what the checksums of files should be, by their names, see `shipped.known_sums`.

    Raises ValueError for a file that is no archive, or another one than `sums` says.
    """
    digest = checked_sum(path, sums)
    archive = read_archive(path)
    facts = [] if archive.missing else ["complete"]
    facts += [size(path), f"schema {stored_schema(path)}", f"SHA-256 {digest[:12]}"]
    if path.with_name(path.stem + CURVES).is_file():
        facts.append("with curves")
    lines = [f"{path.stem}: {', '.join([counted(archive), *facts])}", *provenance(archive), *gaps(archive)]
    return [lines[0], *(f"  {line}" for line in lines[1:])]


def checked_sum(path: Path, sums: Mapping[str, str]) -> str:
    """Return the SHA-256 of a file. Raises ValueError where it is another one than `sums` says."""
    digest = sum_of(path)
    if digest != sums.get(path.name):
        known = f"it is {sums[path.name][:12]} there" if path.name in sums else "which does not name it"
        raise ValueError(f"{path.name} has the SHA-256 {digest[:12]}, which is not that of SHA256SUMS: {known}")
    return digest


def size(path: Path) -> str:
    """Return the size of a file as text, in kB of 1,000 bytes."""
    return f"{path.stat().st_size / 1000:,.0f} kB"


def counted(archive: Archive) -> str:
    """Return the number of trials as text: in all, of each stage after the search, and failed ones."""
    stages = Counter(archive.table["stage"].tolist())  # in the order of the stages
    failed = int((archive.table["status"] == "failed").sum())
    parts = [f"{words.trials(count)} of the stage {stage}" for stage, count in stages.items() if stage != "search"]
    parts += [f"{failed} failed"] if failed else []
    return f"{words.trials(len(archive.table))}{f' ({words.listed(parts)})' if parts else ''}"


def provenance(archive: Archive) -> Iterator[str]:
    """Yield a line for each place where trials ran: commit, processor and versions, most trials first."""
    sessions = Counter(zip(archive.table["stage"].tolist(), archive.table["session"].tolist(), strict=True))
    places: Counter[str] = Counter()
    for (stage, session), count in sessions.items():
        places[place(archive.session(stage, session))] += count
    for where, count in places.most_common():
        yield f"{words.trials(count)}: {where}"


def place(facts: Mapping[str, Any]) -> str:
    """Return where a session ran: commit, processor, and the versions on which the last bits depend."""
    versions = facts.get("versions") or {}
    known = [f"{name} {versions[name]}" for name in DECISIVE_PACKAGES if name in versions]
    known = [f"python {facts['python']}", *known] if "python" in facts else known
    code = f" (code {facts['code']})" if "code" in facts else ""
    return ", ".join(
        [f"commit {facts.get('commit', 'unknown')}{code}", facts.get("processor", "an unknown processor"), *known]
    )


def gaps(archive: Archive) -> list[str]:
    """Return a line on the trials that the study still lacks, by variant and task if few; none where it is complete."""
    missing = archive.missing
    if not missing:
        return []
    named = [
        f"{count} of {variant} on {task}{'' if stage == 'search' else f' (stage {stage})'}"
        for (stage, task, variant), count in missing.most_common(MOST_NAMED)
    ]
    others = len(missing) - len(named)
    more = [f"others on {others} more pairs of a variant and a task"] if others else []
    return [f"{words.trials(missing.total())} missing: {words.listed([*named, *more])}"]
