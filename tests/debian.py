"""Packages of Debian, without installing them: other kernels, other architectures."""

import contextlib
import glob
import os
import shutil
import subprocess
import sys
import tempfile

from support import cannot_run


def stop(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def call(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        stop(f"{' '.join(words[:2])}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def cache_directory(name):
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.path.join(base, name)
    os.makedirs(path, exist_ok=True)
    return path


def mirror():
    """The address of Debian's archive that this machine uses."""
    for line in call("apt-get", "indextargets", "--format", "$(REPO_URI)",
                     "Created-By: Packages").splitlines():
        if line.rstrip("/").endswith("/debian"):
            return line
    return "http://deb.debian.org/debian"


class AptRoot:
    """apt with lists and settings of its own, for any of Debian's architectures. It sees no package
    as installed, unless `status` is the file of a system where some are."""

    def __init__(self, directory, suite, arch="amd64", status=None):
        self.directory = directory
        for folder in ("etc/preferences.d", "state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(directory, folder), exist_ok=True)
        self.options = []
        for name, value in (
            ("Dir::Etc", "etc"), ("Dir::Etc::sourceparts", "none"), ("Dir::State", "state"),
            ("Dir::State::status", "state/status"), ("Dir::Cache", "cache"),
        ):
            self.options += ["-o", f"{name}={directory}/{value}"]
        self.options += ["-o", f"APT::Architecture={arch}", "-o", f"APT::Architectures::={arch}"]
        known = os.path.join(directory, "state/status")
        with open(known, "w", encoding="utf-8") as file:
            if status:
                with open(status, encoding="utf-8") as installed:
                    shutil.copyfileobj(installed, file)
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        if not os.path.exists(keyring):
            cannot_run("the package debian-archive-keyring is not installed")
        with open(os.path.join(directory, "etc/sources.list"), "w", encoding="ascii") as file:
            file.write(f"deb [arch={arch} signed-by={keyring}] {mirror()} {suite} main\n")

    def run(self, program, *words):
        return call(program, *self.options, *words, cwd=self.directory)

    def unpack(self, tree, *names):
        """Loads packages with all that they depend on, and unpacks them below a directory."""
        self.run("apt-get", "-q", "update")
        # As root, apt loads as the user _apt, which cannot write here.
        self.run("apt-get", "-q", "-y", "-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1",
                 "-o", "APT::Install-Recommends=0", "--download-only", "install", *names)
        for package in glob.glob(os.path.join(self.directory, "cache/archives/*.deb")):
            call("dpkg-deb", "-x", package, tree)


def keep(cache, name, make):
    """The directory `name` of the cache; make(work, tree) fills it when it is not there."""
    kept = os.path.join(cache, name)
    if not os.path.isdir(kept):
        with tempfile.TemporaryDirectory(dir=cache) as work:
            tree = os.path.join(work, "tree")
            os.mkdir(tree)
            make(work, tree)
            os.chmod(tree, 0o755)
            with contextlib.suppress(OSError):  # another run was quicker
                os.rename(tree, kept)
    return kept
