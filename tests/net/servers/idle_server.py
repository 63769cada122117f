#!/usr/bin/python3
"""idle_server.py PORT HOW SECONDS: answers each line. A connection without traffic for that long is
closed (HOW fin) or reset (rst); with HOW answer it is closed after each answer."""

import selectors
import socket
import struct
import sys
import time

port, how, limit = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
selector = selectors.DefaultSelector()
for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((any_address, port))
    listener.listen(64)
    selector.register(listener, selectors.EVENT_READ, "listener")
used = {}


def close(connection):
    if how == "rst":
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    selector.unregister(connection)
    connection.close()
    used.pop(connection, None)


def serve(connection):
    try:
        line = connection.recv(65536)
    except OSError:
        line = b""
    if line:
        used[connection] = time.monotonic()
        connection.send(line)
    if not line or how == "answer":
        close(connection)


while True:
    for connection in [c for c, at in used.items() if time.monotonic() - at >= limit]:
        close(connection)
    left = min((limit - (time.monotonic() - at) for at in used.values()), default=None)
    for key, _ in selector.select(None if left is None else max(0, left)):
        if key.data != "listener":
            serve(key.fileobj)
            continue
        accepted = key.fileobj.accept()[0]
        selector.register(accepted, selectors.EVENT_READ, "connection")
        used[accepted] = time.monotonic()
