#!/usr/bin/python3
"""tcp-probe's presets for mail, FTP, SSH and DNS against the servers of the distribution: with and
without a login, through STARTTLS, with a password that is refused, and spoken to each other."""

import grp
import os
import pwd
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service import Service, addresses, families, need, running  # noqa: E402

# Enough for a verdict, and few for servers that count connections without a login.
FEW = ["--rounds", "12", "--warmup", "2", "--no-interventions"]
USER, PASSWORD = "anna", "se \"c\\ret"


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


# As root the mail belongs to nobody, because dovecot lets root have none.
DOVECOT = """
protocols = {protocol}
base_dir = {directory}/run
state_dir = {directory}/run
listen = {listen}
log_path = {directory}/log
ssl = {ssl}
ssl_cert = <{certificate}
ssl_key = <{certificate}
disable_plaintext_auth = no
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 1
mail_location = maildir:{directory}/mail
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {directory}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={directory}/mail
}}
service anvil {{
  chroot =
}}
service {protocol}-login {{
  chroot =
  process_min_avail = 1
  service_count = 0
  inet_listener {protocol} {{
    port = {port}
  }}
  inet_listener {protocol}s {{
    port = 0
  }}
}}
service stats {{
  chroot =
}}
"""


def dovecot(program, protocol, certificate):
    def command(directory, port):
        root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid())
        owner = pwd.getpwnam("nobody") if root else me
        os.chmod(directory, 0o755)
        os.mkdir(os.path.join(directory, "mail"))
        os.chown(os.path.join(directory, "mail"), owner.pw_uid, owner.pw_gid)
        os.mkdir(os.path.join(directory, "run"))
        write(directory, "users", f"{USER}:{PASSWORD}::::::\n")
        path = write(directory, "dovecot.conf", DOVECOT.format(
            protocol=protocol, directory=directory, port=port, listen=", ".join(addresses()),
            ssl="yes", certificate=certificate,
            internal="dovecot" if root else me.pw_name,
            group="dovecot" if root else grp.getgrgid(me.pw_gid).gr_name,
            login="dovenull" if root else me.pw_name,
            uid=owner.pw_uid, gid=owner.pw_gid,
        ))  # fmt: skip
        return [program, "-F", "-c", path]

    return command


def vsftpd(program, family, certificate):
    def command(directory, port):
        os.mkdir(os.path.join(directory, "files"), 0o555)
        path = write(directory, "vsftpd.conf", f"""
{"listen_ipv6" if family == 6 else "listen"}=YES
listen_port={port}
listen_address{"6" if family == 6 else ""}={addresses()[-1] if family == 6 else "127.0.0.1"}
background=NO
run_as_launching_user=YES
seccomp_sandbox=NO
anonymous_enable=YES
local_enable=NO
anon_root={directory}/files
ssl_enable=YES
allow_anon_ssl=YES
force_local_logins_ssl=NO
rsa_cert_file={certificate}
""")
        return [program, path]

    return command


def dropbear(program, keygen):
    def command(directory, port):
        key = os.path.join(directory, "key")
        subprocess.run([keygen, "-t", "ed25519", "-f", key], check=True, capture_output=True)
        listen = [f"-p{f'[{a}]' if ':' in a else a}:{port}" for a in addresses()]
        return [program, "-F", "-E", "-r", key, "-P", os.path.join(directory, "pid"), *listen]

    return command


def sshd(program, keygen):
    def command(directory, port):
        key = os.path.join(directory, "key")
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        path = write(directory, "sshd.conf", "".join(
            [f"ListenAddress {f'[{a}]' if ':' in a else a}:{port}\n" for a in addresses()]
            + [f"HostKey {key}\nPidFile none\n"]
        ))  # fmt: skip
        if os.geteuid():
            return [program, "-D", "-e", "-f", path]
        # As root it wants a directory of the system's, which is there only when it is set up.
        nobody = pwd.getpwnam("nobody")
        os.chmod(directory, 0o755)
        os.chown(key, nobody.pw_uid, nobody.pw_gid)
        return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}",
                "--clear-groups", program, "-D", "-e", "-f", path]  # fmt: skip

    return command


ZONE = """$TTL 60
@ IN SOA ns.netkit.test. root.netkit.test. 1 60 60 60 60
  IN NS ns.netkit.test.
ns IN A 127.0.0.1
"""


def named(program):
    def command(directory, port):
        write(directory, "zone", ZONE)
        path = write(directory, "named.conf", f"""
options {{ directory "{directory}"; pid-file none; session-keyfile none; recursion no;
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 port {port} {{ ::1; }};
  dnssec-validation no; managed-keys-directory "{directory}"; }};
controls {{ }};
zone "netkit.test" {{ type primary; file "{directory}/zone"; }};
""")
        return [program, "-g", "-n", "1", "-U", "1", "-c", path]

    return command


