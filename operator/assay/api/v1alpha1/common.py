"""Parts that several kinds share: the model a miner claims, endpoints, references to data, conditions."""

from typing import Annotated, TypeAlias

from pydantic import Field

from assay.api.meta import LABEL_NAME, Condition, DataKey, ObjectName
from assay.api.schema import ListMap, Matches, Model, Rule, cel

Conditions: TypeAlias = Annotated[tuple[Condition, ...], Field(strict=False, max_length=16), ListMap("type")]
"""Conditions, one of each type."""

Sha256: TypeAlias = Annotated[
    str,
    Field(max_length=71),
    Matches(
        "sha256:[0-9a-f]{64}",
        "must be a digest: sha256: and 64 lower case hexadecimal digits, as sha256sum prints them",
    ),
]
"""A SHA-256 digest with its prefix."""

ObjectUid: TypeAlias = Annotated[str, Field(max_length=128)]
"""metadata.uid of an object."""

ModelName: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=128),
    Matches(
        "[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?",
        "must be a model name: letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
    ),
]

ModelVersion: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Matches(
        "[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?",
        "must be a model version such as \"1\": letters, digits, '-', '_' and '.'",
    ),
]

RelativePath: TypeAlias = Annotated[
    str,
    Field(max_length=512),
    Rule(
        "self == '' || (!self.startsWith('/') && !self.matches(r'[[:cntrl:]]')"
        " && !self.split('/').exists(part, part == '..'))",
        "must be a relative path without '..'; name a directory below the volume's root",
        lambda path: (
            path == ""
            or (
                not path.startswith("/")
                and not any(ord(c) < 32 or ord(c) == 127 for c in path)
                and ".." not in path.split("/")
            )
        ),
    ),
]


class ClaimedModel(Model):
    """Identity of a model: by name and version, and by digest where exactness matters."""

    name: ModelName
    """Name under which it is served."""
    version: ModelVersion = "1"
    """Version under which it is served."""
    digest: Sha256 | None = None
    """Digest of the model's files."""


class SecretKeyRef(Model):
    """One value of a Secret in the same namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: DataKey
    """Key of the value in the Secret."""


class CaSecretRef(SecretKeyRef):
    """A certificate authority, in PEM, in a Secret of the same namespace."""

    key: DataKey = "ca.crt"
    """Key of the value in the Secret."""


class TokenSecretRef(SecretKeyRef):
    """A bearer token in a Secret of the same namespace."""

    key: DataKey = "token"
    """Key of the value in the Secret."""


_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_IPV6 = r"\[[0-9a-fA-F:.]{2,45}\]"
# The last label begins with a letter: 127.1, 0x7f.1 and 2130706433 are addresses in disguise, and no names.
_NAME = rf"({LABEL_NAME}\.)*[a-z]([-a-z0-9]*[a-z0-9])?\.?"
_HOST = f"({_IPV4}|{_IPV6}|{_NAME})"
_PORT = ":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_PATH = "(/[-._~a-zA-Z0-9/%]*)?"

Url: TypeAlias = Annotated[
    str,
    Field(max_length=512),
    Matches(
        f"(grpcs?://{_HOST}{_PORT}|https?://{_HOST}({_PORT})?{_PATH})",
        "must be grpc://host:port or grpcs://host:port, or http:// or https:// with a host and, optionally, port and"
        " path; write the host in lower case, without user name, query or fragment; credentials go to tokenSecretRef",
    ),
]


@cel(
    "!has(self.tokenSecretRef) || self.url.startsWith('grpcs://') || self.url.startsWith('https://')",
    "a token is sent over TLS only; use grpcs:// or https:// in url, or remove tokenSecretRef",
    lambda it: it.token_secret_ref is None or it.url.startswith(("grpcs://", "https://")),
    field=".tokenSecretRef",
)
@cel(
    "!has(self.caSecretRef) || self.url.startsWith('grpcs://') || self.url.startsWith('https://')",
    "a certificate authority is for TLS; use grpcs:// or https:// in url, or remove caSecretRef",
    lambda it: it.ca_secret_ref is None or it.url.startswith(("grpcs://", "https://")),
    field=".caSecretRef",
)
class Endpoint(Model):
    """A server of the KServe v2 protocol, anywhere."""

    url: Url
    """Its address: grpc://, grpcs://, http:// or https://."""
    ca_secret_ref: CaSecretRef | None = None
    """Certificate authority that its certificate must chain to; absent means the public ones."""
    token_secret_ref: TokenSecretRef | None = None
    """Bearer token to send with each request; over TLS only."""
