"""Third parties in the image and their licences, from what is installed: `python -m deploy.licences` (`make licences`).

Writes docs/licences.md, and the licences into the label of the Dockerfile. What it does not know it does not guess: a
package that does not name its licence, or a library in a wheel, that is new here stops it with a sentence, and goes
into the tables below once somebody has looked it up.
"""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
DOCKERFILE = ROOT / "Dockerfile"

# What packages say in their own words, as SPDX has it.
_WORDS = {
    "Apache-2.0": "Apache-2.0",
    "BSD-3-Clause": "BSD-3-Clause",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MPL-2.0": "MPL-2.0",
    "ZPL 2.1": "ZPL-2.1",
    "License :: OSI Approved :: MIT License": "MIT",
}
# Those whose words leave it open; from the text of the licence that they bring.
_LOOKED_UP = {
    "google-re2": "BSD-3-Clause",
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "psycopg2-binary": "LGPL-3.0-or-later",  # with an exception for OpenSSL
}
# Libraries that wheels bring along, by the beginning of the file's name: what they are a part of, and its licence.
_LIBRARIES = {
    "libbrotli": ("Brotli", "MIT"),
    "libcom_err": ("MIT Kerberos", "MIT"),
    "libcrypt-": ("libxcrypt", "LGPL-2.1-or-later"),
    "libcrypto": ("OpenSSL", "Apache-2.0"),
    "libcurl": ("curl", "curl"),
    "libgssapi_krb5": ("MIT Kerberos", "MIT"),
    "libidn2": ("Libidn2", "LGPL-3.0-or-later OR GPL-2.0-or-later"),
    "libk5crypto": ("MIT Kerberos", "MIT"),
    "libkeyutils": ("keyutils", "LGPL-2.1-or-later"),
    "libkrb5": ("MIT Kerberos", "MIT"),
    "liblber": ("OpenLDAP", "OLDAP-2.8"),
    "libldap": ("OpenLDAP", "OLDAP-2.8"),
    "libnghttp2": ("nghttp2", "MIT"),
    "libnghttp3": ("nghttp3", "MIT"),
    "libngtcp2": ("ngtcp2", "MIT"),
    "libpcre": ("PCRE", "BSD-3-Clause"),
    "libpq": ("PostgreSQL", "PostgreSQL"),
    "libpsl": ("libpsl", "MIT"),
    "libsasl2": ("Cyrus SASL", "BSD-Attribution-HPND-disclaimer"),
    "libselinux": ("SELinux", "LicenseRef-Public-Domain"),
    "libsfparse": ("sfparse", "MIT"),
    "libssh2": ("libssh2", "BSD-3-Clause"),
    "libssl": ("OpenSSL", "Apache-2.0"),
    "libunistring": ("libunistring", "LGPL-3.0-or-later OR GPL-2.0-or-later"),
}
# What is no library and was not written by the package's authors either.
_ASSETS = {"flask-swagger-ui": ("Swagger UI", "Apache-2.0")}


class Unknown(Exception):
    """Somebody has to look a licence up."""


@dataclass(frozen=True, order=True, slots=True)
class Part:
    """within: the package that brings it along."""

    name: str
    licence: str
    within: str


def packages() -> list[tuple[str, str, str]]:
    """Name, version and licence of each that requirements.txt pins. Raises Unknown."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE)
    return [(name, version, licence_of(installed(name, version))) for name, version in sorted(pins)]


def installed(name: str, version: str) -> Distribution:
    """Raises Unknown."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        raise Unknown(f"{name} is not installed: `make setup`.") from None
    if found.version != version:
        raise Unknown(f"{name} {version} is wanted and {found.version} is installed: `make setup`.")
    return found


