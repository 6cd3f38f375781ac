"""A web server whose only page takes its time: `python -m tests.lab.paced_page PORT SECONDS`.

The page is of random bytes, 32 kB every 0.05 s, and its ETag is their SHA-256: whoever has all of it can tell.
"""

import contextlib
import hashlib
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE_BYTES = 32 * 1024
PERIOD_S = 0.05


class _PacedPage(BaseHTTPRequestHandler):
    pieces: tuple[bytes, ...]

    def do_GET(self) -> None:
        """Send the page."""
        self.send_response(200)
        self.send_header("Content-Length", str(sum(map(len, self.pieces))))
        self.send_header("ETag", f'"{hashlib.sha256(b"".join(self.pieces)).hexdigest()}"')
        self.end_headers()
        with contextlib.suppress(OSError):
            for piece in self.pieces:
                self.wfile.write(piece)
                time.sleep(PERIOD_S)


def main() -> None:
    """Serve until killed."""
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    dice = random.Random(port)  # noqa: S311 - the same bytes on every server
    _PacedPage.pieces = tuple(dice.randbytes(PIECE_BYTES) for _ in range(int(seconds / PERIOD_S)))
    with ThreadingHTTPServer(("", port), _PacedPage) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
