"""The server's certificate is judged whole, and signed by an authority for localhost alone."""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import ipaddress
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import localhost_certificate
import pytest
from certificates import authorities_in, certificate_state
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from localhost_certificate import ActionModule, Refused, sign_request
from node.certificate import found
from node.folder import Folder

NAMES = ["localhost", "127.0.0.1", "::1"]
NOW = 1795480000
DAY = 86400
OTHER_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
Key = ec.EllipticCurvePrivateKey


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def key_pem(key: Key | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def digest(key: Key) -> str:
    return hashlib.sha256(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def request(key: Any, name: x509.Name = OTHER_NAME, *extensions: x509.ExtensionType) -> str:
    builder = x509.CertificateSigningRequestBuilder(name)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def usage(*chosen: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in chosen for name in names})


OUR_NAMES: list[x509.GeneralName] = [
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_network("127.0.0.1/32")),
    x509.IPAddress(ipaddress.ip_network("::1/128")),
]
#: An authority from before there was a purpose: its extensions, in their order then.
OLD: dict[str, tuple[x509.ExtensionType, bool]] = {
    "usage": (usage("key_cert_sign", "crl_sign"), True),
    "constraints": (x509.BasicConstraints(ca=True, path_length=0), True),
    "names": (x509.NameConstraints(OUR_NAMES, None), True),
}


def an_authority(days: float = 3650, key: Any = None, signer: Any = None, **changed: Any) -> x509.Certificate:
    """An authority as an older version has made it, with some extensions otherwise, more, or (None) left out."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Jupyter on a cluster, me")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    begin = datetime.fromtimestamp(NOW - DAY, UTC)
    builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=days + 1))
    for extension in {**OLD, **changed}.values():
        if extension:
            builder = builder.add_extension(*extension)
    own = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return own.sign(signer or key, hashes.SHA256())


class Machine:
    """A person's machine with its authority, and a node whose clock is its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node_key = ec.generate_private_key(ec.SECP256R1())

    def here(self, now: float = NOW, there: float = NOW) -> dict[str, dict[str, str]]:
        return authorities_in(str(self.folder), names=NAMES, margin=30, time_there=int(there), now=now)

    def told(self, now: float = NOW, there: float = NOW, **told: Any) -> dict[str, Any]:
        """What the role tells the task."""
        here = self.here(now, there)
        own = here.get("ca.crt", {"digest": "", "certificate": "", "problem": ""})
        usable = [file["certificate"] for file in [own, *here.values()] if file["certificate"] and not file["problem"]]
        return {
            "folder": str(self.folder),
            "request": request(self.node_key),
            "names": NAMES,
            "days": 365,
            "authority_days": 3650,
            "time_there": int(there),
            "authorities": usable,
            "digest": own["digest"],
            "problem": own["problem"],
            **told,
        }

    def sign(self, now: float = NOW, there: float = NOW, **told: Any) -> dict[str, Any]:
        """Sign as the role does."""
        return sign_request(self.told(now, there, **told), now)

    def facts(self, signed: dict[str, Any], there: float = NOW) -> dict[str, Any]:
        """What the probe would say of the whole set."""
        return {
            "certificate": signed["certificate"],
            "ca": signed["authority"],
            "key_digest": signed["key_digest"],
            "certificate_modes": {"server.key": "600", "server.crt": "644", "ca.crt": "644"},
            "time": int(there),
        }

    def set_authority(self, certificate: x509.Certificate, key: Any) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "ca.key").write_bytes(key_pem(key))
        (self.folder / "ca.crt").write_text(pem(certificate))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "ca")


def judge(facts: dict[str, Any], now: float = NOW) -> dict[str, Any]:
    return certificate_state(facts, names=NAMES, margin=30, now=now)


