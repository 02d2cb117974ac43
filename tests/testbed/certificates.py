"""Keys and certificates of a control plane, and kubeconfigs that carry them."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
from base64 import b64encode
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.testbed.places import API_SERVICE, DOMAIN, LOOPBACK, NODE, NODE_ADDRESS, Plane

LIFETIME = datetime.timedelta(days=30)
MASTERS = "system:masters"
DNS_USER = "system:coredns"
SERVER_NAMES = (
    *("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}"),
    *(LOOPBACK, NODE_ADDRESS, API_SERVICE),
)
# file: (common name, organisation, names of a server)
CERTIFICATES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "apiserver": ("kube-apiserver", "", SERVER_NAMES),
    "to-kubelet": ("kube-apiserver-kubelet-client", MASTERS, ()),
    "front-proxy": ("front-proxy", "", ()),
    "admin": ("testbed-admin", MASTERS, ()),
    "controller-manager": ("system:kube-controller-manager", "", ("localhost", LOOPBACK)),
    "scheduler": ("system:kube-scheduler", "", ("localhost", LOOPBACK)),
    "kubelet": (f"system:node:{NODE}", "system:nodes", (NODE, NODE_ADDRESS)),
    "proxy": ("system:kube-proxy", "", ()),
    "dns": (DNS_USER, "", ()),
}


def write(plane: Plane) -> None:
    """Write an authority, a certificate of each kind, the keys of service accounts, and the admin's kubeconfig."""
    plane.keys.mkdir(parents=True, mode=0o700)
    key = _key(plane.keys / "ca.key")
    authority = _sign(_builder("testbed-ca", "", key.public_key()), issuer=_name("testbed-ca", ""), key=key, ca=True)
    _write(plane.keys / "ca.crt", authority)
    for file, (common, organisation, names) in CERTIFICATES.items():
        builder = _builder(common, organisation, _key(plane.keys / f"{file}.key").public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage(_usages(server=bool(names))), critical=False)
        if names:
            alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        _write(plane.keys / f"{file}.crt", _sign(builder, issuer=authority.subject, key=key, ca=False))
    public = _key(plane.keys / "accounts.key").public_key()
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (plane.keys / "accounts.pub").write_bytes(public.public_bytes(*form))
    for user in ("admin", *(file for file, (common, _, _) in CERTIFICATES.items() if common.startswith("system:"))):
        write_kubeconfig(plane, user)


def write_kubeconfig(plane: Plane, user: str) -> Path:
    """Write a kubeconfig with the certificates in it, so that it can be copied; its path."""
    data = {
        "certificate-authority-data": plane.keys / "ca.crt",
        "client-certificate-data": plane.keys / f"{user}.crt",
        "client-key-data": plane.keys / f"{user}.key",
    }
    text = {name: b64encode(file.read_bytes()).decode() for name, file in data.items()}
    cluster = {"server": plane.url, "certificate-authority-data": text.pop("certificate-authority-data")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": plane.name, "cluster": cluster}],
        "users": [{"name": user, "user": text}],
        "contexts": [{"name": plane.name, "context": {"cluster": plane.name, "user": user}}],
        "current-context": plane.name,
    }
    path = plane.folder / f"{user}.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1), "utf-8")
    return path


def as_admin(plane: Plane) -> ssl.SSLContext:
    """What a client of the plane's API server needs to be its administrator."""
    context = ssl.create_default_context(cafile=str(plane.keys / "ca.crt"))
    context.load_cert_chain(plane.keys / "admin.crt", plane.keys / "admin.key")
    return context


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(*form))
    return key


def _name(common: str, organisation: str) -> x509.Name:
    parts = [(NameOID.ORGANIZATION_NAME, organisation), (NameOID.COMMON_NAME, common)]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usages(*, server: bool) -> list[x509.ObjectIdentifier]:
    return [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if server else [])]


def _builder(common: str, organisation: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common, organisation))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _sign(
    builder: x509.CertificateBuilder, *, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, ca: bool
) -> x509.Certificate:
    signed = x509.KeyUsage(
        digital_signature=True, key_cert_sign=ca, crl_sign=ca, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        builder.issuer_name(issuer)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(signed, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
