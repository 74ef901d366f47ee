"""Signs a request with the person's own authority, which is made, restored or replaced first where it cannot sign."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: How far two clocks may be apart, in seconds. What is valid by both is so much longer valid, and browsers accept no
#: more than 398 days, which are the longest tls_cert_days, the hour before, and this.
APART = 23 * 3600

_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature)
_EXTENSION = tuple[x509.ExtensionType, bool]


class Refused(Exception):
    """What is wrong, and the remedy."""


def both_clocks(here: float, there: float) -> tuple[datetime, datetime]:
    """Return the earlier and the later of two clocks, which must be near each other."""
    if abs(here - there) > APART:
        raise Refused(
            f"The clock of this machine says {datetime.fromtimestamp(here, UTC):%Y-%m-%d %H:%M} UTC, and that of the "
            f"node {datetime.fromtimestamp(there, UTC):%Y-%m-%d %H:%M} UTC: no certificate is in its time on both. Set "
            "the one that is wrong."
        )
    return datetime.fromtimestamp(min(here, there), UTC), datetime.fromtimestamp(max(here, there), UTC)


def make_authority(
    names: Sequence[str], clocks: tuple[datetime, datetime], days: int
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Make an authority that can vouch for these names, as TLS servers, and for nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A name may have 64 characters.
    name = f"Jupyter on a cluster, {os.environ.get('USER') or 'me'}"[:64]
    subtrees: list[x509.GeneralName] = [_general(name, ipaddress.ip_network) for name in names]
    extensions: list[_EXTENSION] = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_key_usage(key_cert_sign=True, crl_sign=True), True),
        (x509.NameConstraints(subtrees, None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    times = clocks[0] - timedelta(days=1), clocks[1] + timedelta(days=days)
    return key, _build(subject, subject, key.public_key(), times, extensions, key)


def sign(
    request: str,
    authority: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    clocks: tuple[datetime, datetime],
    days: int,
) -> x509.Certificate:
    """Sign a server's certificate for the key of a request, and see that it belongs to both."""
    try:
        asked = x509.load_pem_x509_csr(request.encode())
        public, valid = asked.public_key(), asked.is_signature_valid
    except _UNREADABLE:
        public, valid = None, False
    if not (valid and isinstance(public, ec.EllipticCurvePublicKey)):
        raise Refused("The request that the node has made is damaged. Run this again.")
    alternative = [_general(name, ipaddress.ip_address) for name in names]
    issuer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    extensions: list[_EXTENSION] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(alternative), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), False),
    ]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    # An hour earlier, since a third machine's clock may be behind.
    begin = clocks[0] - timedelta(hours=1)
    end = min(clocks[1] + timedelta(days=days), authority.not_valid_after_utc)
    certificate = _build(subject, authority.subject, public, (begin, end), extensions, key)
    certificate.verify_directly_issued_by(authority)
    return certificate


class Folder:
    """The authority's folder on this machine."""

    def __init__(self, path: str) -> None:
        """Make it, if it is not there."""
        self.path = Path(path)
        self.key, self.certificate = self.path / "ca.key", self.path / "ca.crt"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out, which takes no longer than a moment."""
        lock = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Refused(f"Another run is using the authority in {self.path}. Run this again.") from error
        finally:
            os.close(lock)

    def digest(self) -> str:
        """Return the SHA-256 of the authority's certificate as it is now."""
        return hashlib.sha256(self.certificate.read_bytes()).hexdigest() if self.certificate.is_file() else ""

    def read_key(self) -> tuple[ec.EllipticCurvePrivateKey | None, str]:
        """Return the authority's key, or why there is none."""
        if not self.key.is_file():
            return None, "ca.key is missing"
        if self.key.stat().st_mode & 0o077:
            self.key.chmod(0o600)
        content = self.key.read_bytes()
        if b"ENCRYPTED" in content:
            raise Refused(
                f"{self.key} is encrypted. Take its passphrase away (openssl pkey -in ca.key -out ca.key.plain), or "
                "move the folder away, and this makes another authority."
            )
        try:
            key = load_pem_private_key(content, None)
        except _UNREADABLE:
            return None, "ca.key is no private key"
        return (key, "") if isinstance(key, ec.EllipticCurvePrivateKey) else (None, "ca.key is of another kind")

    def signed_for(self) -> list[str]:
        """Return the hosts whose server has this authority's certificate, as far as this machine has seen them."""
        if not self.certificate.is_file():
            return []
        content, others = self.certificate.read_bytes(), set(self.path.glob("*.crt")) - {self.certificate}
        return sorted(path.stem for path in others if path.is_file() and path.read_bytes() == content)

    def put_aside(self) -> str:
        """Move an authority that cannot sign to a folder of its own; return that, or nothing where there is none."""
        there = [path for path in (self.key, self.certificate) if os.path.lexists(path)]
        if not there:
            return ""
        aside = self.aside()
        for path in there:
            path.rename(Path(aside, path.name))
        return aside

    def aside(self) -> str:
        """Make a folder for what is in the way."""
        return tempfile.mkdtemp(prefix=f"replaced-{datetime.now(UTC):%Y-%m-%d}-", dir=self.path)

    def write(self, key: ec.EllipticCurvePrivateKey, authority: x509.Certificate) -> None:
        """Write a new authority."""
        content = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        _write(self.key, content, 0o600)
        self.write_certificate(authority)

    def write_certificate(self, authority: x509.Certificate) -> None:
        """Write the authority's certificate; a folder in its place is kept."""
        if self.certificate.is_dir():
            self.certificate.rename(Path(self.aside(), self.certificate.name))
        _write(self.certificate, authority.public_bytes(Encoding.PEM), 0o644)


