"""What is kept between processes: made once, whole or not there."""

from concurrent.futures import ThreadPoolExecutor

from dataforge.kernels.cache import cache_folder, kept, write_beside


def test_a_text_is_made_once_however_many_ask(tmp_path):
    made = []
    with ThreadPoolExecutor(8) as pool:  # flock holds between file descriptors, so threads stand in for processes
        found = list(pool.map(lambda n: kept(tmp_path / "verdict.json", lambda: made.append(n) or "agrees"), range(8)))
    assert found == ["agrees"] * 8 and len(made) == 1


def test_a_damaged_file_is_made_again(tmp_path):
    file = tmp_path / "verdict.json"
    for damaged in ("", "{", "[]", '{"kept": 3}', '{"other": "x"}'):
        file.write_text(damaged)
        assert kept(file, lambda: "agrees") == "agrees"
        assert kept(file, lambda: "never asked") == "agrees"


def test_what_fails_half_way_leaves_nothing(tmp_path):
    def broken(name):
        raise OSError("disk full")

    write_beside(tmp_path / "table.npy", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_had_costs_only_what_it_would_keep(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DATAFORGE_CACHE", str(tmp_path / "file"))
    assert cache_folder() == cache_folder() != tmp_path / "file"
    write_beside(tmp_path / "gone" / "table.npy", lambda name: None)
    assert kept(tmp_path / "gone" / "verdict.json", lambda: "agrees") == "agrees"
