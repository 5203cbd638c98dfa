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
SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def binaries():
    """The folder of PostgreSQL's server programs; skips the test where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    there = Path(shutil.which("initdb") or (found[-1] if found else ""))
    if not there.name:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
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
    # Not in pytest's folder: its server runs as another user, and pytest closes that folder to others whenever a
    # session starts.
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
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--workers",
            "1",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        command += ["--backend-store-uri", self.backend, "--artifacts-destination", str(self.folder / "artifacts")]
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=env, cwd=self.folder, start_new_session=True
            )
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


class Slurm:
    """A cluster of one node, this machine, with two slots; `env` is what its commands need."""

    def __init__(self, folder):
        for program in ("slurmctld", "slurmd", "munged", "sbatch", "mungekey"):
            if shutil.which(program, path=SYSTEM_PATH) is None:
                pytest.skip(f"Slurm is not installed ({program} is missing; packages: docs/cluster/slurm.md)")
        if os.getuid() != 0:
            pytest.skip("the daemons of Slurm need root on one machine")
        self.folder, self.daemons = folder, []
        for name in ("state", "spool"):
            (folder / name).mkdir()
        host, socket_path = socket.gethostname(), folder / "munge.socket"
        (folder / "slurm.conf").write_text(
            f"ClusterName=tests\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\n"
            f"AuthType=auth/munge\nAuthInfo=socket={socket_path}\nCredType=cred/munge\n"
            f"SlurmctldPort={free_port()}\nSlurmdPort={free_port()}\n"
            f"StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool\n"
            f"SlurmctldPidFile={folder}/slurmctld.pid\nSlurmdPidFile={folder}/slurmd.pid\n"
            "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nMpiDefault=none\nReturnToService=2\nJobRequeue=1\n"
            "SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\nJobAcctGatherType=jobacct_gather/none\nKillWait=10\nMinJobAge=60\n"
            f"NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 State=UNKNOWN\n"
            f"PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:2\n"
        )
        self.env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": SYSTEM_PATH}

    def start(self):
        key, place = self.folder / "munge.key", f"--socket={self.folder}/munge.socket"
        subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True, env=self.env)
        files = [f"--{k}-file={self.folder}/munge.{k}" for k in ("key", "log", "pid", "seed")]
        self.daemon("munged", "--foreground", "--force", place, *files)
        for _ in range(100):
            if (self.folder / "munge.socket").exists():
                break
            time.sleep(0.1)
        self.daemon("slurmctld", "-D", "-i")
        self.daemon("slurmd", "-D", "-N", socket.gethostname())
        for _ in range(60):
            if "idle" in self.call("sinfo", "-h", "-o", "%T", check=False):
                return
            time.sleep(0.5)
        raise TimeoutError("\n".join(p.read_text() for p in self.folder.glob("*.log")))

    def daemon(self, program, *arguments):
        with (self.folder / f"{program}.log").open("ab") as log:
            self.daemons.append(
                subprocess.Popen([program, *arguments], stdout=log, stderr=log, env=self.env, start_new_session=True)
            )

    def call(self, *command, check=True):
        done = subprocess.run(command, capture_output=True, text=True, env=self.env)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout

    def stop(self):
        self.call("scancel", "--user=root", check=False)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@contextmanager
def slurm():
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        server = Slurm(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
