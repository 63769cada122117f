"""Databases, caches, queues and directories."""

from service import FORKS, Request, Service

from .requests import fresh, get

POSTGRES = "/usr/lib/postgresql/15/bin"
# A startup message for user and database postgres; "ready for query" ends the answer.
STARTUP = (r"\x00\x00\x00\x29\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00")
READY = r"text:Z\x00\x00\x00\x05I"
POSTGRES_LOGIN = Request("startup, a connection each",
                         ["--new-connection", "--send", STARTUP, "--until", READY], FORKS, r"R\\0")  # fmt: skip

PGBOUNCER = """
[databases]
* = host=127.0.0.1 port=@BACKEND@ user=postgres
[pgbouncer]
listen_addr = 127.0.0.1,::1
listen_port = @PORT@
unix_socket_dir =
auth_type = any
pidfile = @DIR@/pid
"""

SLAPD = """
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile @DIR@/pid
database mdb
suffix dc=example
directory @DIR@
"""
# A search of the root DSE for objectClass; the answer is an entry and a result.
ROOT_DSE = (r"\x30\x32\x02\x01\x01\x63\x2d\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00"
            r"\x01\x01\x00\x87\x0bobjectClass\x30\x0d\x04\x0bobjectClass")  # fmt: skip

# CONNECT of MQTT 3.1.1 with the client name "a", and the CONNACK.
MQTT = r"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"

PREPARE_MARIADB = [["mariadb-install-db", "--no-defaults", "--datadir=@DIR@/data", "--user=nobody",
                    "--auth-root-authentication-method=normal", "--skip-test-db"]]  # fmt: skip

postgres = Service(
    "postgresql", "postgresql-15",
    [f"{POSTGRES}/postgres", "-D", "@DIR@/data", "-p", "@PORT@", "-c", "listen_addresses=127.0.0.1,::1",
     "-c", "unix_socket_directories=@DIR@"],
    [POSTGRES_LOGIN],
    prepare=[[f"{POSTGRES}/initdb", "-D", "@DIR@/data", "-U", "postgres", "-A", "trust", "--no-sync"]],
    ready=["pg_isready", "-q", "-h", "127.0.0.1", "-p", "@PORT@"],
)  # fmt: skip

SERVICES = [
    Service("redis", "redis-server",
            ["redis-server", "--port", "@PORT@", "--bind", "127.0.0.1", "::1", "--save", "", "--dir", "@DIR@"],
            [Request("PING", ["--preset", "redis"], "ok", r"\+PONG"),
             Request("two commands apart", ["--send", r"PING\r\nPING\r\n", "--split", "6", "--until", r"text:+PONG\r\n+PONG\r\n"],
                     "ok", r"\+PONG")]),
    Service("memcached", "memcached", ["memcached", "-U", "0", "-p", "@PORT@", "-l", "127.0.0.1,::1"],
            [Request("version", ["--preset", "memcached"], "ok", "VERSION"),
             Request("set, line and value apart",
                     ["--send", r"set key 0 0 5\r\nvalue\r\n", "--split", "15"], "nagle-delayed-ack/client", "STORED")]),
    postgres,
    Service("pgbouncer", "pgbouncer", ["pgbouncer", "@DIR@/pgbouncer.ini"], [POSTGRES_LOGIN],
            {"pgbouncer.ini": PGBOUNCER}, behind=postgres),
    Service("mariadb", "mariadb-server-core",
            ["mariadbd", "--no-defaults", "--datadir=@DIR@/data", "--port=@PORT@", "--bind-address=127.0.0.1,::1",
             "--socket=@DIR@/socket", "--pid-file=@DIR@/pid", "--skip-log-bin"],
            [Request("greeting", ["--new-connection", "--send", r"\r\n", "--until", r"text:mysql_native_password\x00"])],
            prepare=PREPARE_MARIADB),
    Service("mosquitto", "mosquitto", ["mosquitto", "-c", "@DIR@/mosquitto.conf"],
            [Request("CONNECT, a connection each", ["--new-connection", "--send", MQTT, "--until", "bytes:4"], "ok", r" \\2")],
            {"mosquitto.conf": "listener @PORT@ 127.0.0.1\nlistener @PORT@ ::1\nallow_anonymous true\n"}),
    Service("nats-server", "nats-server", ["nats-server", "-a", "localhost", "-p", "@PORT@"],
            [Request("INFO and PING, a connection each", ["--new-connection", "--send", r"PING\r\n", "--until", r"text:PONG\r\n"], "ok", "(INFO|PONG)")],
            families=(4,)),
    Service("slapd", "slapd",
            ["slapd", "-d", "0", "-f", "@DIR@/slapd.conf", "-h", "ldap://127.0.0.1:@PORT@/ ldap://[::1]:@PORT@/"],
            [Request("root DSE", ["--send", ROOT_DSE, "--until", r"text:\x65\x07\x0a\x01\x00\x04\x00\x04\x00"], "ok", "0")],
            {"slapd.conf": SLAPD}),
    Service("beanstalkd", "beanstalkd", ["beanstalkd", "-l", "127.0.0.1", "-p", "@PORT@"],
            [Request("use", ["--send", r"use work\r\n"], "ok", "USING"),
             Request("put, line and body apart", ["--send", r"put 0 0 1 5\r\nhello\r\n", "--split", "13"],
                     "nagle-delayed-ack/client", "INSERTED")], families=(4,)),
    Service("etcd", "etcd-server",
            ["etcd", "--data-dir", "@DIR@/data", "--listen-client-urls", "http://127.0.0.1:@PORT@,http://[::1]:@PORT@",
             "--advertise-client-urls", "http://127.0.0.1:@PORT@", "--listen-peer-urls", "http://127.0.0.1:0", "--log-level", "error"],
            [get("/version"), get("/health")]),
]  # fmt: skip
