"""Chooses which frames of a video to keep, as they come; knows times and thumbnails, no file."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from searchkit.media.settings import DecodeSettings

__all__ = ["FrameChooser"]

_CANDIDATE_STEP_S = 1.0
_CANDIDATES_PER_FRAME = 4
_BLACK = 0.12


class FrameChooser:
    """Keeps a frame when the last kept one is old (the floor) or when the scene changed.

    Frames for changes of scene are given out in proportion to the time gone by, and never from those that
    the floor still needs; so a video never gets more than ``video_max_frames``, wherever its cuts lie.
    """

    def __init__(self, duration_s: float, settings: DecodeSettings) -> None:
        self.duration_s = duration_s
        limit = settings.video_max_frames
        # At most half of the frames go to the floor, so that a long film has some left for its scenes.
        interval_s = max(settings.video_frame_interval_s, 2 * duration_s / limit)
        self.interval_s = min(interval_s, duration_s / settings.video_min_frames)
        candidates = _CANDIDATES_PER_FRAME * limit
        self.step_s = max(min(_CANDIDATE_STEP_S, self.interval_s), duration_s / candidates)
        self._limit = limit
        self._threshold = settings.video_scene_threshold
        self._kept = 0
        self._next_s = 0.0
        self._last_thumbnail: npt.NDArray[np.float32] | None = None

    def due(self, time_s: float) -> bool:
        """Whether the floor wants a frame at this time."""
        # Times are rounded to the frames' own clock, so that a frame may come a little early.
        return time_s >= self._next_s - 0.01

    def keep(self, time_s: float, thumbnail: npt.NDArray[np.uint8]) -> bool:
        """Whether to keep the frame at ``time_s``; thumbnail is (h, w, 3) uint8, of one size for all."""
        small = thumbnail.astype(np.float32) / np.float32(255)
        last = self._last_thumbnail
        changed = last is not None and float(np.abs(small - last).mean()) > self._threshold
        if self._kept >= self._limit or not (self.due(time_s) or (changed and self._may_spend(time_s))):
            return False
        self._kept += 1
        self._last_thumbnail = small
        self._next_s = time_s + self.interval_s
        return True

    def is_black(self) -> bool:
        """Whether the frame kept last is black all over, as before a fade-in."""
        return self._last_thumbnail is not None and float(self._last_thumbnail.max()) < _BLACK

    def _may_spend(self, time_s: float) -> bool:
        reserved = math.ceil(max(0.0, self.duration_s - time_s) / self.interval_s)
        in_proportion = math.ceil(self._limit * (time_s + self.step_s) / self.duration_s)
        return self._kept + reserved < self._limit and self._kept < in_proportion
