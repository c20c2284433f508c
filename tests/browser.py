"""A real browser for tests of pages: a Chromium on the PATH, spoken to over a pipe.

It needs no network and no library. Where there is none, tests that need it are skipped.
"""

import base64
import contextlib
import io
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
FLAGS = (
    *('--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--hide-scrollbars'),
    *('--disable-background-networking', '--disable-component-update', '--disable-sync'),
    *('--disable-default-apps', '--disable-extensions', '--disable-dev-shm-usage'),
    '--host-resolver-rules=MAP * ~NOTFOUND',  # no name has an address
    '--remote-debugging-pipe',
)
# gives the pipe's ends the numbers that the browser reads and writes
START = 'import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); '
START += 'os.execvp(sys.argv[3], sys.argv[3:])'
SECONDS = 60.0  # for an answer


class Browser:
    """A browser without windows, and the pages that it has open."""

    def __init__(self, executable: str, folder: str):
        """Starts it with the empty folder of a new user."""
        to_it, self._write = os.pipe()
        self._read, from_it = os.pipe()
        command = [executable, *FLAGS, f'--user-data-dir={folder}', 'about:blank']
        self._process = subprocess.Popen(
            [sys.executable, '-c', START, str(to_it), str(from_it), *command],
            pass_fds=(to_it, from_it),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_it)
        os.close(from_it)
        self._last_id, self._rest, self._events = 0, b'', []

    def close(self) -> None:
        """Ends it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        self._last_id += 1
        message = {'id': self._last_id, 'method': method, 'params': parameters}
        message |= {'sessionId': session} if session else {}
        os.write(self._write, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._next()
            if answer.get('id') == self._last_id:
                assert 'error' not in answer, (method, answer['error'])
                return answer['result']
            self._events.append(answer)

    def events(self, session: str) -> list[dict[str, Any]]:
        """Returns the events of a page until now."""
        self.ask('Browser.getVersion')  # what came before its answer has been read then
        return [event for event in self._events if event.get('sessionId') == session]

    def _next(self) -> dict[str, Any]:
        while b'\0' not in self._rest:
            ready, _, _ = select.select([self._read], [], [], SECONDS)
            assert ready, 'the browser does not answer'
            block = os.read(self._read, 1 << 20)
            assert block, 'the browser has ended'
            self._rest += block
        message, _, self._rest = self._rest.partition(b'\0')
        return json.loads(message)

    def open(
        self, path: pathlib.Path, width: int = 1200, height: int = 900, **features: str
    ) -> 'Page':
        """Opens a file and waits until it is loaded.

        Args:
          path: of the file.
          width: of the window, in pixels; below 500 it is that of a phone.
          height: of the window.
          features: of the medium, such as prefers_color_scheme='dark'.
        """
        target = self.ask('Target.createTarget', url='about:blank')['targetId']
        session = self.ask('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self.ask(f'{domain}.enable', session)
        size = dict(width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.ask('Emulation.setDeviceMetricsOverride', session, **size)
        pairs = [{'name': k.replace('_', '-'), 'value': v} for k, v in features.items()]
        self.ask('Emulation.setEmulatedMedia', session, features=pairs)
        page = Page(self, session)
        self.ask('Page.navigate', session, url=path.resolve().as_uri())
        page.wait_for("document.readyState === 'complete'")
        return page


class Page:
    """An open page."""

    def __init__(self, browser: Browser, session: str):
        """`session` is the browser's name of the page."""
        self._browser, self._session = browser, session

    def value(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression in the page."""
        answer = self._browser.ask(
            'Runtime.evaluate', self._session, expression=expression, returnByValue=True
        )
        assert 'exceptionDetails' not in answer, answer['exceptionDetails']
        return answer['result'].get('value')

    def wait_for(self, expression: str) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.value(expression):
            assert time.monotonic() < end, f'{expression} does not become true'
            time.sleep(0.02)

    def problems(self) -> list[str]:
        """Returns errors and warnings of the console, exceptions and dialogs."""
        found = []
        for event in self._browser.events(self._session):
            name, details = event['method'], event['params']
            is_message = name in ('Runtime.consoleAPICalled', 'Log.entryAdded')
            if is_message or name in ('Runtime.exceptionThrown', 'Page.javascriptDialogOpening'):
                found.append(f'{name}: {json.dumps(details)[:500]}')
        return found

    def requests(self) -> list[str]:
        """Returns the addresses that the page has asked for, without what lies in the page, and
        without what its policy forbids, which the browser does not ask for.
        """
        events = self._browser.events(self._session)
        of = lambda name: [e['params'] for e in events if e['method'] == f'Network.{name}']
        stopped = {
            each['requestId'] for each in of('loadingFailed') if each.get('blockedReason') == 'csp'
        }
        sent = [each for each in of('requestWillBeSent') if each['requestId'] not in stopped]
        urls = [each['request']['url'] for each in sent]
        return [url for url in urls if not url.startswith('data:')]

    def screenshot(self) -> np.ndarray:
        """Returns what is seen, uint8 [height, width, 3]."""
        from PIL import Image

        answer = self._browser.ask('Page.captureScreenshot', self._session, format='png')
        image = Image.open(io.BytesIO(base64.b64decode(answer['data'])))
        return np.asarray(image.convert('RGB'))

    def pdf(self) -> bytes:
        """Returns the printed page."""
        return base64.b64decode(self._browser.ask('Page.printToPDF', self._session)['data'])


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """Starts a browser, or skips the test if there is none on the PATH that starts."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f'no browser on the PATH: none of {", ".join(NAMES)}')
    with tempfile.TemporaryDirectory(prefix='browser-', ignore_cleanup_errors=True) as folder:
        browser = Browser(executable, folder)
        try:
            _check(browser, executable)
            yield browser
        finally:
            browser.close()


def _check(browser: Browser, executable: str) -> None:
    """Skips the test if the browser does not answer, such as a stub that only prints advice."""
    try:
        browser.ask('Browser.getVersion')
    except (AssertionError, OSError) as error:
        pytest.skip(f'{executable} does not start: {error}')
