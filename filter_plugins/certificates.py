"""Judges the server's certificate, its key and its authority: as one set, since one alone is of no use."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

#: What cryptography raises for what is no certificate, or one that it cannot use.
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.ExtensionNotFound)

_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
#: How an authority may sign: certificates and lists of revoked ones.
_SIGNS = x509.KeyUsage(
    key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
)  # fmt: skip
#: What an authority may have besides its constraints. Those made before have no purpose (`_SERVERS`).
_HARMLESS = {
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.EXTENDED_KEY_USAGE,
}


class _Fault(Exception):
    """What is wrong, as a sentence without its full stop."""


def certificate_state(
    facts: Mapping[str, Any], *, names: Sequence[str], margin: int, now: float | None = None
) -> dict[str, Any]:
    """Judge what the node has of the server's certificate.

    Args:
        facts: the probe's facts: ``certificate``, ``ca``, ``key_digest``, ``certificate_modes`` and ``time``.
        names: the host names and addresses that the certificate is for, and that its authority may vouch for alone.
        margin: in its last days, so many, a certificate or an authority is as good as at its end.
        now: this machine's time, in seconds since 1970; the clock's where it is left out.

    Returns:
        ``due`` says in one sentence why a new certificate must be made, and is ``""`` where none must. ``broken`` tells
        whether this one does not even serve until then. ``until`` is the day of its end (YYYY-MM-DD), and ``""`` where
        it has none. ``authority`` is the authority's certificate, encoded anew; ``""`` where it is not to be trusted.
    """
    clocks = _clocks(now, facts.get("time"))
    modes = facts["certificate_modes"]
    state = {"due": "", "broken": True, "until": "", "authority": ""}
    try:
        for file in ("ca.crt", "server.crt", "server.key"):
            if file not in modes:
                raise _Fault(f"{file} is missing")
        authority = _authority(_only(facts["ca"], "ca.crt"), names, "ca.crt")
        state["authority"] = _pem(authority)
        server = _only(facts["certificate"], "server.crt")
        _belongs(server, authority, facts["key_digest"], names)
        end = min(authority.not_valid_after_utc, server.not_valid_after_utc)
        state["until"] = f"{end:%Y-%m-%d}"
        _in_time(authority, clocks, "ca.crt")
        _in_time(server, clocks, "server.crt")
        state["broken"] = False
        for file, mode in modes.items():
            _private(file, mode)
        if end < max(clocks) + timedelta(days=margin):
            raise _Fault(f"it ends on {end:%Y-%m-%d}")
    except _Fault as fault:
        state["due"] = str(fault)
    return state


def authorities_in(
    folder: str, *, names: Sequence[str], margin: int, time_there: int, now: float | None = None
) -> dict[str, dict[str, str]]:
    """Read the certificates of authorities that this machine keeps.

    Args:
        folder: where they are, as ``*.crt``.
        names: the host names and addresses that an authority may vouch for alone.
        margin: in its last days, so many, an authority is as good as at its end.
        time_there: the node's time, in seconds since 1970.
        now: this machine's time; the clock's where it is left out.

    Returns:
        For each file ``digest`` (SHA-256 of its bytes; ``""`` where it cannot be read), ``certificate`` (encoded anew;
        ``""`` where it is not to be trusted), and ``problem``, why it can sign nothing more (``""`` where it can).
    """
    found = {}
    for path in sorted(Path(folder).expanduser().glob("*.crt")):
        try:
            # Not of a pipe, which would wait.
            content = path.read_bytes() if path.is_file() else None
        except OSError:
            content = None
        judged = {"digest": "", "certificate": "", "problem": ""}
        if content is not None:
            judged["digest"] = hashlib.sha256(content).hexdigest()
        try:
            text = (content or b"").decode(errors="replace")
            certificate = _authority(_only(text, path.name), names, path.name)
            judged["certificate"] = _pem(certificate)
            clocks = _clocks(now, time_there)
            _in_time(certificate, clocks, path.name)
            if certificate.not_valid_after_utc < max(clocks) + timedelta(days=margin):
                raise _Fault(f"{path.name} ends on {certificate.not_valid_after_utc:%Y-%m-%d}")
        except _Fault as fault:
            judged["problem"] = str(fault)
        found[path.name] = judged
    return found


def _clocks(now: float | None, there: int | None) -> tuple[datetime, datetime]:
    """Return the time on this machine and on the node, which must both find a certificate in its time."""
    here = time.time() if now is None else now
    return datetime.fromtimestamp(here, UTC), datetime.fromtimestamp(there or here, UTC)


def _only(text: str, file: str) -> x509.Certificate:
    """Read the one certificate that a file has, and that it has nothing else beside."""
    if not text.strip():
        raise _Fault(f"{file} is empty or cannot be read")
    try:
        certificate = x509.load_pem_x509_certificate(text.encode(errors="replace"))
        same = "".join(text.split()) == "".join(_pem(certificate).split())
    except _UNREADABLE as error:
        raise _Fault(f"{file} is no certificate") from error
    if not same:
        raise _Fault(f"{file} has more in it than one certificate")
    return certificate


def _authority(certificate: x509.Certificate, names: Iterable[str], file: str) -> x509.Certificate:
    """Require an authority as ours are: for these names alone, and signed by itself."""
    subtrees: list[x509.GeneralName] = [_general(name, ipaddress.ip_network) for name in names]
    wanted = {
        ExtensionOID.BASIC_CONSTRAINTS: x509.BasicConstraints(ca=True, path_length=0),
        ExtensionOID.NAME_CONSTRAINTS: x509.NameConstraints(subtrees, None),
        ExtensionOID.KEY_USAGE: _SIGNS,
    }
    try:
        has = {extension.oid: extension for extension in certificate.extensions}
        certificate.verify_directly_issued_by(certificate)
        public = certificate.public_key()
    except _UNREADABLE as error:
        raise _Fault(f"{file} is no authority") from error
    if not (isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1"):
        raise _Fault(f"{file} has a key of another kind than ours have")
    narrow = all(oid in has and has[oid].critical and has[oid].value == value for oid, value in wanted.items())
    purpose = has.get(ExtensionOID.EXTENDED_KEY_USAGE)
    if not (narrow and set(has) <= {*wanted, *_HARMLESS} and (purpose is None or purpose.value == _SERVERS)):
        raise _Fault(f"{file} may vouch for more than localhost, so it is not ours, and not trusted")
    return certificate


def _belongs(server: x509.Certificate, authority: x509.Certificate, key_digest: str, names: Iterable[str]) -> None:
    """Require a server's certificate that this authority has signed, for this key and these names."""
    try:
        public = server.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if hashlib.sha256(public).hexdigest() != key_digest:
            raise _Fault("server.key cannot be read, or is not the key of server.crt")
        alternative = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        constraints = server.extensions.get_extension_for_class(x509.BasicConstraints).value
    except _UNREADABLE as error:
        raise _Fault("server.crt is no server's certificate") from error
    try:
        server.verify_directly_issued_by(authority)
    except _UNREADABLE as error:
        raise _Fault("server.crt is not signed by ca.crt") from error
    if constraints.ca or ExtendedKeyUsageOID.SERVER_AUTH not in usage:
        raise _Fault("server.crt is no server's certificate")
    if set(alternative) != {_general(name, ipaddress.ip_address) for name in names}:
        raise _Fault("server.crt is for other names")


def _general(name: str, address: Callable[[str], Any]) -> x509.GeneralName:
    """Return a name as certificates have it; an address by what makes it one, or a network of it alone."""
    try:
        return x509.IPAddress(address(name))
    except ValueError:
        return x509.DNSName(name)


def _in_time(certificate: x509.Certificate, clocks: Sequence[datetime], file: str) -> None:
    """Require that both machines find a certificate in its time."""
    if certificate.not_valid_after_utc < max(clocks):
        raise _Fault(f"{file} has ended on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if certificate.not_valid_before_utc > min(clocks):
        raise _Fault(f"{file} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")


def _private(file: str, mode: str) -> None:
    """Require a file that its owner can read, and that others cannot write, nor read where it is the key."""
    bits = int(mode, 8)
    if not bits & 0o400 or bits & (0o077 if file == "server.key" else 0o022):
        raise _Fault(f"{file} has mode {mode}")


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


class FilterModule:
    """Filters for the tls_cert role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"authorities_in": authorities_in, "certificate_state": certificate_state}
