"""A headless browser over chromedriver's protocol (W3C WebDriver, JSON over HTTP), with nothing but the library."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars"
).split()
HAS_BROWSER = bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    """One page, what its console says, and every request that it makes."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:600]) from error

    def start(self, profile):
        switches = [*SWITCHES, f"--user-data-dir={profile}"]
        wanted = {
            "goog:chromeOptions": {"args": switches, "binary": shutil.which("chromium")},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        found = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.url += f"/session/{found['sessionId']}"
        self.call("POST", "/url", {"url": "about:blank"})  # what a new window shows has requests of its own
        self.requests()

    def devtools(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, path, *, width=1100, dark=False):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("POST", "/url", {"url": path.resolve().as_uri()})

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def log(self, kind):
        return self.call("POST", "/se/log", {"type": kind})

    def requests(self):
        """URLs that the page has asked for since this was called last."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def shot(self, path, *, top=0, height=None):
        """A picture of the page, or of a part of it."""
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": top, "width": size["width"], "height": height or size["height"] - top, "scale": 1}
        found = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))
        return size


@contextlib.contextmanager
def browser(folder):
    """A started browser with a fresh profile below `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        found = Browser(port)
        for _ in range(100):
            with contextlib.suppress(OSError):
                found.call("GET", "/status")
                break
            time.sleep(0.1)
        found.start(folder / "profile")
        try:
            yield found
        finally:
            found.call("DELETE", "")
    finally:
        driver.terminate()
        driver.wait(20)
