"""The cache of kernels gives back what its owner wrote, and nothing that another could have written."""

import os
import resource
import stat
import warnings
from pathlib import Path

import pytest

from variants.engine.cpu import cache

OTHER = os.geteuid() + 1


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder for kernels that does not exist yet, and a process that has warned of nothing and written nothing."""
    folder = tmp_path / "kernels"
    monkeypatch.setenv("LSTM_VARIANTS_CACHE", str(folder))
    monkeypatch.delenv("LSTM_VARIANTS_CACHE_SHARED", raising=False)
    monkeypatch.setattr(cache, "_warned", set())
    monkeypatch.setattr(cache, "_written", 0)
    return folder


def file_of(key: str) -> Path:
    return cache.folder() / cache._name(key)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def seen_as(monkeypatch, function, **changes):
    """Let `os.lstat` (of the folder) or `os.fstat` (of a file) report another owner or group."""
    plain = getattr(os, function)

    def report(*arguments, **options):
        status = plain(*arguments, **options)
        fields = list(status)
        for name, value in changes.items():
            fields[{"uid": 4, "gid": 5}[name]] = value
        return os.stat_result(fields)

    monkeypatch.setattr(os, function, report)


def refused(key: str, rule: str) -> None:
    with pytest.warns(RuntimeWarning, match=rule):
        assert cache.read(key) is None


def test_what_was_written_is_read():
    cache.write("a", b"code")
    assert cache.read("a") == b"code"
    assert cache.read("b") is None


def test_folder_and_files_are_made_for_their_user_alone(place):
    before = os.umask(0)
    try:
        cache.write("a", b"code")
    finally:
        os.umask(before)
    assert (mode(place), mode(file_of("a"))) == (0o700, 0o600)


@pytest.mark.parametrize("wrong", [0o770, 0o702, 0o1777])
def test_a_folder_that_others_may_write_is_neither_read_nor_written(place, wrong):
    cache.write("a", b"code")
    place.chmod(wrong)
    refused(
        "a",
        rf"kernel cache .*kernels must belong to you and be writable by you alone, got owner .* and mode {wrong:o}; ",
    )
    cache.write("b", b"code")
    assert len(list(place.iterdir())) == 1


@pytest.mark.parametrize("wrong", [0o620, 0o602])
def test_a_file_that_others_may_write_is_not_read(wrong):
    cache.write("a", b"code")
    file_of("a").chmod(wrong)
    refused("a", rf"\.kernel, which must belong to you and be writable by you alone, got owner .* and mode {wrong:o}")


@pytest.mark.parametrize("function", ["lstat", "fstat"], ids=["folder", "file"])
def test_what_belongs_to_somebody_else_is_not_read(monkeypatch, function):
    cache.write("a", b"code")
    seen_as(monkeypatch, function, uid=OTHER)
    refused("a", f"must belong to you and be writable by you alone, got owner {OTHER}")


def test_what_belongs_to_root_is_read(monkeypatch):
    cache.write("a", b"code")
    seen_as(monkeypatch, "lstat", uid=0)
    seen_as(monkeypatch, "fstat", uid=0)
    assert cache.read("a") == b"code"


def test_a_link_in_the_place_of_a_file_is_not_followed(place):
    cache.write("a", b"code")
    file_of("a").rename(place / "elsewhere")
    file_of("a").symlink_to(place / "elsewhere")
    refused("a", r"\.kernel, which must not be a link")


def test_a_link_in_the_place_of_the_folder_is_not_followed(place):
    cache.write("a", b"code")
    place.rename(place.with_name("elsewhere"))
    place.symlink_to(place.with_name("elsewhere"))
    refused("a", "must be a folder, and no link to one")


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(place):
    place.mkdir(mode=0o700)
    os.mkfifo(file_of("a"), 0o600)
    refused("a", r"\.kernel, which must be a file")


def test_a_file_under_the_name_of_another_key_is_not_read():
    cache.write("a", b"code")
    file_of("a").rename(file_of("b"))
    assert cache.read("b") is None


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-1], lambda c: b"", lambda c: c[:10], lambda c: c[:-1] + b"x", lambda c: c + b"x"]
)
def test_a_damaged_file_is_not_read_and_can_be_written_again(damage):
    cache.write("a", b"code")
    file_of("a").write_bytes(damage(file_of("a").read_bytes()))
    assert cache.read("a") is None
    cache.write("a", b"code")
    assert cache.read("a") == b"code"


def test_a_folder_is_warned_of_once(place):
    place.mkdir()
    place.chmod(0o777)
    refused("a", "kernel cache")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.read("a") is None
        cache.write("a", b"code")


def test_a_full_disk_leaves_no_part_of_a_file(place):
    place.mkdir(mode=0o700)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        cache.write("a", b"code" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(place.iterdir()) == []


def test_an_interruption_leaves_no_part_of_a_file(place, monkeypatch):
    def interrupted(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.write("a", b"code")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("age", "left"), [(30, True), (7200, False)])
@pytest.mark.parametrize("name", [".kernel-ab_12345.part", ".ab_12345.part"])
def test_parts_left_by_processes_that_died_are_removed(place, age, left, name):
    cache._make(place)
    part = place / name
    part.touch()
    os.utime(part, (part.stat().st_mtime - age,) * 2)
    cache.write("a", b"code")
    assert part.exists() is left


def test_the_oldest_files_beyond_the_limit_are_removed(place, monkeypatch):
    for k, key in enumerate("abcd"):
        cache.write(key, b"c" * 68)  # 100 bytes with the digest
        os.utime(file_of(key), (1000 - k, 1000 - k))
    (place / "of somebody").write_bytes(b"x" * 1000)
    monkeypatch.setattr(cache, "MOST_BYTES", 250)
    monkeypatch.setattr(cache, "_written", 0)
    cache.write("e", b"code")
    assert [key for key in "abcde" if cache.read(key)] == ["a", "b", "e"]
    assert (place / "of somebody").exists()


def test_the_size_of_the_folder_is_looked_at_rarely(monkeypatch):
    looks = []
    monkeypatch.setattr(cache, "_trim", looks.append)
    for k in range(130):
        cache.write(str(k), b"code")
    assert len(looks) == 3


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("LSTM_VARIANTS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    cache.write("a", b"code")
    assert (cache.folder(), cache.read("a")) == (None, None)


def test_a_home_that_cannot_be_written_is_no_mistake(tmp_path, monkeypatch):
    (tmp_path / "home").touch()  # a file: not even root can make a folder in it
    monkeypatch.delenv("LSTM_VARIANTS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cache.write("a", b"code")
    assert cache.read("a") is None


def test_the_folder_is_that_of_the_environment_at_the_moment_of_use(tmp_path, monkeypatch):
    cache.write("a", b"code")
    monkeypatch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path / "other"))
    assert cache.read("a") is None


def test_without_owners_of_files_nothing_is_checked(place, monkeypatch):
    cache.write("a", b"code")
    place.chmod(0o777)
    monkeypatch.delattr(os, "geteuid")
    assert cache.read("a") == b"code"


# A cache that a group shares.


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setenv("LSTM_VARIANTS_CACHE_SHARED", "1")


def test_a_shared_folder_is_made_for_the_group_and_its_files_can_be_read(shared, place):
    cache.write("a", b"code")
    assert (mode(place), mode(file_of("a"))) == (0o2770, 0o644)
    assert cache.read("a") == b"code"


@pytest.mark.parametrize("function", ["lstat", "fstat"], ids=["folder", "file"])
def test_what_belongs_to_a_member_of_the_group_is_read_where_it_is_shared(shared, monkeypatch, function):
    cache.write("a", b"code")
    file_of("a").chmod(0o664)
    seen_as(monkeypatch, function, uid=OTHER)
    assert cache.read("a") == b"code"


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_all_may_write_is_not_read_though_it_is_shared(shared, place, what):
    cache.write("a", b"code")
    (place if what == "folder" else file_of("a")).chmod(0o777)
    refused("a", "must belong to a group of yours and not be writable by all, got owner .* mode 777")


def test_a_shared_folder_of_a_group_without_the_user_is_not_read(shared, monkeypatch):
    cache.write("a", b"code")
    group = max([os.getegid(), *os.getgroups()]) + 1
    seen_as(monkeypatch, "lstat", gid=group)
    refused(
        "a", f"must belong to a group of yours and not be writable by all, got owner .*, group {group} and mode 2770"
    )


def test_a_file_of_another_group_than_its_folder_is_not_read(shared, monkeypatch):
    cache.write("a", b"code")
    seen_as(monkeypatch, "fstat", uid=OTHER, gid=os.getegid() + 1)
    refused("a", "must belong to a group of yours")
