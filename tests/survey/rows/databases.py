"""Databases, caches, queues and directories."""

from service import Request, Service

from .requests import TLS, get

POSTGRES = "/usr/lib/postgresql/15/bin"
POSTGRES_LOGIN = Request(["--preset", "postgres", "--user", "postgres"])

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
TLSCertificateFile @CERT@
TLSCertificateKeyFile @CERT@
database mdb
suffix dc=example
directory @DIR@
"""
MOSQUITTO = """
listener @PORT@ 127.0.0.1
listener @PORT@ ::1
allow_anonymous true
"""

PREPARE_MARIADB = [["mariadb-install-db", "--no-defaults", "--datadir=@DIR@/data", "--user=nobody",
                    "--auth-root-authentication-method=normal", "--skip-test-db"]]  # fmt: skip

postgres = Service(
    "postgresql", "postgresql-15",
    [f"{POSTGRES}/postgres", "-D", "@DIR@/data", "-p", "@PORT@",
     "-c", "listen_addresses=127.0.0.1,::1", "-c", "unix_socket_directories=@DIR@",
     "-c", "ssl=on", "-c", "ssl_cert_file=@CERT@", "-c", "ssl_key_file=@CERT@"],
    [POSTGRES_LOGIN, Request([*POSTGRES_LOGIN.options, "--starttls", *TLS])],
    prepare=[[f"{POSTGRES}/initdb", "-D", "@DIR@/data", "-U", "postgres", "-A", "trust",
              "--no-sync"],
             ["chmod", "600", "@CERT@"]],
    ready=["pg_isready", "-q", "-h", "127.0.0.1", "-p", "@PORT@"],
)  # fmt: skip

SERVICES = [
    Service("redis", "redis-server",
            ["redis-server", "--port", "@PORT@", "--bind", "127.0.0.1", "::1", "--save", "",
             "--dir", "@DIR@", "--unixsocket", "@DIR@/redis.sock"],
            [Request(["--preset", "redis"]),
             Request(["--send", r"PING\r\nPING\r\n", "--split", "6",
                      "--until", r"text:+PONG\r\n+PONG\r\n"]),
             Request(["--preset", "redis"], "ok", "unix:@DIR@/redis.sock")]),
    Service("memcached", "memcached",
            ["memcached", "-U", "0", "-p", "@PORT@", "-l", "127.0.0.1,::1"],
            [Request(["--preset", "memcached"]),
             Request(["--send", r"set key 0 0 5\r\nvalue\r\n", "--split", "15",
                      "--expect", "STORED"], "nagle-delayed-ack/client")]),
    postgres,
    Service("pgbouncer", "pgbouncer", ["pgbouncer", "@DIR@/pgbouncer.ini"], [POSTGRES_LOGIN],
            {"pgbouncer.ini": PGBOUNCER}, behind=postgres),
    Service("mariadb", "mariadb-server-core",
            ["mariadbd", "--no-defaults", "--datadir=@DIR@/data", "--port=@PORT@",
             "--bind-address=127.0.0.1,::1", "--socket=@DIR@/socket", "--pid-file=@DIR@/pid",
             "--skip-log-bin", "--skip-name-resolve"],
            [Request(["--preset", "mysql", "--user", "root"])], prepare=PREPARE_MARIADB),
    Service("mosquitto", "mosquitto", ["mosquitto", "-c", "@DIR@/mosquitto.conf"],
            [Request(["--preset", "mqtt"])], {"mosquitto.conf": MOSQUITTO}),
    Service("nats-server", "nats-server", ["nats-server", "-a", "localhost", "-p", "@PORT@"],
            [Request(["--greeting", "line", "--send", r"PING\r\n", "--expect", "PONG"])],
            families=(4,)),
    Service("slapd", "slapd",
            ["slapd", "-d", "0", "-f", "@DIR@/slapd.conf",
             "-h", "ldap://127.0.0.1:@PORT@/ ldap://[::1]:@PORT@/"],
            [Request(["--preset", "ldap"]), Request(["--preset", "ldap", "--starttls", *TLS])],
            {"slapd.conf": SLAPD}),
    Service("beanstalkd", "beanstalkd", ["beanstalkd", "-l", "127.0.0.1", "-p", "@PORT@"],
            [Request(["--send", r"use work\r\n", "--expect", "USING"]),
             Request(["--send", r"put 0 0 1 5\r\nhello\r\n", "--split", "13",
                      "--expect", "INSERTED"], "nagle-delayed-ack/client")], families=(4,)),
    Service("etcd", "etcd-server",
            ["etcd", "--data-dir", "@DIR@/data",
             "--listen-client-urls", "http://127.0.0.1:@PORT@,http://[::1]:@PORT@",
             "--advertise-client-urls", "http://127.0.0.1:@PORT@",
             "--listen-peer-urls", "http://127.0.0.1:0", "--log-level", "error"],
            [get("/version"), get("/health")]),
]  # fmt: skip
