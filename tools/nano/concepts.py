"""Which pictures and sounds show one thing, and which things are held out; words only, no media."""

import hashlib
import re

HEARD_AND_SEEN = {
    "accordion": r"accordion",
    "banjo": r"banjo",
    "beer": r"beer",
    "bell": r"bells?",
    "bird": r"bird|crow|songbird",
    "bottle": r"bottle",
    "camera": r"camera",
    "cash till": r"cash till|cash register",
    "cello": r"cello",
    "clapping": r"clap|clapping hands|applause",
    "cymbal": r"cymbals?",
    "disc": r"cd|cd rom|optical disc|vinyl record",
    "door": r"door",
    "drop": r"drop|droplet",
    "drum": r"(?<!oil )drums?|bongo|conga|taiko|tabla",
    "flute": r"flute",
    "glass": r"(?<!magnifying )(?<!magnifing )(?<!sand )glass(?! buttons)",
    "guitar": r"guitars?",
    "gun": r"gun|pistol",
    "harp": r"harp",
    "helicopter": r"helicopter",
    "horn": r"horn",
    "keyboard": r"(?<!musical )keyboard",
    "light bulb": r"light bulb|electric light bulb|lightbulb",
    "maracas": r"maracas",
    "piano": r"piano|musical keyboard",
    "robot": r"robot|robot face",
    "saxophone": r"saxophone",
    "scissors": r"scissors",
    "telephone": r"telephone|phone|telephone receiver",
    "trombone": r"trombone",
    "trumpet": r"trumpet",
    "violin": r"violin|fiddle",
    "wave": r"seashore|water wave|ocean wave",
    "whistle": r"whistle",
}
"""Things that may be both seen and heard, and how their captions name them."""

HELD_OUT_SHARE = 10
"""One concept in so many is held out."""
UNSEEN_SHARE = 3
"""One thing that is heard and seen in so many is held out of both."""

_PATTERNS = {name: re.compile(rf"\b(?:{pattern})\b") for name, pattern in HEARD_AND_SEEN.items()}


def heard_and_seen(caption: str) -> str:
    """The thing that a caption names, "" when it names none that is both heard and seen."""
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(caption)), "")


def one_in(name: str, share: int) -> bool:
    """A choice that depends on the name alone."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % share == 0


UNSEEN = frozenset(name for name in HEARD_AND_SEEN if one_in(name, UNSEEN_SHARE))
"""Things that neither stage of the training gets to see or to hear."""


def is_held_out(concept: str) -> bool:
    """Whether a concept belongs to the test sets only."""
    thing = heard_and_seen(concept)
    return thing in UNSEEN if thing else one_in(concept, HELD_OUT_SHARE)
