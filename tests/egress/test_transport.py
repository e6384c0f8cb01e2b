"""The transport against servers on this machine: addresses, deadlines, and limits of answers."""

import asyncio
import gzip
import ssl
import zlib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from egress.addresses import LOOPBACK
from egress.errors import AnswerRefused, DeadlineExceeded, RefusedConnection
from egress.policy import EgressPolicy
from egress.transport import CallLimits, GuardedTransport
from everlytic import errors
from everlytic.client import EverlyticClient
from tests.egress.hostile import Answer, answering, repeating, sending
from tests.everlytic.mails import make_mail

pytestmark = pytest.mark.anyio

LIMIT = 10_000
LOCAL = EgressPolicy(LOOPBACK)
GENEROUS = CallLimits(seconds=20.0, connect_seconds=5.0, max_bytes=LIMIT)


def http(policy: EgressPolicy = LOCAL, limits: CallLimits = GENEROUS) -> httpx.AsyncClient:
    """Return a client with the transport."""
    return httpx.AsyncClient(transport=GuardedTransport(policy, limits, max_connections=2), timeout=20.0)


def everlytic(client: httpx.AsyncClient, url: str) -> EverlyticClient:
    """Return a client of Everlytic at a URL."""
    return EverlyticClient(client, transactional_url=url, tenant_url=url, username="u", api_key="k")


async def get(answer: Answer, limits: CallLimits = GENEROUS) -> httpx.Response:
    """Return the answer of a server that answers so."""
    async with answering(answer) as (port, _), http(limits=limits) as client:
        return await client.get(f"http://127.0.0.1:{port}/")


async def test_an_address_that_is_not_allowed_gets_no_byte() -> None:
    """A call to this machine is refused without a connection when no network is allowed."""
    async with answering(sending("200 OK", b"secret")) as (port, heads), http(EgressPolicy()) as client:
        with pytest.raises(RefusedConnection, match="not allowed"):
            await client.get(f"http://127.0.0.1:{port}/")
        with pytest.raises(errors.Unreachable, match=r"nothing was sent: The host 127\.0\.0\.1 has an address"):
            await everlytic(client, f"http://127.0.0.1:{port}").send(make_mail())
    assert heads == []


async def test_a_name_is_resolved_once_for_each_connection() -> None:
    """A connection goes to the address that was checked; when the name changes, the next connection is refused."""
    lookups = []

    def look_up(name: str) -> list[str]:
        lookups.append(name)
        return ["127.0.0.1"] if len(lookups) == 1 else ["127.0.0.2"]

    policy = EgressPolicy((ip_network("127.0.0.1/32"),), look_up)
    closing = sending("200 OK", b"{}", "connection: close")
    async with answering(closing) as (port, heads), http(policy) as client:
        assert (await client.get(f"http://rebinding.example:{port}/")).status_code == 200
        with pytest.raises(RefusedConnection):
            await client.get(f"http://rebinding.example:{port}/")
    assert lookups == ["rebinding.example"] * 2
    assert f"host: rebinding.example:{port}".encode() in heads[0].lower()