def dnsmasq(program):
    def command(directory, port):
        user = ["-u", "root"] if os.geteuid() == 0 else []
        listen = [f"--listen-address={address}" for address in addresses()]
        return [program, "-k", *user, "-p", str(port), "-C", os.devnull, "--no-resolv",
                "--no-hosts", "--bind-interfaces", "--address=/netkit.test/127.0.0.1",
                "--pid-file=" + os.path.join(directory, "pid"), *listen]  # fmt: skip

    return command


class LineServices(Service):
    def talks(self, family, port, *options, answer):
        """Rounds are held, and the answers are a success that reads so."""
        report = self.probe(family, port, *FEW, *options)
        self.assertIn(answer, report["results"][0]["answer"]["text"])
        self.assertEqual(self.findings(report, "unexpected-answer"), [])
        return report

    def refused(self, family, port, *options, words):
        """The conversation ends before its first round, with these words."""
        report, status = self.run_probe(family, port, *FEW, *options)
        self.assertEqual(status, 4, report)
        error = report["results"][0]["error"]
        self.assertEqual(error["code"], "unexpected-answer")
        self.assertIn(words, error["message"])

    def login(self, password):
        directory = tempfile.TemporaryDirectory(prefix="netkit-service-")
        self.addCleanup(directory.cleanup)
        return ["--user", USER, "--password-file", write(directory.name, "password", password)]

    def mail(self, protocol, answers, no):
        certificate = self.certificate()
        with running(dovecot(need("dovecot"), protocol, certificate), len(families())) as port:
            preset, right = ["--preset", protocol], self.login(PASSWORD)
            secured = ["--starttls", "--ca-file", certificate]
            for family in families():
                with self.subTest(family=family):
                    self.talks(family, port, *preset, answer=answers)
                    self.talks(family, port, *preset, *right, answer=answers)
                    report = self.talks(family, port, *preset, *secured, *right, answer=answers)
                    self.assertTrue(report["results"][0]["tls"]["verified"])
            self.refused(4, port, *preset, *self.login("wrong"), words=no)
            self.refused(4, port, "--preset", "ssh", words="not a line of SSH")
            self.refused(4, port, "--preset", "smtp", words="three digits")

    def test_dovecot_imap(self):
        self.mail("imap", "n OK NOOP completed", "l NO [AUTHENTICATIONFAILED]")

    def test_dovecot_pop3(self):
        self.mail("pop3", "+OK", "-ERR [AUTH]")

    def test_vsftpd(self):
        program, certificate = need("vsftpd"), self.certificate()
        preset, anonymous = ["--preset", "ftp"], ["--user", "anonymous"]
        for family in families():
            with self.subTest(family=family):
                with running(vsftpd(program, family, certificate), 1) as port:
                    self.talks(family, port, *preset, answer="211-Features")
                    self.talks(family, port, *preset, *anonymous, answer="200 NOOP ok")
                    secured = ["--starttls", "--ca-file", certificate]
                    self.talks(family, port, *preset, *anonymous, *secured, answer="200 NOOP ok")
                    self.refused(family, port, *preset, *self.login("wrong"), words="530 ")
                    self.refused(family, port, "--preset", "pop3", words="not a response of POP3")
                    self.refused(family, port, "--preset", "dns", words="not a response of DNS")

    def banner(self, command, sockets):
        with running(command, sockets) as port:
            for family in families():
                with self.subTest(family=family):
                    report = self.talks(family, port, "--preset", "ssh", answer="SSH-2.0-")
                    self.assertEqual(report["results"][0]["connections"], 12)
            self.refused(4, port, "--preset", "ftp", words="three digits")

    def test_dropbear(self):
        self.banner(dropbear(need("dropbear"), need("dropbearkey")), len(families()))

    def test_sshd(self):
        program, keygen = need("sshd"), need("ssh-keygen")
        self.banner(sshd(program, keygen), len(families()))

    def test_named(self):
        with running(named(need("named")), len(families())) as port:
            for family in families():
                with self.subTest(family=family):
                    self.names(family, port, "ns.netkit.test", "netkit.test SOA")
                    report, _ = self.run_probe(family, port, *FEW, "--preset", "dns",
                                               "--query", "no.netkit.test")  # fmt: skip
                    self.assertEqual(report["verdict"], "unexpected-answer")
                    self.assertEqual(report["results"][0]["answer"]["text"], "NXDOMAIN")
                    self.assertEqual(report["results"][0]["answer"]["status"], 3)
                    self.names(family, port, "no.netkit.test", expect=["--expect", "0,3"],
                               code="NXDOMAIN")  # fmt: skip

    def names(self, family, port, *queries, expect=(), code="NOERROR"):
        for query in queries:
            self.talks(family, port, "--preset", "dns", "--query", query, *expect, answer=code)

    def test_dnsmasq(self):
        with running(dnsmasq(need("dnsmasq")), len(families())) as port:
            for family in families():
                with self.subTest(family=family):
                    self.names(family, port, "x.netkit.test")
                    report, _ = self.run_probe(family, port, *FEW, "--preset", "dns")
                    self.assertEqual(report["results"][0]["answer"]["text"], "REFUSED")


if __name__ == "__main__":
    unittest.main()
