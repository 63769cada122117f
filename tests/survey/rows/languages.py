"""The web servers that languages come with, each as its documentation shows it."""

from service import Service

from .requests import STALLS, WOULD_STALL, fresh, get, large, local, post, split_post

NODE = """
const http = require('http');
const large = 'x'.repeat(200000);
const server = http.createServer((request, response) => {
  if (request.url === '/large') return response.end(large);
  if (request.url === '/pieces') { response.write('two '); response.end('pieces\\n'); return; }
  request.resume();
  request.on('end', () => response.end('hello\\n'));
});
server.listen(@PORT@, '::');
"""

JAVA = """
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Web {
  public static void main(String[] args) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress("::", @PORT@), 0);
    byte[] large = new byte[200000];
    server.createContext("/", exchange -> {
      exchange.getRequestBody().readAllBytes();
      boolean isLarge = exchange.getRequestURI().getPath().equals("/large");
      byte[] answer = isLarge ? large : "hello".getBytes();
      exchange.sendResponseHeaders(200, answer.length);
      exchange.getResponseBody().write(answer);
      exchange.close();
    });
    server.start();
  }
}
"""

WEBRICK = """
require 'webrick'
server = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: @PORT@, DocumentRoot: '@WWW@',
                                 AccessLog: [], Logger: WEBrick::Log.new(File::NULL))
trap('TERM') { server.shutdown }
server.start
"""

PUMA = """
run ->(env) {
  env['rack.input'].read
  [200, {'Content-Type' => 'text/plain'}, ['hello'] * 2]
}
"""

PERL = """
use HTTP::Daemon;
my $daemon = HTTP::Daemon->new(LocalAddr => '127.0.0.1', LocalPort => @PORT@, ReuseAddr => 1)
  or die $!;
while (my $connection = $daemon->accept) {
  next if fork;
  while (my $request = $connection->get_request) {
    my $hello = HTTP::Response->new(200, 'OK', ['Content-Length' => 5], 'hello');
    if ($request->uri->path eq '/file') { $connection->send_file_response('@WWW@/index.html'); }
    else { $connection->send_response($hello); }
  }
  exit;
}
"""

SERVICES = [
    Service("node http", "nodejs", ["node", "@DIR@/web.js"],
            [get(), get("/pieces"), fresh(), large(), post(), split_post()],
            {"web.js": NODE}, sockets=1),
    Service("java com.sun.net.httpserver", "openjdk-17-jdk-headless",
            ["/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "@DIR@/Web.java"],
            [get("/", STALLS), fresh(WOULD_STALL), large(), post(STALLS), split_post()],
            {"Web.java": JAVA}, sockets=1),
    Service("php -S", "php8.2-cli", ["php", "-S", "127.0.0.1:@PORT@", "-t", "@WWW@"],
            [get(), large(), post()], {"www/index.php": "<?php echo 'hello';"}, families=(4,)),
    Service("ruby webrick", "ruby-webrick", ["ruby", "@DIR@/web.rb"],
            [get("/", STALLS), fresh(WOULD_STALL), large()], {"web.rb": WEBRICK}, families=(4,)),
    Service("puma", "puma",
            ["puma", "-q", "-t", "1:4", "-b", "tcp://127.0.0.1:@PORT@", "-b", "tcp://[::1]:@PORT@",
             "-b", "unix://@DIR@/puma.sock", "@DIR@/web.ru"],
            [get(), fresh(), post(), split_post(), local("puma.sock")], {"web.ru": PUMA}),
    Service("perl HTTP::Daemon", "libhttp-daemon-perl", ["/usr/bin/perl", "@DIR@/web.pl"],
            [get("/", STALLS), get("/file", STALLS)], {"web.pl": PERL}, families=(4,)),
]  # fmt: skip
