"""Files: FTP, rsync, version control."""

from service import FORKS, Request, Service


# Without a login and with one.
FTP = [Request(["--preset", "ftp"]), Request(["--preset", "ftp", "--user", "anonymous"])]

VSFTPD = """
listen=YES
listen_ipv6=NO
listen_address=127.0.0.1
listen_port=@PORT@
background=NO
anonymous_enable=YES
anon_root=@WWW@
ftp_username=daemon
secure_chroot_dir=@DIR@
run_as_launching_user=NO
"""

PROFTPD = """
ServerName test
ServerType standalone
DefaultAddress 127.0.0.1
Port @PORT@
UseIPv6 off
User nobody
Group nogroup
PidFile @DIR@/pid
ScoreboardFile @DIR@/scoreboard
DelayTable none
WtmpLog off
AuthOrder mod_auth_file.c
"""

RSYNCD = """
use chroot = no
pid file = @DIR@/pid
[www]
path = @WWW@
"""


def greeting(until, expect="ok"):
    """What it says first."""
    return Request(["--greeting", until, "--send", ""], expect)


SERVICES = [
    Service("vsftpd", "vsftpd", ["vsftpd", "@DIR@/vsftpd.conf"], FTP, {"vsftpd.conf": VSFTPD},
            families=(4,), root=True),
    Service("proftpd", "proftpd-core",
            ["@ROOT@/usr/sbin/proftpd", "-n", "-q", "-c", "@DIR@/proftpd.conf"], FTP[:1],
            {"proftpd.conf": PROFTPD}, families=(4,), root=True, unpacked=True,
            needs=("libhiredis0.14", "libmemcached11", "libmemcachedutil2", "libpcre2-posix3")),
    Service("pure-ftpd", "pure-ftpd",
            ["@ROOT@/usr/sbin/pure-ftpd", "-4", "-S", "127.0.0.1,@PORT@", "-H", "-g", "@DIR@/pid"],
            FTP, needs=("libsodium23",), families=(4,), root=True, unpacked=True),
    Service("rsync daemon", "rsync",
            ["rsync", "--daemon", "--no-detach", "--config=@DIR@/rsyncd.conf", "--port=@PORT@",
             "--address=127.0.0.1"],
            [greeting("line", FORKS),
             Request(["--new-connection", "--greeting", "line",
                      "--send", r"@RSYNCD: 31.0\n#list\n", "--until", "text:EXIT",
                      "--expect", "www"], FORKS)],
            {"rsyncd.conf": RSYNCD}, families=(4,)),
    Service("svnserve", "subversion",
            ["svnserve", "-d", "--foreground", "--listen-host", "127.0.0.1",
             "--listen-port", "@PORT@", "-r", "@DIR@/repository"],
            [greeting(r"text:) ) ) ", FORKS)],
            prepare=[["svnadmin", "create", "@DIR@/repository"]], families=(4,)),
    Service("git daemon", "git",
            ["git", "daemon", "--listen=127.0.0.1", "--listen=::1", "--port=@PORT@", "--export-all",
             "--base-path=@DIR@"],
            [Request(["--new-connection",
                      "--send", r"0027git-upload-pack /www\x00host=127.0.0.1\x00",
                      "--until", "text:0000", "--expect", "refs/heads"], FORKS)],
            prepare=[["sh", "-c", "git init -q www && cd www && git -c user.name=n "
                      "-c user.email=m commit -q --allow-empty -m one"]]),
]  # fmt: skip
