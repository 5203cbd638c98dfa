"""Passwords and tokens in URLs are refused on the command line and never shown, in every form that a URL allows."""

import subprocess
import sys
from pathlib import Path

import pytest

from runs.secrets_in_urls import refuse_passwords, secrets_of, without_password

ROOT = Path(__file__).resolve().parent.parent.parent
SHOWN = {
    "postgresql+psycopg://me:S3CRET@host/db": "postgresql+psycopg://me:***@host/db",
    "postgresql://:S3CRET@host/db": "postgresql://:***@host/db",
    "postgresql://me:S3CRET@host:5432/db?sslmode=require": "postgresql://me:***@host:5432/db?sslmode=require",
    "postgresql://me:S3C%40RET@host/db": "postgresql://me:***@host/db",
    "postgresql://me:S3C@RET@host/db": "postgresql://me:***@host/db",
    "postgresql://me:S3C/R?ET@host/db": "postgresql://me:***@host/db",
    "postgresql://me:S3 CRET@host/db": "postgresql://me:***@host/db",
    "postgresql://me@work:S3CRET@host/db": "postgresql://me@work:***@host/db",
    "postgresql://me:S3CRET@[::1]:5432/db": "postgresql://me:***@[::1]:5432/db",
    "postgresql://me:S3CRET@one:5432,two:5433/db": "postgresql://***@one:5432,two:5433/db",
    "postgresql://host/db?password=S3CRET&user=me": "postgresql://host/db?password=***&user=me",
    "postgresql:///db?host=h&sslpassword=S3CRET": "postgresql:///db?host=h&sslpassword=***",
    "postgresql:///db?PASSWORD=S3CRET": "postgresql:///db?PASSWORD=***",
    "postgresql:///db?pass%77ord=S3CRET": "postgresql:///db?pass%77ord=***",
    "postgresql:///db?options=-c%20password%3DS3CRET": "postgresql:///db?options=***",
    "mysql+pymysql://me:S3CRET@host/db": "mysql+pymysql://me:***@host/db",
    "http://me:S3CRET@host:5000/x": "http://***@host:5000/x",
    "HTTPS://S3CRET@host": "HTTPS://***@host",
    "http://me:S3C/RET@host": "http://***@host",
    "https://host/x?token=S3CRET": "https://host/x?token=***",
    "https://host/x?a=1;api_key=S3CRET#access_token=S3CRET": "https://host/x?a=1;api_key=***#access_token=***",
    "https://host/x?x-api-key=S3CRET&jwt=S3CRET": "https://host/x?x-api-key=***&jwt=***",
    "https://host/x?authorization=Bearer%20S3CRET": "https://host/x?authorization=***",
    "postgresql:me:S3CRET@host/db": "postgresql:***@host/db",
    "//me:S3CRET@host/db": "//me:***@host/db",
    "me:S3CRET@host/db": "me:***@host/db",
    "https://host/x?next=http%3A%2F%2Fme%3AS3CRET%40host": "https://host/x?next=***",
}
HARMLESS = [
    *(
        "http://127.0.0.1:5000/me@here",
        "http://127.0.0.1:5000/#/experiments/1/runs",
        "postgresql+psycopg://study@127.0.0.1/study",
    ),
    *(
        "postgresql://me@one:5432,two:5433/db",
        "postgresql:///db?passfile=/home/me/.pgpass",
        "sqlite:////tmp/a:b@c/mlflow.db",
    ),
    *("postgresql://me@host/db?sslmode=verify-full&sslkey=/a/b", "task.lag=3", "variants=[vanilla,gru]"),
    *("me@host", "git@host:me/repository", "12:30 at host"),
]


@pytest.mark.parametrize("url", SHOWN)
def test_a_secret_is_refused_on_the_command_line(url):
    with pytest.raises(ValueError, match="a password on the command line ends up in process lists"):
        refuse_passwords(["study=quick", f"storage.url={url}"])


@pytest.mark.parametrize(("url", "shown"), SHOWN.items())
def test_a_secret_is_replaced_by_stars_and_all_else_is_shown(url, shown):
    assert without_password(url) == shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_holds_no_secret_is_accepted_and_shown_as_it_is(text):
    refuse_passwords([text])
    assert without_password(text) == text


def test_a_conninfo_is_treated_like_a_url():
    with pytest.raises(ValueError, match="a password"):
        refuse_passwords(["storage.url=host=h password=S3CRET"])
    assert without_password("host=h password = 'S3C RET' user=me") == "host=h password = *** user=me"


def test_urls_inside_a_message_lose_their_secrets():
    message = "cannot reach postgresql://me:S3CRET@host/db,\nnor 'http://T0KEN@web/'"
    assert without_password(message) == "cannot reach postgresql://me:***@host/db,\nnor 'http://***@web/'"


@pytest.mark.parametrize("url", SHOWN)
def test_a_secret_that_stands_by_itself_in_the_message_of_a_driver_is_hidden(url):
    (longest,) = sorted(secrets_of(url), key=len)[-1:]
    message = without_password(f'FATAL: no login with "{longest}"', url)
    assert message == 'FATAL: no login with "***"'


def test_a_short_password_does_not_garble_the_message():
    assert (
        without_password("port 5432 is closed for pw p", "postgresql://me:p@host/db")
        == "port 5432 is closed for pw ***"
    )


def test_a_url_without_an_at_sign_does_not_load_sqlalchemy():
    read = "runs.secrets_in_urls.refuse_passwords(['a=http://h:5000/x', 'b=sqlite:////tmp/x.db'])"
    code = f"import sys, runs.secrets_in_urls; {read}; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_message_of_a_database_that_cannot_be_opened_holds_no_secret(tmp_path):
    from runs.study.storage.opening import open_storage

    for url in (
        "postgresql+psycopg://me:S3CRET@127.0.0.1:1/db",
        "nosuchdriver://me:S3CRET@host/db",
        "postgresql://me:S3C/RET@h:x/db",
    ):
        with pytest.raises(ValueError, match="cannot open") as raised:
            open_storage(url, tmp_path)
        assert "S3C" not in str(raised.value)
        assert "RET" not in str(raised.value)


def test_what_a_driver_says_of_a_password_is_hidden(tmp_path, monkeypatch):
    from runs.study.storage import opening

    def refused(url):
        raise RuntimeError("login failed with 'S3CRET' at me@host")

    monkeypatch.setattr(opening, "Database", refused)
    with pytest.raises(
        ValueError, match=r"cannot open postgresql://me:\*\*\*@host/db: login failed with '\*\*\*' at me@host"
    ):
        opening.open_storage("postgresql://me:S3CRET@host/db", tmp_path)


def test_the_command_on_record_is_quoted_and_holds_no_secret(monkeypatch):
    from runs.record.facts import facts

    monkeypatch.setattr(
        sys, "argv", ["runs/sweep.py", "study=quick", "space={a: {low: 1}}", "x=postgresql://me:S3CRET@h/db"]
    )
    assert facts()["command"] == "python -m runs.sweep study=quick 'space={a: {low: 1}}' 'x=postgresql://me:***@h/db'"