async def test_tls_verifies_the_name_and_not_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TLS the certificate must be for the name of the URL, although the connection goes to a checked address."""
    server = make_certificate(tmp_path, "provider.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    policy = EgressPolicy(LOOPBACK, lambda _name: ["127.0.0.1"])
    async with answering(sending("200 OK", b"{}"), server) as (port, _), http(policy) as client:
        assert (await client.get(f"https://provider.example:{port}/")).status_code == 200
        with pytest.raises(errors.Unreachable) as refused:
            await everlytic(client, f"https://other.example:{port}").send(make_mail())
    assert str(refused.value).endswith("nothing was sent: its certificate cannot be trusted.")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1])
async def test_the_limit_of_a_decompressed_answer(encoding: str, size: int) -> None:
    """An answer is decompressed up to the limit, and one byte more is refused."""
    body = gzip.compress(b"x" * size) if encoding == "gzip" else zlib.compress(b"x" * size)
    answer = sending("200 OK", body, f"content-encoding: {encoding}")
    if size <= LIMIT:
        assert (await get(answer)).content == b"x" * size
        return
    with pytest.raises(AnswerRefused, match="decompressed"):
        await get(answer)


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1])
async def test_the_limit_of_a_plain_answer(size: int) -> None:
    """An answer is read up to the limit, and one byte more is refused."""
    answer = sending("200 OK", b"x" * size)
    if size <= LIMIT:
        assert len((await get(answer)).content) == size
        return
    with pytest.raises(AnswerRefused, match=f"more than {LIMIT} bytes"):
        await get(answer)


async def test_a_bomb_takes_no_memory() -> None:
    """Of 300 MB in a small compressed answer, no more than the limit is decompressed."""
    compressor = zlib.compressobj(wbits=31)
    bomb = b"".join(compressor.compress(bytes(1024**2)) for _ in range(300)) + compressor.flush()
    limits = CallLimits(seconds=20.0, max_bytes=1024**2)
    with pytest.raises(AnswerRefused, match="decompressed"):
        await get(sending("200 OK", bomb, "content-encoding: gzip"), limits)


@pytest.mark.parametrize(
    ("body", "encoding"), [(b"{}", "gzip"), (gzip.compress(b"{}")[:-1], "gzip"), (b"{}", "br"), (b"{}", "gzip, gzip")]
)
async def test_an_encoding_that_cannot_be_read(body: bytes, encoding: str) -> None:
    """An answer that is not encoded as it says, or in a way that was not requested, is refused."""
    with pytest.raises(AnswerRefused, match="encod"):
        await get(sending("200 OK", body, f"content-encoding: {encoding}"))


async def test_an_endless_answer_ends() -> None:
    """A body without an end is given up at the limit."""
    with pytest.raises(AnswerRefused):
        await get(repeating(b"x" * 1000))


async def test_a_drip_ends_at_the_deadline() -> None:
    """A server that sends a byte at a time, faster than any time-out between bytes, is given up at the deadline."""
    limits = CallLimits(seconds=0.4, max_bytes=LIMIT)
    with pytest.raises(DeadlineExceeded, match=r"within 0\.4 s"):
        await get(repeating(b"x", 0.02), limits)
    async with answering(repeating(b"x", 0.02)) as (port, _), http(limits=limits) as client:
        with pytest.raises(errors.TimedOut):
            await everlytic(client, f"http://127.0.0.1:{port}").send(make_mail())


async def test_a_redirect_is_not_followed() -> None:
    """A redirect, also to the metadata of a cloud, is the answer; no second request is made."""
    location = "location: http://169.254.169.254/latest/meta-data/"
    async with answering(sending("302 Found", b"", location)) as (port, heads), http() as client:
        with pytest.raises(errors.UnrecognisedResponse, match="answered 302"):
            await everlytic(client, f"http://127.0.0.1:{port}").send(make_mail())
        with pytest.raises(errors.UnrecognisedResponse, match="answered 302"):
            await everlytic(client, f"http://127.0.0.1:{port}").get_transaction("1")
    assert len(heads) == 2


@pytest.mark.parametrize(
    "answer",
    [
        sending("400 Bad Request", b'{"error": {"message": "hunter2", "code": "hunter2"}}'),
        sending("401 hunter2", b'{"message": "hunter2"}'),
        sending("429 Too Many Requests", b"hunter2"),
        sending("500 hunter2", b"hunter2", "x-hunter2: hunter2"),
        sending("302 Found", b"hunter2", "location: http://hunter2/"),
        sending("200 OK", b'{"hunter2": 1}'),
        sending("200 OK", b'{"item": {"hunter2": 1}}'),
        sending("400 Bad", b'{"error": {"errors": [{"location": "hunter2", "reason": "invalid"}]}}'),
    ],
)  # fmt: skip
async def test_nothing_that_a_server_says_is_shown(answer: Answer) -> None:
    """The sentence of an error has the status and the length of the answer, and none of its words."""
    async with answering(answer) as (port, _), http() as client:
        provider = everlytic(client, f"http://127.0.0.1:{port}")
        for call in (provider.send(make_mail()), provider.get_transaction("1"), provider.list_webhooks()):
            with pytest.raises(errors.EverlyticError) as failed:
                await call
            assert "hunter2" not in str(failed.value)


async def test_a_banner_of_another_protocol_is_not_shown() -> None:
    """A server that does not speak HTTP is not quoted."""

    async def greet(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-hunter2\r\n\r\n")
        writer.close()

    async with answering(greet) as (port, _), http() as client:
        with pytest.raises(errors.ConnectionLost) as failed:
            await everlytic(client, f"http://127.0.0.1:{port}").send(make_mail())
    assert str(failed.value) == "The connection to Everlytic broke."


def make_certificate(folder: Path, name: str) -> ssl.SSLContext:
    """Write a certificate of its own for a name, and return the context of a server that has it."""
    key, subject = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
    )
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return context
