"""The first signal requests a stop, the second interrupts."""

from __future__ import annotations

import signal
import threading

import pytest

from cropcam.model.runtime.signals import stop_requested


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_requested() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_another_thread_changes_no_handler() -> None:
    before, states = signal.getsignal(signal.SIGINT), []

    def block() -> None:
        with stop_requested() as stop:
            states.append((stop(), signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert states == [(False, True)]
