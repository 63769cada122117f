"""Name servers, asked over TCP."""

from service import Request, Service

ASK = Request(["--preset", "dns", "--query", "localhost"])
# The length and the query in two writes, as client libraries do.
SPLIT = Request([*ASK.options, "--split", "2"], "nagle-delayed-ack/client")
ZONE = """$TTL 60
@ SOA ns.localhost. root.localhost. 1 60 60 60 60
@ NS ns.localhost.
@ A 127.0.0.1
ns A 127.0.0.1
"""

BIND = """
options {
  directory "@DIR@"; pid-file "@DIR@/pid"; session-keyfile "@DIR@/key";
  managed-keys-directory "@DIR@";
  listen-on port @PORT@ { 127.0.0.1; }; listen-on-v6 port @PORT@ { ::1; };
  recursion no; dnssec-validation no;
};
controls { };
zone "localhost" { type primary; file "@DIR@/zone"; };
"""

UNBOUND = """
server:
  interface: 127.0.0.1@@PORT@
  interface: ::1@@PORT@
  port: @PORT@
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  directory: "@DIR@"
  pidfile: "@DIR@/pid"
  local-zone: "localhost." static
  local-data: "localhost. 60 IN A 127.0.0.1"
remote-control:
  control-enable: no
"""

KNOT = """
server:
  rundir: "@DIR@"
  listen: [ 127.0.0.1@@PORT@, ::1@@PORT@ ]
  tcp-workers: 1
database:
  storage: "@DIR@"
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: "@DIR@"
zone:
  - domain: localhost
    file: "@DIR@/zone"
"""

NSD = """
server:
  ip-address: 127.0.0.1@@PORT@
  ip-address: ::1@@PORT@
  server-count: 1
  username: ""
  zonesdir: "@DIR@"
  database: ""
  pidfile: "@DIR@/pid"
  xfrdfile: "@DIR@/xfrd"
  xfrdir: "@DIR@"
  zonelistfile: "@DIR@/zone.list"
remote-control:
  control-enable: no
zone:
  name: localhost
  zonefile: zone
"""

SERVICES = [
    Service("bind9", "bind9", ["named", "-f", "-c", "@DIR@/named.conf", "-n", "1"],
            [ASK, SPLIT], {"named.conf": BIND, "zone": ZONE}),
    Service("dnsmasq", "dnsmasq-base",
            ["dnsmasq", "-k", "-C", "/dev/null", "-p", "@PORT@", "-a", "127.0.0.1", "-a", "::1",
             "-z", "-R", "-h", "--address=/localhost/127.0.0.1", "-u", "nobody", "-x", "@DIR@/pid"],
            [ASK, SPLIT]),
    Service("unbound", "unbound", ["unbound", "-d", "-c", "@DIR@/unbound.conf"],
            [ASK, SPLIT], {"unbound.conf": UNBOUND}),
    Service("knot", "knot", ["knotd", "-c", "@DIR@/knot.conf"],
            [ASK, SPLIT], {"knot.conf": KNOT, "zone": ZONE}),
    Service("nsd", "nsd", ["nsd", "-d", "-c", "@DIR@/nsd.conf"],
            [ASK, SPLIT], {"nsd.conf": NSD, "zone": ZONE}),
]  # fmt: skip
