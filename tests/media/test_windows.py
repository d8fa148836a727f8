from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from searchkit.media.windows import overlapping_windows


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[int], int, int]:
    window = draw(st.integers(1, 40))
    return draw(st.lists(st.integers(0, 50), max_size=12)), window, draw(st.integers(0, window - 1))


@given(streams())
def test_windows_cover_the_stream_and_overlap_as_asked(stream: tuple[list[int], int, int]) -> None:
    lengths, window, overlap = stream
    whole = np.arange(sum(lengths), dtype=np.float32)
    blocks = np.split(whole, np.cumsum(lengths)[:-1]) if lengths else []
    found = list(overlapping_windows(blocks, window, overlap))
    if len(whole) <= window:
        assert [start for start, _ in found] == [None] * bool(len(whole))
        assert all(np.array_equal(samples, whole) for _, samples in found)
        return
    starts = [start for start, _ in found]
    for start, samples in found:
        assert start is not None
        assert np.array_equal(samples, whole[start : start + window])
    hop = window - overlap
    assert starts[:-1] == list(range(0, hop * (len(starts) - 1), hop))
    assert starts[-1] == len(whole) - window
    assert 0 < starts[-1] - starts[-2] <= hop


def test_windows_come_before_the_stream_ends() -> None:
    given_out = 0

    def endless():
        nonlocal given_out
        while True:
            given_out += 1
            yield np.zeros(10, dtype=np.float32)

    windows = overlapping_windows(endless(), 30, 10)
    for _ in range(1000):
        next(windows)
    assert given_out < 2010
