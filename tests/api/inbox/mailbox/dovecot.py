"""Runs a real Dovecot on a free port without root; tests deliver its mail as files."""

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.business_clock import business_now
from tests.postgres import new_home, remove_home

PROGRAM = shutil.which("dovecot", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
"""The path of Dovecot, or None; Debian installs it in a folder for administrators."""
PASSWORD = "right&proper"
SECONDS = 20.0

CONFIGURATION = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
ssl = {ssl}
{keys}
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
auth_failure_delay = 0
mail_location = maildir:{home}/mail/%u
mail_max_userip_connections = 100
namespace inbox {{
  inbox = yes
}}
passdb {{
  driver = static
  args = password={{PLAIN}}{password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
  # It would delay each login after a failed one.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A running server; every user has the same password and an own INBOX."""

    home: Path
    port: int
    tls_port: int
    process: "subprocess.Popen[bytes]"

    def maildir(self, user: str) -> Path:
        """Return the folder of a user's messages."""
        return self.home / "mail" / user

    def deliver(self, user: str, *messages: bytes) -> None:
        """Deliver messages to a user's INBOX, in this order."""
        folder = self.maildir(user)
        for name in ("tmp", "new", "cur"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        count = sum(1 for _ in folder.glob("new/*")) + sum(1 for _ in folder.glob("cur/*"))
        for index, message in enumerate(messages, count):
            arriving = folder / "tmp" / f"{int(time.time())}.M{index:06d}P{time.monotonic_ns()}.test"
            arriving.write_bytes(message)
            # Dovecot reports the time of the file as the time of arrival, which must be in business time.
            arrived = business_now().timestamp()
            os.utime(arriving, (arrived, arrived))
            arriving.rename(folder / "new" / arriving.name)
        _set_owner(self.home / "mail")

    def marks(self, user: str) -> list[str]:
        """Return the Maildir flags of a user's messages; `new` for those that no client has listed."""
        folder = self.maildir(user)
        seen = [one.name.partition(":2,")[2] for one in folder.glob("cur/*")]
        return sorted([*seen, *("new" for _ in folder.glob("new/*"))])

    def remove(self, user: str, most: int) -> None:
        """Delete a user's first messages."""
        for one in sorted(self.maildir(user).glob("*/*.test*"), key=lambda one: one.name)[:most]:
            one.unlink()

    def reset_uids(self, user: str) -> None:
        """Change the UIDVALIDITY of a user's folder, as a restore does."""
        folder = self.maildir(user)
        numbers = folder / "dovecot-uidlist"
        header, _, _ = numbers.read_text(encoding="utf-8").partition("\n")
        validity = int(header.partition(" V")[2].split()[0])
        for one in (*folder.glob("dovecot*"), *folder.glob("new/.*")):
            one.unlink()
        numbers.write_text(f"3 V{validity + 7} N1\n", encoding="utf-8")
        _set_owner(self.home / "mail")

    def backdate(self, user: str, by: timedelta) -> None:
        """Move the arrival of a user's messages to an earlier time."""
        for one in (*self.maildir(user).glob("cur/*"), *self.maildir(user).glob("new/*")):
            then = one.stat().st_mtime - by.total_seconds()
            os.utime(one, (then, then))


@contextmanager
def serving(*, ssl: bool = False) -> Iterator[Dovecot]:
    """Run a server; with `ssl` its certificate is self-signed."""
    assert PROGRAM is not None
    home = new_home()
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            ports.append(probe.getsockname()[1])
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    (home / "mail").mkdir()
    keys = _certify(home) if ssl else ""
    configuration = home / "dovecot.conf"
    text = CONFIGURATION.format(
        home=home,
        ssl="yes" if ssl else "no",
        keys=keys,
        user=user.pw_name,
        group=_group(user.pw_gid),
        uid=user.pw_uid,
        gid=user.pw_gid,
        password=PASSWORD,
        port=ports[0],
        tls_port=ports[1] if ssl else 0,
    )
    configuration.write_text(text, encoding="utf-8")
    _set_owner(home / "mail")
    with subprocess.Popen([PROGRAM, "-F", "-c", str(configuration)]) as process:
        try:
            _wait_for(ports[0], process, home)
            yield Dovecot(home, ports[0], ports[1], process)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS)
            process.kill()
    remove_home(home)


def _certify(home: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    # A certificate is valid in real time.
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (home / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (home / "key.pem").write_bytes(private)
    return f"ssl_cert = <{home}/certificate.pem\nssl_key = <{home}/key.pem"


def _group(gid: int) -> str:
    return grp.getgrgid(gid).gr_name


def _set_owner(folder: Path) -> None:
    """Make the server's user the owner of its mail, if the tests run as root."""
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", home: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        log = (home / "log").read_text(encoding="utf-8") if (home / "log").exists() else ""
        assert process.poll() is None, f"the server has ended: {log}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as greeted:
            greeted.settimeout(2)
            if greeted.recv(100).startswith(b"* OK"):
                return
        assert time.monotonic() < deadline, f"the server does not answer: {log}"
        time.sleep(0.02)
