"""A zip and its folder are the same stream of entries; hostile archives are refused and nothing is ever written."""

import io
import os
import struct
import time
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import ArchiveError, CorruptError, DataforgeError, InputError
from dataforge.operators.archive import open_archive, stamp_of
from dataforge.operators.archive_zip import Limits


def zipped(path, files, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def test_a_zip_and_its_folder_have_the_same_entries_and_digest(tmp_path):
    files = [("users.json", b"[]"), ("general/2024-01-01.json", b"[1]" * 1000), ("général/2024-01-01.json", b"x")]
    path = zipped(tmp_path / "a.zip", files)
    for name, data in files:
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    packed, folder = open_archive(path), open_archive(tmp_path / "folder")
    assert list(packed.entries) == list(folder.entries) == sorted(name for name, _ in files)
    assert [packed.read(n) for n in packed.entries] == [folder.read(n) for n in folder.entries]
    assert packed.digest(list(packed.entries)) == folder.digest(list(folder.entries))


def test_the_stamp_of_an_archive_changes_with_its_files(tmp_path):
    path = zipped(tmp_path / "a.zip", [("users.json", b"[]")])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/users.json").write_bytes(b"[]")
    for place, file in ((path, path), (tmp_path / "folder", tmp_path / "folder/users.json")):
        before = [stamp_of(str(place)), stamp_of(str(place))]
        os.utime(file, ns=(1, 1))
        assert before[0] == before[1] != stamp_of(str(place))


@pytest.mark.parametrize(
    "name", ["../x", "a/../x", "/etc/x", "C:/x", "C:\\x", "a\\b", "a//b", "./a", "a\x01b", "x" * 2000, "in.zip"]
)
def test_a_name_that_is_not_a_plain_relative_path_is_refused(tmp_path, name):
    with pytest.raises(ArchiveError):
        open_archive(zipped(tmp_path / "a.zip", [(name, b"x")]))


def test_nul_in_a_name_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", [("aQb", b"x")])
    path.write_bytes(path.read_bytes().replace(b"aQb", b"a\0b"))
    with pytest.raises(ArchiveError):
        open_archive(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("twin", ["a/x.json", "A/X.json"])
def test_twins_by_name_or_case_are_refused(tmp_path, twin):
    with pytest.raises(ArchiveError):
        open_archive(zipped(tmp_path / "a.zip", [("a/x.json", b"1"), (twin, b"2")]))


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010666])
def test_links_devices_and_pipes_are_refused(tmp_path, mode):
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, mode << 16
    with pytest.raises(ArchiveError):
        open_archive(zipped(tmp_path / "a.zip", [(info, b"/etc/passwd")]))


def test_a_link_in_a_folder_is_refused(tmp_path):
    os.symlink("/etc/passwd", tmp_path / "link")
    with pytest.raises(ArchiveError):
        open_archive(tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    started = time.monotonic()
    with pytest.raises(ArchiveError, match="ratio"):
        open_archive(zipped(tmp_path / "a.zip", [("a.json", bytes(64 << 20))]))
    assert time.monotonic() - started < 2


def test_a_million_entries_are_refused_by_their_count(tmp_path):
    one = struct.pack("<4sBB4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = one * 300_000
    for declared in (0xFFFE, 3):  # a count that lies is found too
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, declared, declared, len(directory), 0, 0)
        (tmp_path / "a.zip").write_bytes(directory + end)
        with pytest.raises((ArchiveError, CorruptError)):
            open_archive(tmp_path / "a.zip", Limits(entries=10_000))


def test_overlapping_entries_are_refused(tmp_path):
    body = b"hello"
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, zlib.crc32(body), 5, 5, 1, 0) + b"a" + body
    row = struct.pack("<4sBB4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, zlib.crc32(body), 5, 5, 1, 0, 0, 0, 0, 0)
    directory = row + struct.pack("<L", 0) + b"a" + row + struct.pack("<L", 0) + b"b"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(directory), len(local), 0)
    (tmp_path / "a.zip").write_bytes(local + directory + end)
    with pytest.raises(DataforgeError):
        open_archive(tmp_path / "a.zip")


def test_a_size_that_lies_is_found_while_reading(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a.json", b"x" * 5000)])
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\1\2")
    raw[at + 24 : at + 28] = struct.pack("<I", 100)
    path.write_bytes(raw)
    with pytest.raises(ArchiveError, match="more than the 100"):
        open_archive(path).read("a.json")


def test_names_without_the_utf8_flag_are_mended(tmp_path):
    mended = zipped(tmp_path / "b.zip", [("abcQQ/x", b"1")])
    mended.write_bytes(mended.read_bytes().replace(b"abcQQ/x", "abcé/x".encode()))
    archive = open_archive(mended)
    assert list(archive.entries) == ["abcé/x"] and archive.repaired == 1
    assert list(open_archive(zipped(tmp_path / "c.zip", [("caf#U00e9/x", b"1")])).entries) == ["café/x"]


def test_what_is_skipped_is_not_listed_and_may_be_an_archive(tmp_path):
    path = zipped(tmp_path / "a.zip", [("general/attachments/a.zip", b"x"), ("users.json", b"[]")])
    assert list(open_archive(path, skip=lambda name: "/attachments/" in name).entries) == ["users.json"]


def test_a_missing_path_and_a_cut_file_are_named(tmp_path):
    with pytest.raises(InputError):
        open_archive(tmp_path / "none.zip")
    path = zipped(tmp_path / "a.zip", [("a.json", b"x" * 5000)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorruptError):
        open_archive(path)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6), st.integers(0, 200))
def test_a_damaged_zip_raises_only_errors_of_the_tree(tmp_path_factory, changes, cut):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("users.json", b'[{"id": "U1"}]' * 40)
        archive.writestr("general/2024-01-01.json", b"[]")
    raw = bytearray(buffer.getvalue())
    for at, value in changes:
        raw[at % len(raw)] = value
    path = tmp_path_factory.getbasetemp() / f"mutant{os.getpid()}.zip"
    path.write_bytes(bytes(raw[: len(raw) - cut] if cut < 60 else raw))
    try:
        opened = open_archive(path)
        for name in opened.entries:
            opened.read(name)
    except DataforgeError:
        pass