def licence_of(package: Distribution) -> str:
    """As an SPDX expression. Raises Unknown."""
    about = package.metadata
    if said := about.get_all("License-Expression"):
        return str(said[0])
    name = about["Name"].lower()
    words = [*(about.get_all("License") or []), *(about.get_all("Classifier") or [])]
    found = _LOOKED_UP.get(name) or next((_WORDS[word] for word in words if word in _WORDS), None)
    if found is None:
        raise Unknown(f"{name} does not say its licence in words that are known: look it up, for deploy/licences.py.")
    return found


def parts(names: Iterable[str]) -> list[Part]:
    """What the wheels of these packages bring along. Raises Unknown."""
    found: set[Part] = set()
    for name in names:
        for file in distribution(name).files or ():
            if ".libs" in file.parts[0]:
                found.add(Part(*_library(file.name, name), within=name))
        if name in _ASSETS:
            found.add(Part(*_ASSETS[name], within=name))
    return sorted(found)


def _library(file: str, package: str) -> tuple[str, str]:
    known = [about for beginning, about in _LIBRARIES.items() if file.startswith(beginning)]
    if not known:
        raise Unknown(f"{package} brings {file}, whose licence is not known here: look it up, for deploy/licences.py.")
    return known[0]


def expression(licences: Iterable[str]) -> str:
    """All of them together, ours first."""
    others = sorted({f"({one})" if " OR " in one else one for one in licences} - {"MIT"})
    singles = {single for one in others for single in ([one] if "(" in one else one.split(" AND "))}
    return " AND ".join(["MIT", *sorted(singles - {"MIT"})])


def page() -> str:
    """docs/licences.md. Raises Unknown."""
    rows = packages()
    brought = parts(name for name, _, _ in rows)
    listed = "".join(f"| {name} | {version} | {licence} |\n" for name, version, licence in rows)
    within = "".join(f"| {part.name} | {part.within} | {part.licence} |\n" for part in brought)
    return f"{_HEAD}{listed}{_BROUGHT}{within}{_FOOT}"


def label(text: str) -> str:
    """What the page lists, as the label of the image has it."""
    rows = re.findall(r"^\| (?!---)(?!name )[^|]+ \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    return expression(rows)


def main() -> None:
    try:
        text = page()
    except Unknown as error:
        sys.exit(str(error))
    PAGE.write_text(text, encoding="utf-8")
    before = DOCKERFILE.read_text(encoding="utf-8")
    DOCKERFILE.write_text(re.sub(LABEL, rf'\g<1>"{label(text)}"', before), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} and the label of the {DOCKERFILE.name} are up to date.")


LABEL = re.compile(r'(org\.opencontainers\.image\.licenses=)"([^"]*)"')

_HEAD = """\
# Licences

The service itself is under the MIT licence ([LICENSE](../LICENSE)). Its image holds what others have written, under
licences of their own, as SPDX names them. This page is made by `make licences` from what is installed, and lies in the
image as `/app/licences.md`; the text of each package's licence lies there beside the package, in
`/opt/venv/lib/python*/site-packages/*.dist-info/`.

Two kinds ask for more than their notice. LGPL: psycopg2 and some libraries are shared objects of their own, unchanged,
and can be replaced by others of the same interface. MPL: certifi is unchanged, and its source is its package.

## Packages

| name | version | licence |
|---|---|---|
"""
_BROUGHT = """
## Within packages

Libraries and pages that wheels bring along. The bundle of Swagger UI is made of further ones, which its project lists.

| name | within | licence |
|---|---|---|
"""
_FOOT = """
## Below and beside

The image stands on Debian and Python: `/usr/share/doc/*/copyright` has the licences of the former, `PSF-2.0` is that of
the latter. PostgreSQL (PostgreSQL), RabbitMQ (MPL-2.0), Mailpit (MIT), Prometheus and Alertmanager (Apache-2.0) and
Grafana (AGPL-3.0-only) are images of others, which the compose file names and does not change. The identity
provider of the profile `demo` is an image of its own, of the packages in `requirements-identity-provider.txt`: canaille
(MIT) and what it needs. What only tests and development use (`requirements-dev.txt`) is in no image.
"""

if __name__ == "__main__":
    main()
