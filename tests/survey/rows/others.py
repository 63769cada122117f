"""Everything else that listens."""

from service import FORKS, Request, Service

from .files import greeting
from .requests import tls

ECHO = Request(["--preset", "echo"])
SSH = Request(["--preset", "ssh"], FORKS)
XINETD = """
service echo
{
  type = INTERNAL UNLISTED
  socket_type = stream
  protocol = tcp
  port = @PORT@
  bind = 127.0.0.1
  user = nobody
  wait = no
  instances = 1000
  cps = 10000 1
}
"""
SSHD = """
ListenAddress 127.0.0.1:@PORT@
ListenAddress [::1]:@PORT@
HostKey @DIR@/key
PidFile @DIR@/pid
MaxStartups 1000
PerSourceMaxStartups none
"""
NGIRCD = """
[Global]
Name = irc.example
AdminInfo1 = test
Listen = 127.0.0.1,::1
Ports = @PORT@
PidFile = @DIR@/pid
[Limits]
MaxConnectionsIP = 0
[Options]
DNS = no
Ident = no
PAM = no
ChrootDir =
"""
PROSODY = """
pidfile = "@DIR@/pid"
data_path = "@DIR@"
interfaces = { "127.0.0.1", "::1" }
c2s_ports = { @PORT@ }
s2s_ports = { }
modules_enabled = { "saslauth" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
http_ports = { }
modules_disabled = { "s2s" }
log = { error = "*console" }
authentication = "internal_plain"
VirtualHost "localhost"
"""
STREAM = """<stream:stream to='localhost' xmlns='jabber:client' version='1.0'
xmlns:stream='http://etherx.jabber.org/streams'>"""

SERVICES = [
    Service("openssh sshd", "openssh-server", ["/usr/sbin/sshd", "-D", "-f", "@DIR@/sshd.conf"],
            [SSH], {"sshd.conf": SSHD},
            prepare=[["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "@DIR@/key"],
                     ["mkdir", "-p", "/run/sshd"]], root=True),
    Service("dropbear", "dropbear-bin",
            ["dropbear", "-F", "-r", "@DIR@/key", "-p", "127.0.0.1:@PORT@", "-p", "[::1]:@PORT@",
             "-P", "@DIR@/pid"], [SSH],
            prepare=[["dropbearkey", "-t", "ed25519", "-f", "@DIR@/key"]]),
    Service("ngircd", "ngircd", ["ngircd", "-n", "-f", "@DIR@/ngircd.conf"],
            [Request(["--new-connection", "--send", r"CAP LS\r\n",
                      "--until", r"text:LS :multi-prefix\r\n"])], {"ngircd.conf": NGIRCD}),
    Service("prosody", "prosody", ["prosody", "-F", "--config", "@DIR@/prosody.lua"],
            [Request(["--new-connection", "--send-file", "@DIR@/stream.xml",
                      "--until", "text:</stream:features>"])],
            {"prosody.lua": PROSODY, "stream.xml": STREAM}),
    Service("inetutils-inetd", "inetutils-inetd",
            ["inetutils-inetd", "-d", "--pidfile=@DIR@/pid", "@DIR@/inetd.conf"], [ECHO],
            {"inetd.conf": "127.0.0.1:@PORT@ stream tcp nowait nobody /bin/cat cat\n"},
            families=(4,), root=True),
    Service("xinetd", "xinetd",
            ["@ROOT@/usr/sbin/xinetd", "-dontfork", "-f", "@DIR@/xinetd.conf",
             "-pidfile", "@DIR@/pid"], [ECHO],
            {"xinetd.conf": XINETD}, families=(4,), root=True, unpacked=True),
    Service("socat, echo", "socat",
            ["socat", "TCP4-LISTEN:@PORT@,bind=127.0.0.1,fork,reuseaddr", "EXEC:cat"], [ECHO],
            families=(4,)),
    Service("ncat, echo", "ncat",
            ["ncat", "-4", "-l", "127.0.0.1", "@PORT@", "-k", "-e", "/bin/cat"], [ECHO],
            families=(4,)),
    Service("openssl s_server", "openssl",
            ["openssl", "s_server", "-4", "-accept", "127.0.0.1:@PORT@", "-cert", "@CERT@", "-www",
             "-quiet"], [tls()], families=(4,)),
    Service("gnutls-serv", "gnutls-bin",
            ["gnutls-serv", "--http", "--quiet", "-p", "@PORT@", "--x509certfile", "@CERT@",
             "--x509keyfile", "@CERT@"], [tls()]),
    Service("tigervnc", "tigervnc-standalone-server",
            ["Xtigervnc", ":77", "-rfbport", "@PORT@", "-SecurityTypes", "None",
             "-interface", "127.0.0.1", "-nolisten", "unix", "-AcceptSetDesktopSize=0"],
            [greeting("line")], families=(4,)),
    Service("iperf3", "iperf3", ["iperf3", "-s", "-B", "127.0.0.1", "-p", "@PORT@"],
            [Request(["--preset", "connect"])], families=(4,)),
]  # fmt: skip
