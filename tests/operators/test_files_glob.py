"""Patterns name the files that `Path.glob` would, and nothing that cannot be read is left out in silence."""

import os

import pytest

from dataforge.errors import ArchiveError, InputError
from dataforge.operators.archive import open_archive
from dataforge.operators.files import list_files
from dataforge.operators.files_glob import glob

PATTERNS = ["*", "*.txt", "a/*", "**/*.txt", "a/**/*.txt", "**/b/*", "[ab]/?.txt", "*/b/x.txt", "**/**/x.txt", "none/*"]


@pytest.fixture
def tree(tmp_path):
    for name in ("x.txt", "a/x.txt", "a/b/x.txt", "a/b/y.md", "b/x.txt", "b/.hidden.txt", "[c]/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "b/link").symlink_to(tmp_path / "a")
    return tmp_path


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_names_what_the_standard_library_names(pattern, tree):
    expected = sorted(path for path in tree.glob(pattern) if path.is_file())
    assert sorted(path for path in glob(str(tree), pattern) if path.is_file()) == expected


def test_several_double_stars_list_each_folder_once_for_each_part(tmp_path, monkeypatch):
    (tmp_path / "/".join("a" * 30)).mkdir(parents=True)
    (tmp_path / "/".join("a" * 30) / "x.txt").write_text("x")
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    assert [file.name for file in glob(str(tmp_path), "**/a/**/a/**/a/**/**/a/**/*.txt")] == ["x.txt"]
    assert len(listed) <= 31 * 10


def test_two_stars_at_the_end_are_all_files_below(tree):
    assert [file.name for file in list_files(f"{tree}/a/**", ())] == ["b/x.txt", "b/y.md", "x.txt"]


@pytest.mark.parametrize("pattern", ["*/*.txt", "**/*.txt", ""])
def test_a_folder_that_cannot_be_read_is_an_error_that_names_it(pattern, tree, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(InputError, match="cannot be listed: Permission denied") as refused:
        list_files(f"{tree}/{pattern}" if pattern else str(tree), (".txt",))
    assert refused.value.file.endswith("/b") and refused.value.exit_code == 3


def test_an_export_folder_that_cannot_be_read_is_an_input_error(tree, monkeypatch):
    (tree / "b/link").unlink()
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scandir(path if not str(path).endswith("/b") else "/nothing"))
    with pytest.raises(InputError, match="a folder cannot be listed") as refused:
        open_archive(str(tree))
    assert not isinstance(refused.value, ArchiveError)
