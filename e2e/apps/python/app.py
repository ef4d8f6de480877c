"""An app with sessions and no library: python3 app.py [port]

What it knows of its visitor came in the header Session-Data; what it wants
remembered it answers in Session-Patch and its like.
"""

import json
import sys
from socketserver import ThreadingMixIn
from urllib.parse import parse_qs
from urllib.request import Request, urlopen
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


def call(url, method, value=None):
    body = None if value is None else json.dumps(value).encode()
    with urlopen(Request(url, body, method=method)) as response:
        return json.load(response)


def drain(environ):
    """Reads the body: to close a connection before may reset it."""
    body = environ["wsgi.input"]
    body.read(int(environ.get("CONTENT_LENGTH") or 0))
    if environ.get("HTTP_TRANSFER_ENCODING") == "chunked":
        while size := int(body.readline().split(b";")[0], 16):
            body.read(size + 2)
        while body.readline().strip():
            pass  # a trailer


def app(environ, start_response):
    drain(environ)
    session = json.loads(environ["HTTP_SESSION_DATA"])
    path = environ["PATH_INFO"]
    query = {k: v[0] for k, v in parse_qs(environ["QUERY_STRING"]).items()}
    status, headers, body = "200 OK", [], "ok"

    if path == "/":
        visits = session.get("visits", 0) + 1
        headers.append(("Session-Patch", json.dumps({"visits": visits})))
        body = f"visit {visits}"
    elif path == "/add":
        headers.append(("Session-Add", json.dumps({"clicks": 1})))
    elif path == "/set":
        # json.dumps escapes what is not ASCII: the header is plain text.
        headers.append(("Session-Patch", json.dumps({query["k"]: query["v"]})))
    elif path == "/login":
        headers.append(("Session-Principal", json.dumps(query["user"])))
    elif path == "/logout":
        headers.append(("Session-Action", "destroy"))
    elif path == "/bad":
        headers.append(("Session-Patch", "this is no JSON"))
    elif path == "/fail":
        status = "500 Internal Server Error"
        headers.append(("Session-Patch", json.dumps({"visits": -1})))
    elif path == "/endpoint":
        # The same session, by the URL of this request: staged until the
        # response's headers, which add to it.
        endpoint = environ["HTTP_SESSION_ENDPOINT"]
        call(endpoint + "/data/cart/items", "PUT", [])
        call(endpoint + "/data/cart/items/-", "PUT", "apple")
        body = json.dumps(call(endpoint + "/data/cart", "GET"))
        headers.append(("Session-Patch", json.dumps({"ordered": True})))
    elif path == "/raw":
        seen = {k: v for k, v in environ.items() if k.startswith("HTTP_SESSION") or k == "HTTP_COOKIE"}
        body = json.dumps(seen)
    else:
        status = "404 Not Found"

    start_response(status, headers + [("Content-Type", "text/plain; charset=utf-8")])
    return [body.encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    make_server("127.0.0.1", port, app, Server, Quiet).serve_forever()
