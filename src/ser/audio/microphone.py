"""Recording from a microphone, and windows over the most recent samples, one each hop.

The sound comes from any iterator of blocks, so the code for windows also works with the samples of a file.
"""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from ser.audio.waveform import Waveform
from ser.errors import DataError
from ser.system.optional import import_optional, install_hint
from ser.units import samples_to_seconds, seconds_to_samples

CAPTURE_RATE = 48_000
"""Sample rate in Hz. Sound cards support it natively; their resampling to other rates is poor."""
BLOCK_MILLISECONDS = 50
LOST_SECONDS = 3.0
"""Time without a sample after which the microphone counts as disconnected; a muted microphone sends samples too."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The most recent window at one point in time."""

    seconds: float
    """Time from the start to the newest sample."""
    samples: Waveform
    """The most recent samples, at most one window."""
    newest: int
    """Number of samples since the previous moment, at most one window."""
    missed: int
    """Number of hops skipped since the previous moment, because processing it took too long."""


def moments(blocks: Iterator[Waveform], sample_rate: int, window: float, hop: float) -> Iterator[Moment]:
    """Yield a `Moment` for each hop of new samples, and one for a shorter rest at the end.

    Args:
        blocks: arrays (samples,) of any length. Samples that arrive while the caller is busy come as one block.
        window, hop: in seconds.

    >>> blocks = iter(np.arange(10, dtype=np.float32).reshape(5, 2))
    >>> [(moment.seconds, moment.samples.tolist()) for moment in moments(blocks, sample_rate=2, window=2, hop=2)]
    [(2.0, [0.0, 1.0, 2.0, 3.0]), (4.0, [4.0, 5.0, 6.0, 7.0]), (5.0, [6.0, 7.0, 8.0, 9.0])]
    """
    most, step = seconds_to_samples(window, sample_rate), seconds_to_samples(hop, sample_rate)
    samples, count, before = np.zeros(0, np.float32), 0, 0

    def moment() -> Moment:
        return Moment(samples_to_seconds(count, sample_rate), samples, min(count - before, most), max(0, (count - before) // step - 1))

    for block in blocks:
        samples, count = np.concatenate([samples, block])[-most:], count + len(block)
        if count - before >= step:
            yield moment()
            before = count
    if count > before:
        yield moment()


def limited(blocks: Iterator[Waveform], samples: int) -> Iterator[Waveform]:
    """Yield the blocks up to a total number of samples.

    >>> [len(block) for block in limited(iter([np.zeros(3, np.float32)] * 3), 5)]
    [3, 2]
    """
    for block in blocks:
        yield block[:samples]
        samples -= len(block)
        if samples <= 0:
            return


class CaptureDevice(Protocol):
    """The part of miniaudio's class of the same name that is used here."""

    stop_callback: Callable[[], None]

    def start(self, callback_generator: Generator[None, bytearray]) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class Microphone(AbstractContextManager["Microphone"]):
    """The default microphone of the system, one channel."""

    sample_rate = CAPTURE_RATE

    def __init__(self) -> None:
        """
        Raises:
            ConfigError: miniaudio is not installed.
            DataError: there is no microphone, or another program uses it exclusively.
        """
        self.device = open_device()
        self.queue: SimpleQueue[bytes | None] = SimpleQueue()
        """Bytes received in the thread of the device; None means that the device is gone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.device.close()

    def blocks(self) -> Iterator[Waveform]:
        """Yield the recorded samples, (samples,), from now on. Samples that arrived since the last block are joined into one.

        Raises:
            DataError: the device cannot be started, or sends no more sound.
        """
        self.start()
        while True:
            try:
                pieces = [self.queue.get(timeout=LOST_SECONDS)]
            except Empty:
                pieces = [None]
            while not self.queue.empty():
                pieces.append(self.queue.get())
            whole = [piece for piece in pieces if piece is not None]
            if whole:
                yield np.frombuffer(b"".join(whole), np.float32)
            if len(whole) < len(pieces):
                raise DataError("the microphone sends no more sound: is it still connected?")

    def start(self) -> None:
        """Start recording. Raises the errors of `blocks`."""
        from miniaudio import MiniaudioError

        receiver = put_into(self.queue)
        next(receiver)
        self.device.stop_callback = lambda: self.queue.put(None)
        try:
            self.device.start(receiver)
        except MiniaudioError as error:
            raise DataError(f"the microphone cannot be started ({device_message(error)})") from None


def put_into(queue: "SimpleQueue[bytes | None]") -> Generator[None, bytearray]:
    """Generator that receives samples from the device and puts them into the queue."""
    while True:
        queue.put(bytes((yield)))


def open_device() -> CaptureDevice:
    """Open the default microphone. Raises the errors of `Microphone`."""
    miniaudio = import_optional("miniaudio", f"--mic needs miniaudio: {install_hint('mic')}")
    try:
        with quiet():
            device: CaptureDevice = miniaudio.CaptureDevice(
                input_format=miniaudio.SampleFormat.FLOAT32,
                nchannels=1,
                sample_rate=CAPTURE_RATE,
                buffersize_msec=BLOCK_MILLISECONDS,
                backends=backends(),
                app_name="ser",
            )
            return device
    except miniaudio.MiniaudioError as error:
        raise DataError(f"no microphone can be opened ({device_message(error)}): is one connected, and may this program use it?") from None


def backends() -> list[object]:
    """Audio backends in miniaudio's order, without the null backend, which replaces a missing microphone with silence."""
    import miniaudio

    known = sorted(miniaudio.get_enabled_backends(), key=lambda backend: int(backend.value))
    return [backend for backend in known if backend is not miniaudio.Backend.NULL]


def device_message(error: Exception) -> str:
    """Text of an error of miniaudio.

    >>> device_message(Exception("failed to init device", -401))
    'failed to init device, -401'
    """
    return ", ".join(map(str, error.args))


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress standard error during the block: ALSA prints pages about every device that it does not find."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # it is closed
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
