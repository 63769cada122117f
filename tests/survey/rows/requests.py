"""What people ask a web server."""

from service import Request

TLS = ["--ca-file", "@CERT@"]

# A server that writes header and body apart, with Nagle's algorithm on.
STALLS, WOULD_STALL = "nagle-delayed-ack/server", "stall-when-persistent/server"
# A server that answers the header alone delays the ACK of the body, for which every second request
# waits: fewer than half, which a machine that is late itself can hide.
SOMETIMES = "nagle-delayed-ack/client or ok"


def get(path="/", expect="ok", options=()):
    return Request(options, expect, f"http://@HOST@{path}")


def large(expect="ok"):
    return get("/large", expect)


def fresh(expect="ok"):
    return get("/", expect, ["--new-connection"])


def post(expect="ok"):
    return get("/", expect, ["--data", "hello=world"])


def split_post(expect="nagle-delayed-ack/client"):
    """Header and body in two writes, as client libraries do."""
    return get("/", expect, ["--data", "hello=world", "--split-body"])


def tls(expect="ok"):
    return Request(TLS, expect, "https://@HOST@/")


def local(socket):
    """Over a Unix-domain socket in the directory of the service."""
    return Request(["--preset", "http"], "ok", f"unix:@DIR@/{socket}")
