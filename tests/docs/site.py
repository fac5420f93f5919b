"""The second half of `make docs`: what has been built is looked at as a reader would.

Each check prints a line. The exit status is 1 if one fails. What takes a browser is
left out without Debian's chromium, and says so.
"""

import argparse
import contextlib
import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

from tests.support.checks import passes, ran, verdict

WIDTH: Final = 1280
"""Pixels of the window that everything fits into."""

BROWSER: Final = "chromium"
"""Program, and Debian's package."""

CURLY: Final = "\u201c\u201d\u2018\u2019"

_MEASURE: Final = "/measure"
_PATIENCE_S: Final = 600

_SCRIPT: Final = """<!doctype html><pre></pre><script>
const wide = element => element.scrollWidth > element.clientWidth;
async function look(name) {
    const frame = document.createElement("iframe");
    frame.style.width = "%(width)dpx";
    frame.style.height = "900px";
    frame.src = name;
    await new Promise(seen => { frame.onload = seen; document.body.append(frame); });
    const page = frame.contentDocument;
    const boxes = [page.documentElement,
        ...page.querySelectorAll("pre, .table-wrapper, .highlight")];
    const found = boxes.filter(wide).map(box => [name, box.tagName, box.scrollWidth,
        box.clientWidth, box.innerText.slice(0, 60)]);
    frame.remove();
    return found;
}
(async () => {
    const found = [];
    for (const name of %(names)s) found.push(...await look(name));
    document.querySelector("pre").textContent = JSON.stringify(found);
})();
</script>"""


@final
class _Server(http.server.ThreadingHTTPServer):
    """A site, and beside it a page that measures its pages."""

    def __init__(self, site: Path) -> None:
        names = json.dumps(sorted(page.name for page in site.glob("*.html")))
        self.script = (_SCRIPT % {"width": WIDTH, "names": names}).encode()
        super().__init__(
            ("127.0.0.1", 0), functools.partial(_Handler, directory=str(site))
        )


@final
class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != _MEASURE:
            super().do_GET()
            return
        assert isinstance(self.server, _Server)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.script)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _served(site: Path) -> Iterator[str]:
    with _Server(site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def too_wide(site: Path, browser: str) -> list[str]:
    """Measure all pages, and say what a reader would have to push sideways."""
    with tempfile.TemporaryDirectory() as profile, _served(site) as address:
        words = [browser, "--headless", "--disable-gpu", f"--user-data-dir={profile}"]
        # The sandbox is for strangers' pages, and not for root.
        words += ["--no-sandbox", "--virtual-time-budget=600000", "--dump-dom"]
        try:
            done = ran([*words, address + _MEASURE], timeout=_PATIENCE_S)
        except subprocess.CalledProcessError as error:
            raise AssertionError(error.stderr) from error
    found = re.search(r"<pre>(\[.*\])</pre>", done.stdout)
    assert found, f"{browser} does not measure: {done.stdout}{done.stderr}"
    rows = json.loads(html.unescape(found[1]))
    return [
        f"{name}: {tag} takes {wanted} px of {given}: {text!r}"
        for name, tag, wanted, given, text in rows
    ]


def quotes_stay(site: Path) -> str:
    """A value is copied from a page with the quotes that it is to have."""
    pages = sorted(site.glob("*.html"))
    assert pages, f"there is no site in {site}"
    bent = [page.name for page in pages if set(CURLY) & set(page.read_text("utf-8"))]
    assert not bent, f"curly quotes in {bent}"
    return f"in {len(pages)} pages"


def everything_fits(site: Path) -> str:
    """No table, line or page is wider than it can be on a small screen."""
    browser = shutil.which(BROWSER)
    if browser is None:
        return f"not measured, which takes: apt-get install {BROWSER}"
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder)
        (sample / "good.html").write_text("<!doctype html><pre>x</pre>")
        wide = f"<!doctype html><pre style='overflow: auto'>{'x' * 400}</pre>"
        (sample / "bad.html").write_text(wide)
        (control,) = too_wide(sample, browser)
        assert control.startswith("bad.html: PRE takes "), control
    found = too_wide(site, browser)
    assert not found, "\n".join(found)
    return f"into {WIDTH} px"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("site", type=Path)
    site = parser.parse_args().site
    return verdict([passes(check, site) for check in (quotes_stay, everything_fits)])


if __name__ == "__main__":
    sys.exit(main())