def ready(
    folder: Folder, parameters: dict[str, Any], clocks: tuple[datetime, datetime]
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate, dict[str, Any]]:
    """Return the authority's key and certificate, made or mended where it must be, and what has been replaced."""
    if folder.digest() != parameters["digest"]:
        raise Refused(f"Another run has just changed {folder.certificate}. Run this again.")
    key, problem = folder.read_key()
    for pem in parameters["authorities"] if key else []:
        authority = x509.load_pem_x509_certificate(pem.encode())
        if key and authority.public_key() == key.public_key():
            if parameters["problem"] or not parameters["digest"]:
                folder.write_certificate(authority)
            return key, authority, {"replaced": "", "kept": "", "signed_for": []}
    missing = "" if parameters["digest"] else "ca.crt is missing"
    problem = problem or parameters["problem"] or missing or "ca.key and ca.crt do not belong together"
    signed_for, kept = folder.signed_for(), folder.put_aside()
    key, authority = make_authority(parameters["names"], clocks, parameters["authority_days"])
    folder.write(key, authority)
    return key, authority, {"replaced": problem if kept else "", "kept": kept, "signed_for": signed_for}


def sign_request(parameters: dict[str, Any], now: float) -> dict[str, Any]:
    """Do what the task does."""
    clocks = both_clocks(now, parameters["time_there"])
    folder = Folder(parameters["folder"])
    with folder.alone():
        key, authority, replaced = ready(folder, parameters, clocks)
    certificate = sign(parameters["request"], authority, key, parameters["names"], clocks, parameters["days"])
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "certificate": certificate.public_bytes(Encoding.PEM).decode(),
        "authority": authority.public_bytes(Encoding.PEM).decode(),
        "key_digest": hashlib.sha256(public).hexdigest(),
        **replaced,
    }


def _build(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    times: tuple[datetime, datetime],
    extensions: Sequence[_EXTENSION],
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    builder = x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
    builder = builder.not_valid_before(times[0]).not_valid_after(times[1])
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def _key_usage(**chosen: bool) -> x509.KeyUsage:
    usages = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{**dict.fromkeys(usages, False), **chosen})


def _general(name: str, address: Callable[[str], Any]) -> x509.GeneralName:
    """Return a name as certificates have it; an address by what makes it one, or a network of it alone."""
    try:
        return x509.IPAddress(address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file in one step, with its mode from the first byte on."""
    new = path.with_name(f"{path.name}.next")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types.
    """The task ``localhost_certificate``."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Sign, on the laptop, whatever host the task is for."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = dict(self._task.args)
        numbers = {name: int(given[name]) for name in ("days", "authority_days", "time_there")}
        texts = {name: [str(text) for text in given[name]] for name in ("names", "authorities")}
        try:
            return {**result, "changed": True, **sign_request({**given, **numbers, **texts}, time.time())}
        except Refused as refused:
            return {**result, "failed": True, "msg": str(refused)}
        except OSError as error:
            return {**result, "failed": True, "msg": f"The authority in {given['folder']} cannot be used: {error}"}
