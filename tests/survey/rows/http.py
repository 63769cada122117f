"""Web servers."""

from service import Service

from .requests import SOMETIMES, fresh, get, large, post, split_post, tls

NGINX = """
daemon off; pid @DIR@/pid; error_log @DIR@/error; worker_processes 1;
events { worker_connections 128; }
http {
  access_log off; root @WWW@; sendfile on; keepalive_requests 100000;
  client_body_temp_path @DIR@/body; proxy_temp_path @DIR@/proxy;
  fastcgi_temp_path @DIR@/fastcgi; uwsgi_temp_path @DIR@/uwsgi; scgi_temp_path @DIR@/scgi;
  server {
    listen 127.0.0.1:@PORT@ @SSL@; listen [::1]:@PORT@ @SSL@;
    ssl_certificate @CERT@; ssl_certificate_key @CERT@;
    if ($request_method = POST) { return 200 "hello\n"; }
  }
}
"""


def nginx(name, requests, ssl="", more=""):
    config = NGINX.replace("@SSL@", ssl).replace("keepalive_requests", f"{more} keepalive_requests")
    return Service(
        name, "nginx", ["nginx", "-e", "@DIR@/error", "-p", "@DIR@", "-c", "@DIR@/nginx.conf"],
        requests, {"nginx.conf": config},
    )  # fmt: skip


APACHE = """
ServerRoot @DIR@
ServerName localhost
PidFile @DIR@/pid
ErrorLog @DIR@/error
DocumentRoot @WWW@
DirectoryIndex index.html
Listen 127.0.0.1:@PORT@
Listen [::1]:@PORT@
MaxKeepAliveRequests 0
"""
APACHE_MODULES = ("mpm_event", "authz_core", "dir")
APACHE_TLS = "SSLEngine on\nSSLCertificateFile @CERT@\nMutex file:@DIR@ default\n"


def apache(name, requests, modules=APACHE_MODULES, more=""):
    lines = [f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so\n" for m in modules]
    return Service(
        name, "apache2-bin", ["apache2", "-D", "FOREGROUND", "-f", "@DIR@/apache.conf"], requests,
        {"apache.conf": "".join(lines) + APACHE + more},
    )  # fmt: skip


LIGHTTPD = """
server.document-root = "@WWW@"
server.port = @PORT@
server.bind = "127.0.0.1"
$SERVER["socket"] == "[::1]:@PORT@" { }
index-file.names = ( "index.html" )
server.max-keep-alive-requests = 100000
"""

H2O = """
listen: &one
  host: 127.0.0.1
  port: @PORT@
listen:
  host: "::1"
  port: @PORT@
num-threads: 1
hosts:
  default:
    paths:
      /:
        file.dir: @WWW@
"""

CADDY = """
{
  admin off
  auto_https off
  storage file_system @DIR@
}
http://127.0.0.1:@PORT@, http://[::1]:@PORT@ {
  bind 127.0.0.1 ::1
  root * @WWW@
  file_server
}
"""

CUPS_FILES = """
ServerRoot @DIR@
ServerBin @DIR@
CacheDir @DIR@
StateDir @DIR@
RequestRoot @DIR@
TempDir @DIR@/tmp
DocumentRoot @WWW@
AccessLog @DIR@/access
ErrorLog @DIR@/error
PageLog @DIR@/page
"""

ICECAST = """<icecast>
  <hostname>localhost</hostname>
  <limits><clients>100</clients></limits>
  <authentication>
    <source-password>x</source-password><admin-password>x</admin-password>
  </authentication>
  <listen-socket><port>@PORT@</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <listen-socket><port>@PORT@</port><bind-address>::1</bind-address></listen-socket>
  <paths>
    <basedir>@DIR@</basedir><logdir>@DIR@</logdir><webroot>@WWW@</webroot>
    <adminroot>@WWW@</adminroot><alias source="/" destination="/index.html"/>
  </paths>
  <logging><errorlog>error</errorlog></logging>
</icecast>
"""

SERVICES = [
    nginx("nginx", [get(), fresh(), large(), post(), split_post(SOMETIMES)]),
    nginx("nginx with TCP_CORK", [get(), large()], more="tcp_nopush on;"),
    nginx("nginx, TLS", [tls()], ssl="ssl"),
    apache("apache2", [get(), fresh(), large()]),
    apache("apache2, TLS", [tls()], (*APACHE_MODULES, "ssl"), APACHE_TLS),
    Service("lighttpd", "lighttpd", ["lighttpd", "-D", "-f", "@DIR@/lighttpd.conf"],
            [get(), fresh(), large()], {"lighttpd.conf": LIGHTTPD}),
    Service("h2o", "h2o", ["h2o", "-c", "@DIR@/h2o.conf"], [get(), large()], {"h2o.conf": H2O}),
    Service("caddy", "caddy",
            ["caddy", "run", "--adapter", "caddyfile", "--config", "@DIR@/Caddyfile"],
            [get(), fresh(), large()], {"Caddyfile": CADDY}),
    Service("busybox httpd", "busybox-static",
            ["busybox", "httpd", "-f", "-p", "127.0.0.1:@PORT@", "-h", "@WWW@"],
            [get(), large()], families=(4,)),
    Service("mini-httpd", "mini-httpd",
            ["mini_httpd", "-D", "-p", "@PORT@", "-h", "127.0.0.1", "-d", "@WWW@",
             "-i", "@DIR@/pid"],
            [get(), large()], families=(4,)),
    Service("webfs", "webfs",
            ["webfsd", "-F", "-p", "@PORT@", "-i", "127.0.0.1", "-r", "@WWW@", "-f", "index.html"],
            [get(), large()], families=(4,)),
    Service("prometheus-node-exporter (Go net/http)", "prometheus-node-exporter",
            ["prometheus-node-exporter", "--web.listen-address=localhost:@PORT@",
             "--collector.disable-defaults", "--collector.loadavg"],
            [get(), get("/metrics"), fresh()], families=(4,)),
    Service("cupsd", "cups-daemon",
            ["cupsd", "-f", "-c", "@DIR@/cupsd.conf", "-s", "@DIR@/cups-files.conf"],
            [get("/robots.txt")], {
                "cupsd.conf": "Listen 127.0.0.1:@PORT@\nListen [::1]:@PORT@\n"
                              "<Location />\nOrder allow,deny\nAllow all\n</Location>\n",
                "cups-files.conf": CUPS_FILES,
                "www/robots.txt": "User-agent: *\n", "tmp/empty": ""}),
    Service("icecast2", "icecast2", ["icecast2", "-c", "@DIR@/icecast.xml"], [get("/"), fresh()],
            {"icecast.xml": ICECAST}),
]  # fmt: skip
