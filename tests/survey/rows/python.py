"""Web servers written in Python, with the smallest application that their documentation shows."""

from service import Service

from .requests import STALLS, WOULD_STALL, fresh, get, large, local, post, split_post

PYTHON = "/usr/bin/python3"
HTTP_SERVER = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", "@WWW@"]

WSGI = """
import sys
def app(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = [b"x" * 200000] if environ["PATH_INFO"] == "/large" else [b"hello "] * 3
    length = str(sum(map(len, body)))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", length)])
    return body
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    while (await receive()).get("more_body"):
        pass
    body = b"x" * 200000 if scope["path"] == "/large" else b"hello"
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""

WSGIREF = """
from wsgiref.simple_server import make_server
from app import app
make_server("127.0.0.1", @PORT@, app).serve_forever()
"""

ASYNCIO = """
import asyncio
async def talk(reader, writer):
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\n")
        writer.write(b"hello")
        await writer.drain()
async def main():
    server = await asyncio.start_server(talk, ["127.0.0.1", "::1"], @PORT@)
    await server.serve_forever()
asyncio.run(main())
"""

SOCKETSERVER = """
import socketserver
class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if line == b"\\r\\n":
                self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\n")
                self.wfile.write(b"hello")
socketserver.ThreadingTCPServer(("127.0.0.1", @PORT@), Talk).serve_forever()
"""

CHERRYPY = """
import cherrypy
class Web:
    @cherrypy.expose
    def index(self, **form):
        return "hello"
    @cherrypy.expose
    def large(self):
        return "x" * 200000
cherrypy.config.update({"server.socket_host": "127.0.0.1", "server.socket_port": @PORT@,
                        "log.screen": False})
cherrypy.quickstart(Web())
"""

TORNADO = """
import asyncio, tornado.web
class Web(tornado.web.RequestHandler):
    def get(self, path):
        self.write("x" * 200000 if path == "large" else "hello")
    post = get
    def check_xsrf_cookie(self):
        pass
async def main():
    tornado.web.Application([(r"/(.*)", Web)]).listen(@PORT@, "127.0.0.1")
    await asyncio.Event().wait()
asyncio.run(main())
"""

AIOHTTP = """
from aiohttp import web
async def get(request):
    await request.read()
    return web.Response(text="x" * 200000 if request.path == "/large" else "hello")
app = web.Application()
app.router.add_route("*", "/{path:.*}", get)
web.run_app(app, host=["127.0.0.1", "::1"], port=@PORT@, print=None)
"""

TWISTED = """
from twisted.web import resource, server
from twisted.internet import reactor
class Web(resource.Resource):
    isLeaf = True
    def render_GET(self, request):
        return b"x" * 200000 if request.path == b"/large" else b"hello"
    render_POST = render_GET
site = server.Site(Web())
for host in ("127.0.0.1", "::1"):
    reactor.listenTCP(@PORT@, site, interface=host)
reactor.run()
"""

APPS = {"app.py": WSGI}
GUNICORN = ["gunicorn", "--log-level", "error", "-b", "127.0.0.1:@PORT@", "-b", "[::1]:@PORT@",
            "-b", "unix:@DIR@/gunicorn.sock"]  # fmt: skip
FOUR = (4,)


def script(name, package, text, requests, families=(4, 6), needs=()):
    return Service(name, package, [PYTHON, "@DIR@/web.py"], requests,
                   {"web.py": text, **APPS}, families=families, needs=needs)  # fmt: skip


SERVICES = [
    Service("python http.server", "python3-minimal", [PYTHON, *HTTP_SERVER, "@PORT@"],
            [get(), large()], families=FOUR),
    Service("python http.server, HTTP/1.1", "python3-minimal",
            [PYTHON, *HTTP_SERVER, "--protocol", "HTTP/1.1", "@PORT@"],
            [get("/", STALLS), fresh(WOULD_STALL), large(STALLS)], families=FOUR),
    script("python wsgiref", "python3-minimal", WSGIREF, [get(), large()], FOUR),
    script("python socketserver", "python3-minimal", SOCKETSERVER,
           [get("/", STALLS)], FOUR),
    script("python asyncio", "python3-minimal", ASYNCIO, [get(), fresh()]),
    Service("gunicorn", "gunicorn",
            [*GUNICORN, "app:app"],
            [get(), large(), post(), local("gunicorn.sock")], APPS),
    Service("gunicorn, gthread", "gunicorn",
            [*GUNICORN, "-k", "gthread", "--threads", "4", "app:app"],
            [get(), fresh(), large(), post(), split_post(), local("gunicorn.sock")], APPS),
    Service("uvicorn", "uvicorn",
            ["uvicorn", "--no-access-log", "--host", "127.0.0.1", "--port", "@PORT@", "app:app"],
            [get(), fresh(), large(), post(), split_post()], {"app.py": ASGI}, families=FOUR),
    Service("hypercorn", "python3-hypercorn",
            ["hypercorn", "-b", "127.0.0.1:@PORT@", "-b", "[::1]:@PORT@", "app:app"],
            [get("/", STALLS), fresh(WOULD_STALL), large(), post(STALLS), split_post()],
            {"app.py": ASGI}),
    Service("waitress", "python3-waitress",
            ["waitress-serve", "--listen=127.0.0.1:@PORT@", "--listen=[::1]:@PORT@", "app:app"],
            [get(), fresh(), large(), post(), split_post()], APPS,
            environment={"PYTHONPATH": "@DIR@"}),
    script("cherrypy", "python3-cherrypy3", CHERRYPY,
           [get(), fresh(), large(), post(), split_post()], FOUR),
    script("tornado", "python3-tornado", TORNADO,
           [get(), fresh(), large(), post(), split_post()], FOUR),
    script("aiohttp", "python3-aiohttp", AIOHTTP,
           [get(), fresh(), large(), post(), split_post()]),
    script("twisted web", "python3-twisted", TWISTED,
           [get(), fresh(), large(), post(), split_post()]),
]  # fmt: skip
