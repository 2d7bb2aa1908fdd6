"""An application behind a proxy and parajwt-gateway, with a WSGI server.

WSGI gives header fields the names of CGI: X-Para-User-Id and X_Para_User_Id are
both HTTP_X_PARA_USER_ID (PEP 3333). It refuses a request without a user, and
responds with the method, the path and the fields of the request.

    python3 application.py [PORT]

Without a port it selects a free one. It prints the port.
"""

import json
import sys
from socketserver import ThreadingMixIn
from urllib.parse import unquote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(WSGIRequestHandler):
    def log_message(self, *args):
        pass


def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers = [("Content-Type", "application/json"), ("X-Application", "python")]
    if not environ.get("HTTP_X_PARA_USER_ID"):
        start_response("403 Forbidden", headers)
        return [b'{"refused": "no X-Para-User-Id"}\n']
    start_response("200 OK", headers)
    got = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "body": len(body),
        "identifier": unquote(environ["HTTP_X_PARA_IDENTIFIER"]),
        "fields": {k: v for k, v in environ.items() if k.startswith("HTTP_")},
    }
    return [json.dumps(got).encode() + b"\n"]


port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
with make_server("127.0.0.1", port, application, Server, Handler) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
