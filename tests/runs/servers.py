"""Throw-away servers on loopback for tests: PostgreSQL as an ordinary user, and an MLflow server."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "tests-only-secret"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def binaries():
    """The folder of PostgreSQL's server programs; skips the test where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    there = Path(shutil.which("initdb") or (found[-1] if found else ""))
    if not there.name:
        pytest.skip("PostgreSQL's server programs are not installed")
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    return there.parent


class Postgres:
    """A database cluster in a folder; `url(database)` is for SQLAlchemy."""

    def __init__(self, folder):
        self.bin, self.folder, self.port = binaries(), folder, free_port()
        self.user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        self.folder.mkdir(mode=0o755)
        if self.user:
            shutil.chown(self.folder, "postgres")
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.run("initdb", "-D", f"{folder}/data", "-U", "study", "-A", "scram-sha-256", f"--pwfile={secret}", "-N")

    def run(self, program, *arguments):
        command = [*self.user, str(self.bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-o", options, "-l", f"{self.folder}/log", "-w", "start")

    def stop(self):
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")

    def create(self, database):
        import psycopg

        place = f"host=127.0.0.1 port={self.port} user=study password={PASSWORD} dbname=postgres"
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(f"create database {database}")
        return f"postgresql+psycopg://study:{PASSWORD}@127.0.0.1:{self.port}/{database}"


@contextmanager
def postgres():
    # Not in pytest's folder: its server runs as another user, and pytest closes that folder to others whenever a session starts.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "cluster")
        server.start()
        try:
            yield server
        finally:
            server.stop()


class MLflowServer:
    """A real `mlflow server` on loopback, to be stopped and started."""

    def __init__(self, folder, backend):
        self.folder, self.backend, self.port = folder, backend, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        folder.mkdir()

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", self.backend, "--artifacts-destination", str(self.folder / "artifacts")]
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=self.folder, start_new_session=True)
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise TimeoutError((self.folder / "log").read_text())

    def stop(self):
        os.killpg(self.process.pid, 15)
        self.process.wait(timeout=30)
