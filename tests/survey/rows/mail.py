"""Mail."""

from service import Request, Service

from .requests import TLS

SMTP = Request(["--preset", "smtp"])

POSTFIX_MASTER = """
[127.0.0.1]:@PORT@ inet n - n - - smtpd
[::1]:@PORT@ inet n - n - - smtpd
proxymap unix - - n - - proxymap
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""
POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = @DIR@/queue
data_directory = @DIR@/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = /dev/stdout
inet_interfaces = loopback-only
mynetworks = 127.0.0.0/8 [::1]/128
myhostname = localhost
alias_maps =
alias_database =
smtpd_junk_command_limit = 100000
smtpd_client_connection_rate_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = @CERT@
smtpd_tls_key_file = @CERT@
"""

AIOSMTPD = """
import asyncio
from aiosmtpd.smtp import SMTP
async def main():
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(None, command_call_limit=100000), ["127.0.0.1", "::1"], @PORT@)
    await server.serve_forever()
asyncio.run(main())
"""

DOVECOT = """
base_dir = @DIR@/run
state_dir = @DIR@/state
log_path = @DIR@/dovecot.log
protocols = imap pop3
listen = 127.0.0.1, ::1
ssl = yes
ssl_cert = <@CERT@
ssl_key = <@CERT@
default_internal_user = dovecot
disable_plaintext_auth = no
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=@DIR@/mail
}
mail_location = maildir:~/Maildir
service imap-login {
  inet_listener imap {
    port = @IMAP@
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @POP3@
  }
}
"""


LOGIN = ["--user", "jo", "--password-file", "@DIR@/password"]


def dovecot(protocol, other):
    """Without a login, with one, and with one behind STARTTLS."""
    config = DOVECOT.replace("protocols = imap pop3", f"protocols = {protocol}")
    config = config.replace(f"@{protocol.upper()}@", "@PORT@").replace(f"@{other.upper()}@", "0")
    requests = [Request(["--preset", protocol, *words])
                for words in ([], LOGIN, [*LOGIN, "--starttls", *TLS])]  # fmt: skip
    return Service(f"dovecot, {protocol}", f"dovecot-{protocol}d",
                   ["dovecot", "-F", "-c", "@DIR@/dovecot.conf"], requests,
                   {"dovecot.conf": config, "password": "secret\n"},
                   [["install", "-d", "-o", "nobody", "@DIR@/mail"]], root=True)  # fmt: skip


SERVICES = [
    Service("postfix", "postfix", ["/usr/lib/postfix/sbin/master", "-c", "@DIR@/etc", "-d"],
            [SMTP, Request([*SMTP.options, "--starttls", *TLS])],
            {"etc/main.cf": POSTFIX_MAIN, "etc/master.cf": POSTFIX_MASTER, "queue/empty": "",
             "data/empty": ""},
            prepare=[["sh", "-c", "chown postfix data; postfix -c @DIR@/etc check"]], root=True),
    Service("aiosmtpd", "python3-aiosmtpd", ["/usr/bin/python3", "@DIR@/mail.py"], [SMTP],
            {"mail.py": AIOSMTPD}),
    dovecot("imap", "pop3"),
    dovecot("pop3", "imap"),
]  # fmt: skip
