#!/usr/bin/python3
"""A small server: burst_server.py HOST BACKLOG WAY. Each connection is taken, read to its end, closed.
Ways: `quick`; `slow` (20 ms each); `deaf` (accepts nothing); `quits` (ends with the third one);
`daemon` (slow, in a session of its own)."""
import os
import socket
import sys
import time

PORT = 8000


def main():
    host, backlog, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if way == "daemon" and os.fork():
        time.sleep(1000)
    if way == "daemon":
        os.setsid()
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, PORT))
    listener.listen(backlog)
    taken = 0
    while True:
        if way == "deaf":
            time.sleep(1000)
        conn, _ = listener.accept()
        taken += 1
        if way == "quits" and taken == 3:
            sys.exit(7)
        if way != "quick":
            time.sleep(0.02)
        try:
            while conn.recv(65536):
                pass
        except OSError:
            pass
        conn.close()


main()
