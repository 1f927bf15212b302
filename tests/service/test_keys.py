"""The file of keys: what it says, how it is changed, and who sees that it was."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import threading
from pathlib import Path

import pytest

from service import keys
from service.errors import KeyFileError
from service.keyfile import MOST, Key, KeyFile, digest_of, find, make_key, parse_keys
from service.keys import add_key, revoke_key

ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def names(path: Path) -> list[str]:
    return [key.name for key in KeyFile(path).current()]


def test_a_key_is_long_random_and_its_own() -> None:
    made = {make_key() for _ in range(50)}
    assert len(made) == 50
    # 32 bytes as base64 are 43 letters.
    assert all(key.startswith("attrai_") and len(key) == 7 + 43 for key in made)


def test_a_line_is_a_name_a_digest_and_perhaps_a_rate() -> None:
    text = f"# who\n\nphone {ONE} 60\n  web-1.a\t{TWO}  # the shop's\nspare {'3' * 64} 0\n"
    assert parse_keys(text) == (
        Key("phone", ONE, 60),
        Key("web-1.a", TWO, None),
        Key("spare", "3" * 64, 0),
    )
    assert parse_keys("") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("phone", "line 1 is not"),
        (f"phone {ONE} 60 more", "line 1 is not"),
        (f"# ok\nphone {ONE[:-1]}", "line 2 is not"),
        (f"phone {ONE.replace('1', 'A')}", "line 1 is not"),
        (f"-phone {ONE}", "line 1 is not"),
        (f"ph\u00f6ne {ONE}", "line 1 is not"),
        (f"{'p' * 65} {ONE}", "line 1 is not"),
        (f"phone {ONE} -1", "a rate is"),
        (f"phone {ONE} 1.5", "a rate is"),
        (f"phone {ONE} 1000001", "a rate is"),
        (f"phone {ONE}\nphone {TWO}", "line 2 has a name or a key"),
        (f"phone {ONE}\nother {ONE}", "line 2 has a name or a key"),
        ("".join(f"k{n} {n:064x}\n" for n in range(MOST + 1)), f"may have {MOST}"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(KeyFileError, match=said):
        parse_keys(text)


def test_the_key_itself_in_the_file_is_refused_and_not_quoted(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = make_key()
    for content in (f"phone {secret}\n".encode(), secret.encode() + b"\xff"):
        path.write_bytes(content)
        with pytest.raises(KeyFileError) as failure:
            KeyFile(path).current()
        chain = (failure.value, failure.value.__cause__)
        assert secret not in repr(chain) + caplog.text
        assert failure.value.__suppress_context__


def test_a_key_is_found_by_its_digest_and_no_other_is(path: Path) -> None:
    made = {name: add_key(path, name) for name in ("a", "b", "c")}
    listed = KeyFile(path).current()
    for name, key in made.items():
        found = find(listed, key)
        assert found is not None
        assert found.name == name
        assert found.digest == hashlib.sha256(key.encode()).hexdigest()
        assert find(listed, key[:-1]) is None
        assert find(listed, found.digest) is None
    assert find(listed, make_key()) is None
    assert find((), make_key()) is None


def test_all_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("service.keyfile.hmac.compare_digest", compare)
    listed = tuple(Key(name, digest_of(name)) for name in "abc")
    assert find(listed, "a") == listed[0]
    assert compared == [(key.digest, digest_of("a")) for key in listed]


def test_the_file_never_holds_a_key(path: Path) -> None:
    made = add_key(path, "phone", 60)
    assert path.read_text() == f"phone {digest_of(made)} 60\n"
    assert made.removeprefix("attrai_") not in path.read_text()


def test_comments_stay_when_keys_come_and_go(path: Path) -> None:
    path.write_text(f"# ours\nphone {ONE} 60 # Anna's\n# theirs\nweb {TWO}")
    add_key(path, "new")
    revoke_key(path, "phone")
    lines = path.read_text().splitlines()
    assert lines[:3] == ["# ours", "# theirs", f"web {TWO}"]
    assert lines[3].startswith("new ")


def test_a_name_is_given_once(path: Path) -> None:
    add_key(path, "phone")
    before = path.read_text()
    for name, said in (("phone", "revoke it first"), ("a b", "a name is"), ("", "a name is")):
        with pytest.raises(KeyFileError, match=said):
            add_key(path, name)
    with pytest.raises(KeyFileError, match="no key of the name"):
        revoke_key(path, "other")
    assert path.read_text() == before


def test_a_full_file_takes_no_more(path: Path) -> None:
    path.write_text("".join(f"k{n} {n:064x}\n" for n in range(MOST)))
    with pytest.raises(KeyFileError, match=f"may have {MOST}"):
        add_key(path, "one-more")


def test_the_file_is_replaced_in_one_step(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_key(path, "phone")
    before = path.read_text()

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("service.keys.os.fsync", fail)
    with pytest.raises(OSError, match="disk is full"):
        add_key(path, "web")
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


def test_nobody_but_owner_and_group_may_read_it(path: Path) -> None:
    add_key(path, "phone")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_and_group_stay(path: Path) -> None:
    path.touch()
    os.chown(path, 1234, 5678)
    add_key(path, "phone")
    revoke_key(path, "phone")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_to_the_file_stays_one(path: Path) -> None:
    path.touch()
    link = path.with_name("link")
    link.symlink_to(path)
    assert keys.main(["add", "phone", "--file", str(link)]) == 0
    assert link.is_symlink()
    assert names(path) == ["phone"]


def test_two_who_change_it_at_once_both_succeed(path: Path) -> None:
    def add(number: int) -> None:
        for part in "abcd":
            add_key(path, f"{part}{number}")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(path)) == sorted(f"{part}{n}" for part in "abcd" for n in range(4))


def test_a_change_is_seen_at_once(path: Path) -> None:
    add_key(path, "phone")
    file = KeyFile(path)
    assert [key.name for key in file.current()] == ["phone"]
    add_key(path, "web")
    assert [key.name for key in file.current()] == ["phone", "web"]
    revoke_key(path, "phone")
    assert [key.name for key in file.current()] == ["web"]


def test_it_is_read_once_where_nothing_changes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_key(path, "phone")
    file = KeyFile(path)
    first = file.current()
    monkeypatch.setattr(Path, "open", None)
    assert file.current() is first


@pytest.mark.parametrize("harm", ["gone", "malformed", "no text", "a folder"])
def test_what_cannot_be_read_lets_nobody_in_and_says_so_once(
    path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    add_key(path, "phone")
    file = KeyFile(path)
    good = path.read_text()
    assert file.current()
    path.unlink()
    if harm == "malformed":
        path.write_text(good + "half a li")
    elif harm == "no text":
        path.write_bytes(b"\xff\xfe")
    elif harm == "a folder":
        path.mkdir()
    for _ in range(3):
        with pytest.raises(KeyFileError, match="cannot read the keys in"):
            file.current()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert str(path) in record.getMessage()
    if harm == "a folder":
        path.rmdir()
    path.write_text(good)
    assert [key.name for key in file.current()] == ["phone"]
    assert "accepted again" in caplog.records[1].getMessage()
    assert len(caplog.records) == 2


def test_the_command_makes_lists_and_revokes(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--file", str(path)]
    assert keys.main(["add", "phone", "--rate", "60", *where]) == 0
    said = capsys.readouterr()
    assert "is new: let the service's user read it" in said.err
    (key,) = said.out.splitlines()
    assert find(KeyFile(path).current(), key) == Key("phone", digest_of(key), 60)
    assert keys.main(["add", "web", *where]) == 0
    assert keys.main(["add", "spare", "--rate", "0", *where]) == 0
    assert "is new" not in capsys.readouterr().err
    assert keys.main(["list", *where]) == 0
    listed = capsys.readouterr().out
    assert listed == "phone\t60 a minute\nweb\nspare\tno limit\n"
    assert keys.main(["revoke", "phone", *where]) == 0
    assert names(path) == ["web", "spare"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["revoke", "nobody"], "no key of the name nobody"),
        (["add", "phone"], "revoke it first"),
        (["add", "a/b"], "a name is"),
        (["list", "--file", "/no/such/file"], "No such file"),
        (["add", "phone", "--file", "/no/such/file"], "No such file"),
    ],
)
def test_the_command_says_what_it_cannot_do(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    add_key(path, "phone")
    where = [] if "--file" in arguments else ["--file", str(path)]
    assert keys.main([*arguments, *where]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_the_command_takes_the_file_of_the_settings(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = path.with_name("attrai.ini")
    config.write_text(f"[auth]\nkeys_file = {path}\n")
    monkeypatch.setenv("ATTRAI_CONFIG", str(config))
    assert keys.main(["add", "phone"]) == 0
    assert names(path) == ["phone"]
    config.write_text("")
    assert keys.main(["list"]) == 1
    assert "no [auth] keys_file; give --file" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["-1", "many", "1000001"])
def test_a_rate_that_cannot_be_is_refused(path: Path, rate: str) -> None:
    with pytest.raises(SystemExit):
        keys.main(["add", "phone", "--rate", rate, "--file", str(path)])
    assert not path.exists()
