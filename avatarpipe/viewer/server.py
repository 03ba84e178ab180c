"""viser's web server, bound to one address, for one page, without its ways out."""

import contextlib
import errno
import ipaddress
import logging
import os
import socket
import warnings
from urllib.parse import urlsplit

import viser
from viser import _messages as messages

from avatarpipe.errors import InputError

LOOPBACK = "127.0.0.1"
_REFUSED = 1008  # RFC 6455, 7.4.1: policy violation


def start_server(host: str, port: int) -> viser.ViserServer:
    """A running server on exactly this address; port 0 takes any free one. Raises InputError where that cannot be.

    Pages of other sites cannot connect: a browser sends the page's own address along, which must be the server's, or the
    machine itself where the server is bound to loopback. The page cannot ask for a tunnel to the outside.
    """
    _require_free(host, port)
    logging.getLogger("websockets").setLevel(logging.WARNING)  # a line a connection
    warnings.filterwarnings("ignore", "Queued a .* on a closed connection")  # a window was closed
    with _silence():
        server = viser.ViserServer(host, port, "avatarpipe", verbose=False)
    if port and server.get_port() != port:  # taken since we looked
        stop_server(server)
        raise InputError(_in_use(host, port))
    wire = server._websock_server
    for request in (messages.ShareUrlRequest, messages.ShareUrlDisconnect):
        wire.unregister_handler(request)

    async def refuse_strangers(client) -> None:
        connection = wire._live_connections[client.client_id]
        headers = connection.request.headers
        if not is_own_page(headers.get("Origin"), headers.get("Host"), host):
            logging.warning("refused a page of %s", headers.get("Origin"))
            await connection.close(_REFUSED, "this viewer serves its own page only")

    wire.on_client_connect(refuse_strangers)
    return server


def stop_server(server: viser.ViserServer) -> None:
    """End it without viser's words."""
    with _silence():
        server.stop()


def is_own_page(origin: str | None, host: str | None, bound: str) -> bool:
    """Whether a page at `origin` may connect to a server asked for as `host` and bound to the address `bound`."""
    if origin is None:  # no browser
        return True
    page = urlsplit(origin)
    if is_loopback(bound):
        return page.hostname is not None and is_loopback(page.hostname)
    return bool(page.netloc) and page.netloc == host


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url(host: str, port: int) -> str:
    """Where to point a browser."""
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def _require_free(host: str, port: int) -> None:
    if not 0 <= port < 65536:
        raise InputError(f"--port {port}: a number from 0 (any free one) to 65535 was expected.")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise InputError(
            f"--host {host}: no address of this machine ({error.strerror})."
        ) from error
    except PermissionError as error:
        raise InputError(f"--port {port}: needs root; use one above 1023.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(_in_use(host, port)) from error
        raise InputError(f"--host {host}: cannot be bound ({os.strerror(error.errno)}).") from error


def _in_use(host: str, port: int) -> str:
    return (
        f"--port {port}: in use on {host}, perhaps by another viewer. "
        f"Stop that one, or give another, such as --port {port + 1 if port < 65535 else 8081}."
    )


@contextlib.contextmanager
def _silence():
    """viser prints a panel when it starts and a line when it stops."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