def read(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


# What is signed.


def test_what_is_signed_serves(machine: Machine) -> None:
    signed = machine.sign()
    facts = machine.facts(signed)
    assert signed["key_digest"] == digest(machine.node_key)
    assert judge(facts) == {"due": "", "broken": False, "until": "2027-11-24", "authority": signed["authority"]}
    assert (machine.folder / "ca.crt").read_text() == signed["authority"]
    assert machine.sign()["authority"] == signed["authority"]


def test_a_server_s_certificate_has_what_it_always_had(machine: Machine) -> None:
    certificate = read(machine.sign()["certificate"])
    assert certificate.subject == OTHER_NAME
    assert certificate.not_valid_before_utc.timestamp() == NOW - 3600
    assert certificate.not_valid_after_utc.timestamp() == NOW + 365 * DAY
    assert {(type(found.value), found.critical) for found in certificate.extensions} == {
        (x509.BasicConstraints, True),
        (x509.KeyUsage, True),
        (x509.ExtendedKeyUsage, False),
        (x509.SubjectAlternativeName, False),
        (x509.SubjectKeyIdentifier, False),
        (x509.AuthorityKeyIdentifier, False),
    }
    extension = certificate.extensions.get_extension_for_class
    assert extension(x509.KeyUsage).value == usage("digital_signature")
    assert list(extension(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert [str(name.value) for name in extension(x509.SubjectAlternativeName).value] == NAMES


def test_a_new_authority_is_as_those_before_and_for_servers_only(machine: Machine) -> None:
    authority = read(machine.sign()["authority"])
    assert authority.not_valid_before_utc.timestamp() == NOW - DAY
    assert authority.not_valid_after_utc.timestamp() == NOW + 3650 * DAY
    extensions = {type(found.value): found for found in authority.extensions}
    for value, critical in OLD.values():
        assert extensions.pop(type(value)).value == value
        assert critical
    purpose = extensions.pop(x509.ExtendedKeyUsage).value
    assert isinstance(purpose, x509.ExtendedKeyUsage)
    assert list(purpose) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert set(extensions) == {x509.SubjectKeyIdentifier}


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_takes_it_for_a_server_alone(machine: Machine, tmp_path: Path, purpose: str) -> None:
    signed = machine.sign(now=datetime.now(UTC).timestamp(), there=datetime.now(UTC).timestamp())
    (tmp_path / "server.crt").write_text(signed["certificate"])
    verified = subprocess.run(
        ["openssl", "verify", "-CAfile", machine.folder / "ca.crt", "-purpose", purpose, tmp_path / "server.crt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode == 0) == (purpose == "sslserver"), verified.stderr


def test_of_a_request_the_key_alone_counts(machine: Machine) -> None:
    wide = request(
        machine.node_key,
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bank.example.org")]),
        x509.SubjectAlternativeName([x509.DNSName("bank.example.org")]),
        x509.BasicConstraints(ca=True, path_length=None),
    )
    certificate = read(machine.sign(request=wide)["certificate"])
    assert "bank" not in str(certificate.subject)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert judge(machine.facts(machine.sign(request=wide)))["due"] == ""


@pytest.mark.parametrize("damage", ["empty", "cut", "forged", "rsa"])
def test_a_request_that_is_damaged_is_not_signed(machine: Machine, damage: str) -> None:
    asked = request(machine.node_key)
    damages: dict[str, Callable[[], str]] = {
        "empty": lambda: "",
        "cut": lambda: asked[: len(asked) // 2],
        "forged": lambda: forged(asked),
        "rsa": lambda: request(rsa.generate_private_key(65537, 2048)),
    }
    damaged = damages[damage]()
    with pytest.raises(Refused, match=r"^The request that the node has made is damaged\. Run this again\.$"):
        machine.sign(request=damaged)


def forged(asked: str) -> str:
    """Change a request's signature."""
    body = bytearray(base64.b64decode("".join(asked.splitlines()[1:-1])))
    body[-1] ^= 1
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.encodebytes(bytes(body)).decode()}" + (
        "-----END CERTIFICATE REQUEST-----\n"
    )


# What the node has is judged whole.

Damage = Callable[[dict[str, Any], "Machine", Path], None]


def _file(fact: str, change: Callable[[str], str]) -> Damage:
    return lambda facts, machine, folder: facts.update({fact: change(facts[fact])})


def _mode(file: str, mode: str | None) -> Damage:
    def harm(facts: dict[str, Any], machine: Machine, folder: Path) -> None:
        facts["certificate_modes"].pop(file)
        if mode:
            facts["certificate_modes"][file] = mode

    return harm


def _other_machine(*taken: str) -> Damage:
    """Some of the set of another machine that has renewed it, as one that was cut has left it."""

    def harm(facts: dict[str, Any], machine: Machine, folder: Path) -> None:
        other = Machine(folder / "other")
        there = other.facts(other.sign())
        facts.update({fact: there[fact] for fact in taken})

    return harm


def _signed_by(**changed: Any) -> Damage:
    """A whole set, by an authority that is not as ours are."""

    def harm(facts: dict[str, Any], machine: Machine, folder: Path) -> None:
        key = changed.get("key") or ec.generate_private_key(ec.SECP256R1())
        authority = an_authority(**{**changed, "key": key})
        facts["ca"] = pem(authority)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        server = read(facts["certificate"])
        builder = x509.CertificateBuilder(authority.subject, server.subject, server.public_key(), server.serial_number)
        builder = builder.not_valid_before(server.not_valid_before_utc).not_valid_after(server.not_valid_after_utc)
        for extension in server.extensions:
            value = extension.value if not isinstance(extension.value, x509.AuthorityKeyIdentifier) else issuer
            builder = builder.add_extension(value, extension.critical)
        facts["certificate"] = pem(builder.sign(key, hashes.SHA256()))

    return harm


MORE = "ca.crt may vouch for more than localhost, so it is not ours, and not trusted"
TWO = "has more in it than one certificate"
GARBAGE = bytes(range(256)).decode(errors="replace")
OPEN_AUTHORITY: dict[str, Any] = dict.fromkeys(OLD)


@pytest.mark.parametrize(
    ("harm", "due"),
    [
        (_mode("server.key", None), "server.key is missing"),
        (_mode("server.crt", None), "server.crt is missing"),
        (_mode("ca.crt", None), "ca.crt is missing"),
        (_file("certificate", lambda _: ""), "server.crt is empty or cannot be read"),
        (_file("ca", lambda _: ""), "ca.crt is empty or cannot be read"),
        (_file("certificate", lambda _: GARBAGE), "server.crt is no certificate"),
        (_file("ca", lambda _: GARBAGE), "ca.crt is no certificate"),
        (_file("certificate", lambda text: text[:300]), "server.crt is no certificate"),
        (_file("ca", lambda text: text.replace("M", "N", 3)), "ca.crt is no certificate"),
        (_file("certificate", lambda text: text[:300] + "A" * 20 + text[320:]), None),
        (_file("ca", lambda text: text + pem(an_authority(**OPEN_AUTHORITY))), f"ca.crt {TWO}"),
        (_file("ca", lambda text: pem(an_authority(**OPEN_AUTHORITY)) + text), None),
        (_file("ca", lambda text: "# mine\n" + text), f"ca.crt {TWO}"),
        (_file("certificate", lambda text: text + text), f"server.crt {TWO}"),
        (_file("key_digest", lambda _: hashlib.sha256().hexdigest()), None),
        (_file("key_digest", lambda _: ""), "server.key cannot be read, or is not the key of server.crt"),
        (_other_machine("ca"), "server.crt is not signed by ca.crt"),
        (_other_machine("ca", "key_digest"), "server.key cannot be read, or is not the key of server.crt"),
        (_other_machine("ca", "certificate"), "server.key cannot be read, or is not the key of server.crt"),
        (_other_machine("certificate", "key_digest"), "server.crt is not signed by ca.crt"),
        (_file("certificate", lambda _: pem(an_authority())), None),
        (_signed_by(names=None), MORE),
        (_signed_by(names=(OLD["names"][0], False)), MORE),
        (_signed_by(names=(x509.NameConstraints([x509.DNSName("localhost")], None), True)), MORE),
        (
            _signed_by(names=(x509.NameConstraints([*OUR_NAMES, x509.DNSName("x")], None), True)),
            MORE,
        ),
        (_signed_by(constraints=(x509.BasicConstraints(ca=True, path_length=None), True)), MORE),
        (_signed_by(constraints=(x509.BasicConstraints(ca=True, path_length=1), True)), MORE),
        (_signed_by(constraints=(x509.BasicConstraints(ca=True, path_length=0), False)), MORE),
        (_signed_by(usage=None), MORE),
        (_signed_by(usage=(usage("key_cert_sign", "digital_signature"), True)), MORE),
        (_signed_by(purpose=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)), MORE),
        (_signed_by(more=(x509.PolicyConstraints(0, None), True)), MORE),
        (_signed_by(signer=ec.generate_private_key(ec.SECP256R1())), "ca.crt is no authority"),
        (_signed_by(key=rsa.generate_private_key(65537, 2048)), "ca.crt has a key of another kind than ours have"),
        (_signed_by(days=-0.5), "ca.crt has ended on 2026-11-23"),
        (_mode("server.key", "644"), "server.key has mode 644"),
        (_mode("server.key", "0"), "server.key has mode 0"),
        (_mode("server.crt", "666"), "server.crt has mode 666"),
        (_mode("server.crt", "0"), "server.crt has mode 0"),
        (_mode("ca.crt", "620"), "ca.crt has mode 620"),
    ],
)
def test_a_set_that_is_damaged_is_due(machine: Machine, tmp_path: Path, harm: Damage, due: str | None) -> None:
    facts = machine.facts(machine.sign())
    harm(facts, machine, tmp_path)
    judged = judge(facts)
    assert judged["due"] == due if due else judged["due"]
    assert judged["broken"] == (" has mode " not in judged["due"])
    # What is not trusted is not handed on.
    if judged["authority"]:
        assert judged["authority"] == facts["ca"]
        assert not judged["due"].startswith("ca.crt") or "ended" in judged["due"] or "mode" in judged["due"]
    # And the next run mends it, by whichever machine.
    assert judge(machine.facts(machine.sign()))["due"] == ""


@pytest.mark.parametrize("mode", ["600", "400"])
def test_narrower_modes_serve(machine: Machine, mode: str) -> None:
    facts = machine.facts(machine.sign())
    facts["certificate_modes"] = dict.fromkeys(facts["certificate_modes"], mode)
    assert judge(facts)["due"] == ""


@given(st.binary(max_size=400), st.sampled_from(["certificate", "ca", "key_digest"]))
def test_whatever_is_in_a_file_is_judged(content: bytes, fact: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    facts = {
        "certificate": pem(an_authority(key=key)),
        "ca": pem(an_authority()),
        "key_digest": digest(key),
        "certificate_modes": {"server.key": "600", "server.crt": "644", "ca.crt": "644"},
        "time": NOW,
    }
    judged = judge({**facts, fact: content.decode(errors="replace")})
    assert judged["due"]
    assert judged["broken"]


def test_a_look_tells_of_whatever_is_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "server.crt").write_bytes(bytes(range(256)))
    (tmp_path / "server.crt").chmod(0o644)
    os.mkfifo(tmp_path / "ca.crt", 0o644)
    (tmp_path / "server.key").write_text("garbage")
    (tmp_path / "server.key").chmod(0o600)
    (tmp_path / "tls.Ab12Cd").mkdir()
    (tmp_path / "server.key.next").touch()
    facts = {**found(Folder(str(tmp_path)), shutil.which("openssl") or ""), "time": NOW}
    assert facts["certificate_modes"] == {"server.key": "600", "server.crt": "644", "ca.crt": "644"}
    assert facts["certificate_leftovers"] == ["server.key.next", "tls.Ab12Cd"]
    assert facts["key_digest"] == ""
    assert judge(facts)["due"] == "ca.crt is empty or cannot be read"
    assert judge({**facts, "ca": pem(an_authority())})["due"] == "server.crt is no certificate"


def test_an_authority_without_a_purpose_stays_good(machine: Machine) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    machine.set_authority(an_authority(key=key), key)
    signed = machine.sign()
    assert (signed["replaced"], signed["authority"]) == ("", pem(an_authority_in(machine)))
    assert judge(machine.facts(signed))["due"] == ""
    assert judge(machine.facts(signed))["authority"] == signed["authority"]


def an_authority_in(machine: Machine) -> x509.Certificate:
    return read((machine.folder / "ca.crt").read_text())


@pytest.mark.parametrize(
    ("days", "due", "broken"),
    [
        (334, "", False),
        (336, "it ends on 2027-11-24", False),
        (364, "it ends on 2027-11-24", False),
        (366, "server.crt has ended on 2027-11-24", True),
    ],
)
def test_its_last_days(machine: Machine, days: int, due: str, broken: bool) -> None:
    later = NOW + days * DAY
    facts = machine.facts(machine.sign(), there=later)
    judged = judge(facts, now=later)
    assert (judged["due"], judged["broken"]) == (due, broken)
    # By either clock.
    assert judge({**facts, "time": NOW}, now=later)["due"] == due
    assert judge(facts, now=NOW)["due"] == due


# Clocks.


@pytest.mark.parametrize("ahead", [-22, -2, 0, 2, 22])
def test_clocks_that_are_hours_apart(machine: Machine, ahead: int) -> None:
    here = NOW + ahead * 3600
    facts = machine.facts(machine.sign(now=here, there=NOW))
    certificate, authority = read(facts["certificate"]), read(facts["ca"])
    for clock in (here, NOW):
        moment = datetime.fromtimestamp(clock, UTC)
        for each in (certificate, authority):
            assert each.not_valid_before_utc <= moment <= each.not_valid_after_utc
        assert judge({**facts, "time": NOW}, now=here)["due"] == ""
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < timedelta(days=398)


@pytest.mark.parametrize(("here", "there"), [(NOW, NOW - 2 * DAY), (0, NOW), (NOW, 0)])
def test_clocks_that_are_days_apart_are_refused(machine: Machine, here: int, there: int) -> None:
    with pytest.raises(Refused, match=r"^The clock of this machine says .* UTC, and that of the node .* UTC: no "):
        machine.sign(now=here, there=there)
    assert not machine.folder.exists()


def test_one_that_is_not_valid_yet_by_the_node_s_clock_is_due(machine: Machine) -> None:
    facts = machine.facts(machine.sign(), there=NOW - 2 * 3600)
    assert judge(facts)["due"] == "server.crt is not valid before 2026-11-23 23:26 UTC"
    again = machine.facts(machine.sign(there=NOW - 2 * 3600), there=NOW - 2 * 3600)
    assert judge(again)["due"] == ""


# The authority on the laptop.


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda folder: (folder / "ca.key").unlink(), "ca.key is missing"),
        (lambda folder: (folder / "ca.key").write_bytes(b"\xff\0" * 99), "ca.key is no private key"),
        (lambda folder: (folder / "ca.key").write_bytes(b""), "ca.key is no private key"),
        (
            lambda folder: (folder / "ca.key").write_bytes((folder / "ca.key").read_bytes()[:99]),
            "ca.key is no private key",
        ),
        (
            lambda folder: (folder / "ca.key").write_bytes(key_pem(rsa.generate_private_key(65537, 2048))),
            "ca.key is of another kind",
        ),
        (
            lambda folder: (folder / "ca.key").write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1()))),
            "ca.key and ca.crt do not belong together",
        ),
        (lambda folder: (folder / "ca.crt").write_bytes(b"\xff\0" * 99), "ca.crt is no certificate"),
        (lambda folder: (folder / "ca.crt").unlink(), "ca.crt is missing"),
        (
            lambda folder: (folder / "ca.crt").write_text(pem(an_authority(**OPEN_AUTHORITY))),
            MORE,
        ),
        (lambda folder: ((folder / "ca.key").unlink(), (folder / "ca.key").mkdir()), "ca.key is missing"),
        (
            lambda folder: ((folder / "ca.crt").unlink(), (folder / "ca.crt").mkdir()),
            "ca.crt is empty or cannot be read",
        ),
    ],
)
def test_an_authority_that_cannot_sign_is_replaced_and_kept(
    machine: Machine, harm: Callable[[Path], object], why: str
) -> None:
    machine.sign()
    harm(machine.folder)
    there = {path.name for path in machine.folder.iterdir()}
    signed = machine.sign()
    assert signed["replaced"] == why
    assert {path.name for path in Path(signed["kept"]).iterdir()} == there
    assert Path(signed["kept"]).stat().st_mode & 0o777 == 0o700
    assert judge(machine.facts(signed))["due"] == ""
    assert machine.sign()["replaced"] == ""


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\0" * 99),
        lambda path: path.write_text(path.read_text()[:300]),
        lambda path: path.write_text(path.read_text() + pem(an_authority(**OPEN_AUTHORITY))),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["gone", "empty", "garbage", "cut", "with another", "a folder"],
)
def test_an_authority_whose_certificate_is_damaged_gets_it_back(
    machine: Machine, harm: Callable[[Path], object]
) -> None:
    """From what was kept of a node's, so that no browser has to be told."""
    before = machine.sign()["authority"]
    (machine.folder / "hydra08i.example.org.crt").write_text(before)
    harm(machine.folder / "ca.crt")
    signed = machine.sign()
    assert (signed["replaced"], signed["kept"], signed["authority"]) == ("", "", before)
    assert (machine.folder / "ca.crt").read_text() == before


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (-0.5, "ca.crt has ended on 2026-11-23"),
        (29, "ca.crt ends on 2026-12-23"),
        (31, ""),
    ],
    ids=["ended", "about to", "not yet"],
)
def test_an_authority_that_has_ended_or_is_about_to_is_replaced(machine: Machine, days: float, why: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    old = an_authority(days, key)
    machine.set_authority(old, key)
    # What it has signed for, what another machine's has, and something else.
    for host, content in (("viper", pem(old)), ("raven", pem(old)), ("cobra", pem(an_authority())), ("x", "x")):
        (machine.folder / f"{host}.crt").write_text(content)
    signed = machine.sign()
    assert signed["replaced"] == why
    assert signed["signed_for"] == (["raven", "viper"] if why else [])
    end = read(signed["certificate"]).not_valid_after_utc
    if why:
        assert Path(signed["kept"], "ca.crt").read_text() == pem(old)
        assert Path(signed["kept"], "ca.key").read_bytes() == key_pem(key)
        assert end.timestamp() == NOW + 365 * DAY
    else:
        # No longer than its authority.
        assert end == old.not_valid_after_utc
    assert judge(machine.facts(signed))["due"] == ""


def test_a_certificate_ends_with_its_authority(machine: Machine) -> None:
    """One that was signed to live longer, by an older version."""
    facts = machine.facts(machine.sign())
    _signed_by(days=40)(facts, machine, machine.folder)
    assert judge(facts) | {"authority": ""} == {"due": "", "broken": False, "until": "2027-01-03", "authority": ""}
    assert judge({**facts, "time": NOW + 11 * DAY})["due"] == "it ends on 2027-01-03"


def test_an_authority_s_key_that_others_could_read_is_theirs_no_more(machine: Machine) -> None:
    machine.sign()
    key = machine.folder / "ca.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert machine.folder.stat().st_mode & 0o777 == 0o700
    key.chmod(0o644)
    assert machine.sign()["replaced"] == ""
    assert key.stat().st_mode & 0o777 == 0o600


def test_an_authority_s_key_with_a_passphrase_is_refused_and_stays(machine: Machine) -> None:
    machine.sign()
    key = ec.generate_private_key(ec.SECP256R1())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (machine.folder / "ca.key").write_bytes(locked)
    with pytest.raises(Refused, match=r"/ca\.key is encrypted\. Take its passphrase away"):
        machine.sign()
    assert (machine.folder / "ca.key").read_bytes() == locked


def test_two_runs_at_the_same_time_make_one_authority(machine: Machine) -> None:
    """The second has judged before the first has written; or comes while it writes."""
    first = machine.sign()
    with pytest.raises(Refused, match=r"^Another run has just changed .*/ca\.crt\. Run this again\.$"):
        machine.sign(digest="", authorities=[])
    lock = os.open(machine.folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(Refused, match=r"^Another run is using the authority in .*\. Run this again\.$"):
        machine.sign()
    os.close(lock)
    assert machine.sign()["authority"] == first["authority"]


def test_authorities_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert authorities_in(str(tmp_path / "none"), names=NAMES, margin=30, time_there=NOW) == {}


# The task.


def run(told: dict[str, Any]) -> dict[str, Any]:
    """Run the task, as Ansible does."""
    task = mock.MagicMock(args=told, async_val=0, check_mode=False)
    return dict(ActionModule(task, *[mock.MagicMock()] * 5).run(task_vars={}))


def test_the_task_signs_by_the_clock_of_this_machine_whatever_form_a_number_has(machine: Machine) -> None:
    now = datetime.now(UTC).timestamp()
    told = machine.told(now, now, days="30", authority_days="60", time_there=str(int(now)))
    found = run(told)
    assert found["changed"] is True
    assert read(found["authority"]) == read((machine.folder / "ca.crt").read_text())
    assert abs(read(found["certificate"]).not_valid_after_utc.timestamp() - now - 30 * DAY) < DAY
    assert abs(read(found["authority"]).not_valid_after_utc.timestamp() - now - 60 * DAY) < DAY


def test_the_task_says_in_one_line_what_is_refused(machine: Machine) -> None:
    now = datetime.now(UTC).timestamp()
    found = run(machine.told(now, now, request=""))
    assert (found["failed"], found["msg"]) == (
        True,
        "The request that the node has made is damaged. Run this again.",
    )
    assert "certificate" not in found


def test_the_task_says_in_one_line_why_it_cannot_write(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC).timestamp()
    told = machine.told(now, now)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(machine.folder / "ca.key.next"))
    monkeypatch.setattr(localhost_certificate, "_write", mock.Mock(side_effect=full))
    found = run(told)
    assert found["failed"] is True
    assert found["msg"].startswith(f"The authority in {machine.folder} cannot be used: ")
    assert "No space left on device" in found["msg"]
    assert "\n" not in found["msg"]
    # Neither can a file be a folder.
    monkeypatch.undo()
    found = run({**told, "folder": str(Path(__file__) / "ca")})
    assert "Not a directory" in found["msg"]


def test_the_key_never_leaves_its_folder(machine: Machine) -> None:
    now = datetime.now(UTC).timestamp()
    found = run(machine.told(now, now))
    assert "PRIVATE" not in str(found)
    assert (machine.folder / "ca.key").stat().st_mode & 0o777 == 0o600
    assert machine.folder.stat().st_mode & 0o777 == 0o700
