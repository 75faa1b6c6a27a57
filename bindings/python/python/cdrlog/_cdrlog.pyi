from collections.abc import Callable
from os import PathLike
from types import TracebackType
from typing import Literal, Self

Buffer = bytes | bytearray | memoryview

class Position:
    file: str
    offset: int
    line_bytes: int

class Ack:
    def wait(self, timeout: float | None = None) -> Position: ...

class Appender:
    def __init__(
        self,
        directory: str | PathLike[str],
        *,
        queue_events_max: int = 32_768,
        queue_bytes_max: int = 16 << 20,
        event_bytes_max: int = 1 << 20,
        segment_count: int = 4,
        segment_bytes: int = 1 << 20,
        flush_interval: float = 0.02,
        sync_policy: Literal["never", "always"] | float = 1.0,
        write_retry_timeout: float | None = None,
        close_timeout: float = 5.0,
        utc: bool = False,
        rotate_daily: bool = True,
        rotate_bytes: int | None = None,
        compression: Literal["none", "zstd", "gzip"] = "none",
        retention_age: float | None = 2_592_000.0,
        retention_bytes: int | None = 20_000_000_000,
        manage_foreign: bool = False,
        time_marks: bool = False,
        inbox_directory: str | PathLike[str] | None = "/dev/shm",
        on_notice: Callable[[str], object] | None = None,
    ) -> None: ...
    def send(self, event: str | Buffer) -> None: ...
    def try_send(self, event: str | Buffer) -> bool: ...
    def send_acked(self, event: str | Buffer, durability: Literal["journaled", "written", "synced"]) -> Ack: ...
    def flush(self) -> None: ...
    def sync(self) -> None: ...
    def rotate(self) -> None: ...
    def wait_for_maintenance(self) -> None: ...
    def stats(self) -> dict[str, int]: ...
    def close(self) -> None: ...
    @property
    def cdr_path(self) -> str: ...
    @property
    def rejects_path(self) -> str: ...
    @property
    def inbox_path(self) -> str | None: ...
    @property
    def recovered(self) -> str | None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

class Reader:
    def __init__(
        self,
        directory: str | PathLike[str],
        *,
        rejects: bool = False,
        follow: bool = False,
        begin: tuple[str, int] | None = None,
        line_bytes_max: int | None = None,
    ) -> None: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...
    def read_line(self) -> bytes | None: ...
    @property
    def position(self) -> tuple[str, int] | None: ...

def rewrite(event: str | Buffer, event_bytes_max: int = 1 << 20) -> bytes: ...
