"""What stands before a web server: here, always before nginx."""

from service import FORKS, Request, Service

from .http import nginx
from .requests import SOMETIMES, fresh, get, large, post, split_post, tls

BACKEND = nginx("nginx", [])

HAPROXY = """
global
  stats socket @DIR@/socket
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend all
  bind 127.0.0.1:@PORT@ @WORDS@
  bind ::1:@PORT@ @WORDS@
  default_backend web
backend web
  server one 127.0.0.1:@BACKEND@
"""


def haproxy(name, requests, words=""):
    return Service(name, "haproxy", ["haproxy", "-f", "@DIR@/haproxy.conf"], requests,
                   {"haproxy.conf": HAPROXY.replace("@WORDS@", words)}, behind=BACKEND)  # fmt: skip


def through(path):
    """A request as a forward proxy gets it."""
    text = (rf"GET http://127.0.0.1:@BACKEND@{path} HTTP/1.1\r\nHost: 127.0.0.1:@BACKEND@\r\n"
            r"Proxy-Connection: keep-alive\r\n\r\n")  # fmt: skip
    return Request(["--send", text], FORKS)


def proxied(version):
    """A request as a balancer passes it on."""
    return get("/", "ok", ["--proxy-protocol", version])


# nginx answers the header alone, and squid closes before it has read the body of the next request.
EARLY = "ok or early-answer-reset/server"
SQUID = """
http_port 127.0.0.1:@PORT@ accel defaultsite=localhost
http_port [::1]:@PORT@ accel defaultsite=localhost
cache_peer 127.0.0.1 parent @BACKEND@ 0 no-query originserver
http_access allow all
pid_filename @DIR@/pid
access_log none
cache_log @DIR@/cache.log
coredump_dir @DIR@
netdb_filename none
pinger_enable off
cache_mem 8 MB
shutdown_lifetime 0 seconds
"""

STUNNEL = """
foreground = yes
pid =
[four]
accept = 127.0.0.1:@PORT@
connect = 127.0.0.1:@BACKEND@
cert = @CERT@
[six]
accept = ::1:@PORT@
connect = 127.0.0.1:@BACKEND@
cert = @CERT@
"""

HITCH = """
frontend = { host = "127.0.0.1" port = "@PORT@" }
frontend = { host = "::1" port = "@PORT@" }
backend = "[127.0.0.1]:@BACKEND@"
pem-file = "@CERT@"
workers = 1
"""

TINYPROXY = """
Port @PORT@
Listen 127.0.0.1
Listen ::1
LogFile "@DIR@/tinyproxy.log"
PidFile "@DIR@/pid"
"""

PRIVOXY = """
confdir @DIR@
logdir @DIR@
listen-address 127.0.0.1:@PORT@
listen-address [::1]:@PORT@
keep-alive-timeout 60
tolerate-pipelining 1
"""

SERVICES = [
    haproxy("haproxy", [get(), fresh(), large(), post(), split_post("ok")]),
    haproxy("haproxy, TLS", [tls()], "ssl crt @CERT@"),
    haproxy("haproxy, accept-proxy", [proxied("v1"), proxied("v2")], "accept-proxy"),
    Service("varnish", "varnish",
            ["varnishd", "-F", "-n", "@DIR@/varnish", "-a", "127.0.0.1:@PORT@",
             "-a", "[::1]:@PORT@", "-b", "127.0.0.1:@BACKEND@", "-s", "malloc,8m", "-j", "none"],
            [get(), fresh(), large(), post(), split_post()], behind=BACKEND),
    Service("squid", "squid-openssl", ["squid", "-N", "-f", "@DIR@/squid.conf"],
            [get(), fresh(), large(), split_post(EARLY)], {"squid.conf": SQUID}, behind=BACKEND),
    Service("stunnel4", "stunnel4", ["stunnel4", "@DIR@/stunnel.conf"], [tls()],
            {"stunnel.conf": STUNNEL}, behind=BACKEND),
    Service("hitch", "hitch", ["hitch", "--config=@DIR@/hitch.conf"], [tls()],
            {"hitch.conf": HITCH}, behind=BACKEND),
    Service("tinyproxy", "tinyproxy-bin", ["tinyproxy", "-d", "-c", "@DIR@/tinyproxy.conf"],
            [through("/"), through("/large")], {"tinyproxy.conf": TINYPROXY}, behind=BACKEND),
    Service("privoxy", "privoxy", ["privoxy", "--no-daemon", "@DIR@/config"],
            [through("/"), through("/large")], {"config": PRIVOXY}, behind=BACKEND),
    Service("socat", "socat",
            ["socat", "TCP4-LISTEN:@PORT@,bind=127.0.0.1,fork,reuseaddr",
             "TCP4:127.0.0.1:@BACKEND@"],
            [get(), large(), split_post(SOMETIMES)], families=(4,), behind=BACKEND),
]  # fmt: skip
