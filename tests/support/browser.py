"""Headless Chromium, driven by chromedriver in the W3C's WebDriver protocol, which is JSON over HTTP."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Enter": "\ue007", "Control": "\ue009", "Escape": "\ue00c", "Tab": "\ue004"} | {
    f"Arrow{name}": chr(0xE012 + place) for place, name in enumerate(("Left", "Up", "Right", "Down"))
}


class Browser:
    """One window. Elements are named by CSS selectors."""

    def __init__(self, http: httpx.Client, session: str) -> None:
        self._http, self._session = http, session

    def open(self, url: str) -> None:
        self._post("url", url=url)

    def js(self, code: str, *arguments: Any) -> Any:
        """The value of an expression; `arguments[0]` and so on are what is given."""
        return self._post("execute/sync", script=f"return ({code})", args=list(arguments))

    def click(self, selector: str) -> None:
        self._post(f"element/{self._element(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        self._post(f"element/{self._element(selector)}/value", text=text)

    def press(self, *keys: str) -> None:
        """Keys together, such as `press("Control", "Enter")`, where the focus is."""
        codes = [KEYS.get(key, key) for key in keys]
        steps = [{"type": "keyDown", "value": code} for code in codes]
        steps += [{"type": "keyUp", "value": code} for code in reversed(codes)]
        self._post("actions", actions=[{"type": "key", "id": "keyboard", "actions": steps}])

    def text(self, selector: str) -> str:
        return str(self.js("document.querySelector(arguments[0]).innerText", selector))

    def texts(self, selector: str) -> list[str]:
        return list(self.js("[...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector))

    def until(self, code: str, *arguments: Any, seconds: float = 60) -> Any:
        """The value of an expression as soon as it is true."""
        deadline = time.monotonic() + seconds
        while not (value := self.js(code, *arguments)):
            assert time.monotonic() < deadline, f"did not come true: {code} {arguments}; {self.text('body')[:2000]}"
            time.sleep(0.05)
        return value

    def requested(self) -> list[str]:
        """The addresses of all requests since the last call."""
        events = [json.loads(one["message"])["message"] for one in self._log("performance")]
        return [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """What stands in the console, refusals by the content security policy among it."""
        return [one["message"] for one in self._log("browser")]

    def look(self, path: Path, width: int, height: int, *, dark: bool = False) -> None:
        """A picture of the window at this size, into a file."""
        self.resize(width, height, dark=dark)
        path.write_bytes(base64.b64decode(self._cdp("Page.captureScreenshot", format="png")["data"]))

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Nothing moves: a click finds what it is meant for."""
        media = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        self._cdp("Emulation.setEmulatedMedia", features=[{"name": one, "value": media[one]} for one in media])
        self._cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def _element(self, selector: str) -> str:
        found: dict[str, str] = self._post("element", using="css selector", value=selector)
        return found[ELEMENT]

    def _cdp(self, command: str, **parameters: Any) -> Any:
        return self._post("goog/cdp/execute", cmd=command, params=parameters)

    def _log(self, kind: str) -> list[dict[str, Any]]:
        return list(self._post("se/log", type=kind))

    def _post(self, path: str, **body: Any) -> Any:
        answer = self._http.post(f"/session/{self._session}/{path}", json=body).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer


def missing() -> str | None:
    """What a test has to be skipped for."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no {' and no '.join(lacking)}: apt-get install chromium chromium-driver" if lacking else None


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile and log are in `folder`, until the end of the block."""
    log = folder / "chromedriver.log"
    with log.open("w") as printed:
        process = subprocess.Popen(["chromedriver", "--port=0"], stdout=printed, stderr=printed)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{_port(log, process)}", timeout=120, trust_env=False) as http:
            options = {
                "binary": shutil.which("chromium"),
                "args": [*FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1280,1000"],
            }
            wanted = {
                "browserName": "chrome",
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
            }
            made = http.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
            assert "sessionId" in made, made
            try:
                yield Browser(http, made["sessionId"])
            finally:
                http.delete(f"/session/{made['sessionId']}")
    finally:
        process.terminate()
        process.wait(30)


def _port(log: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if found := re.search(r"started successfully on port (\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    raise AssertionError(f"chromedriver does not start: {log.read_text()[-2000:]}")
