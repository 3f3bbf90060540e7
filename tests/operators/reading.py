"""Reads a whole Source the way an engine does."""

from dataforge.operator import Source


def read_all(source: Source) -> tuple[list, list, dict, int]:
    """(rows kept, rows quarantined, notes, rows by the independent counter)."""
    kept, bad, notes, counted = [], [], {}, 0
    for split in source.splits():
        for file in source.read(split):
            for rows in file.rows:
                kept += rows.kept.to_pylist()
                bad += rows.quarantined.to_pylist() if rows.quarantined else []
                for name, count in (rows.notes or {}).items():
                    notes[name] = notes.get(name, 0) + count
            counted += file.counted() or 0
    return kept, bad, notes, counted
