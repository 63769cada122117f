"""Certificates for tests, made on the spot by the openssl command."""

import datetime
import os
import shutil
import subprocess

from support import cannot_run

NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"


def available():
    return shutil.which("openssl") is not None


def require():
    """Ends the test as skipped where there is no openssl, or as failed where tests must run."""
    if not available():
        cannot_run("openssl is not installed (Debian package openssl)")


def openssl(*words):
    ended = subprocess.run(["openssl", *words], capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"openssl {' '.join(words)}: {ended.stderr}")


def make(directory, name, names=NAMES, days=(-1, 2), issuer=None, authority=False):
    """A certificate and its key in one PEM file, whose path is returned: signed by itself, or by the
    certificate in the file `issuer`. Valid from and until so many days from now."""
    path = os.path.join(directory, f"{name}.pem")
    key, request, signed, config = (f"{path}.{end}" for end in ("key", "csr", "crt", "cnf"))
    with open(config, "w", encoding="ascii") as file:
        file.write("[ext]\n")
        file.write(f"subjectAltName = {names}\n" if names else "")
        file.write(f"basicConstraints = critical, CA:{'TRUE' if authority else 'FALSE'}\n")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", request, "-subj", f"/O=netkit tests/CN={name}")  # fmt: skip
    # openssl x509 cannot sign for the past; openssl ca can, and wants its books.
    today = datetime.datetime.now(datetime.timezone.utc)
    start, end = ((today + datetime.timedelta(d)).strftime("%Y%m%d%H%M%SZ") for d in days)
    with open(config, "a", encoding="ascii") as file:
        file.write(f"""[ca]
default_ca = books
[books]
database = {path}.index
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
organizationName = optional
commonName = supplied
""")
    open(f"{path}.index", "w", encoding="ascii").close()
    with_key = ["-selfsign", "-keyfile", key] if issuer is None else \
        ["-cert", issuer, "-keyfile", issuer]
    openssl("ca", "-batch", "-notext", "-config", config, "-extensions", "ext", "-in", request,
            "-out", signed, "-startdate", start, "-enddate", end, *with_key)  # fmt: skip
    with open(path, "w", encoding="ascii") as file:
        for part in (signed, key):
            with open(part, encoding="ascii") as text:
                file.write(text.read())
    for end in ("key", "csr", "crt", "cnf", "index", "index.old", "index.attr", "index.attr.old"):
        if os.path.exists(f"{path}.{end}"):
            os.unlink(f"{path}.{end}")
    remove_copies(directory)
    return path


def remove_copies(directory):
    """openssl ca keeps each certificate under its serial number as well."""
    for name in os.listdir(directory):
        stem, end = os.path.splitext(name)
        if end == ".pem" and len(stem) >= 16 and all(c in "0123456789ABCDEF" for c in stem):
            os.unlink(os.path.join(directory, name))
