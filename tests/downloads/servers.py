"""A server on this machine that answers as told, well or badly, and what it has."""

import contextlib
import http.server
import socket
import threading

# The shipped preset that is published.
NAME = "two_layer_dense_complex_unit_ard_magnitude_digits"


def contents(folder):
    """File name → bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Server(http.server.ThreadingHTTPServer):
    """Path → what is answered: bytes, or a function of the handler.

    Attributes:
        answers: That dictionary.
        asked: `(path, headers)` of each request.
        stopped: Set when the test is over; for answers that wait.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {}
        self.asked = []
        self.stopped = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def paths(self):
        """The paths that were asked for, in order."""
        return [path for path, _ in self.asked]

    def publish(self, folder, path):
        """Serves the files of a folder. Returns its URL."""
        for name, data in contents(folder).items():
            self.answers[f"{path}/{name}"] = data
        return self.url + path

    def handle_error(self, request, client_address):
        """Clients that hang up are what the tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise each answer takes 40 milliseconds.
    disable_nagle_algorithm = True

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        answer = self.server.answers.get(self.path)
        if callable(answer):
            answer(self)
        elif answer is None:
            send(self, b"<html>no such page</html>", 404)
        else:
            send(self, answer)

    def log_message(self, *args):
        """Not on the terminal."""


def send(handler, body, status=200, **headers):
    """Sends an answer; a header that is `None` is left out."""
    headers = {"Content_Length": len(body), **headers}
    handler.send_response(status)
    for name, value in headers.items():
        if value is not None:
            handler.send_header(name.replace("_", "-"), str(value))
    if headers["Content_Length"] != len(body):
        # Otherwise the client waits for more.
        handler.close_connection = True
    handler.end_headers()
    handler.wfile.write(body)


def hang_up(handler):
    """No answer at all."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def redirect(location):
    """An answer that leads elsewhere."""
    return lambda handler: send(handler, b"", 302, Location=location)


@contextlib.contextmanager
def running():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
