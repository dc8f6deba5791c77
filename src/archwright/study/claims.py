"""One process at a time has a study: a lock on its folder, a lease in a database that machines share."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from archwright.errors import StudyError

if TYPE_CHECKING:
    from archwright.study.storage import Store

LEASE_SECONDS = 60.0


def lock_folder(path: Path) -> FileLock:
    """Claim a study's folder, made where it is not there.

    Raises:
        StudyError: another process has it, or it cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise StudyError(f"--study {path} is a file; name a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / "study.lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise StudyError(
            f"the study {path} is in use by another process; wait until it ends, or use --workers for more speed"
        ) from None
    except OSError as error:
        raise StudyError(
            f"cannot write in {path}: {error.strerror}; choose a --study folder that is writable"
        ) from error
    return lock


class Lease:
    """A claim on a study in a shared database, renewed while its owner lives."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = uuid.uuid4().hex
        held = store.get("lease")
        if held and held["until"] > time.time():
            raise StudyError(
                f"the study {store.name!r} in this database is in use by process {held['pid']} on {held['host']}; wait "
                f"until it ends (a dead one lets go after {LEASE_SECONDS:.0f} s), or use --workers for more speed"
            )
        self._renew()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        until = time.time() + LEASE_SECONDS
        claim = {"owner": self._owner, "host": socket.gethostname(), "pid": os.getpid(), "until": until}
        self._store.set("lease", claim)

    def _keep(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 3):
            self._renew()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._store.set("lease", None)
