"""The media that scores are weighed on: named files of open packages, labelled by patterns over their names.

Sources: Scratch 1.4 (pictures and sounds, CC-BY-SA-3.0), Battle for Wesnoth (the same, GPL-2+) and Sonic Pi's
samples (CC0), as Debian packages. None of them is in the development set, files that are in ``sample_media``
are left out, and ``mini`` was trained on none of their pictures. Texts: for each concept its name, a phrase
and a sentence, written here.
"""

import re
from dataclasses import dataclass
from pathlib import Path

SCRATCH = "scratch/usr/share/scratch/Media"
WESNOTH = "wesnoth-1.16-data/usr/share/games/wesnoth/1.16/data/core"
FOLDERS = (
    f"{SCRATCH}/Costumes/Animals",
    f"{SCRATCH}/Costumes/Fantasy",
    f"{SCRATCH}/Costumes/People",
    f"{SCRATCH}/Costumes/Things",
    f"{SCRATCH}/Costumes/Transportation",
    f"{SCRATCH}/Backgrounds",
    f"{SCRATCH}/Sounds",
    f"{WESNOTH}/images/items",
    f"{WESNOTH}/images/portraits",
    f"{WESNOTH}/sounds",
    "sonic-pi-samples/usr/share/sonic-pi/samples",
)
IN_SAMPLE_MEDIA = {
    *("Dog1.wav", "Kitten.wav", "Crickets.wav", "CarPassing.wav", "BellToll.wav", "Trumpet1.wav", "Gong.wav"),
    *("drum_roll.flac", "train-tracks2.jpg", "airplane.gif", "car-blue.gif", "sail-boat.gif", "pathway.jpg"),
    *("tree.jpg", "wave.jpg", "beach-malibu.jpg", "drum1.gif"),
}
# What is named for its use, not for what it sounds or looks like.
UNCLEAR = re.compile(
    r"miss|hit|die\b|zombie|rider|corpse|glitch|^loop|car-c|car-b|sea.?lion|horseman|sceptre|fire-h|wraith"
)
SUFFIXES = {
    ".gif": "image",
    ".jpg": "image",
    ".png": "image",
    ".webp": "image",
    ".wav": "audio",
    ".mp3": "audio",
    ".ogg": "audio",
    ".flac": "audio",
}

# A concept: what its files are called, a phrase for it, and a sentence about it.
CONCEPTS: dict[str, tuple[str, str, str]] = {
    "dog": (r"dog\d?|puppy", "a barking dog", "The old dog lay by the fire and barked at every stranger."),
    "cat": (r"cat\d?|kitten|meow", "a cat", "She fed the kitten and it purred on the sofa all evening."),
    "horse": (r"horse\w*|unicorn\d?", "a horse", "The mare galloped across the field with her foal."),
    "cow": (r"cow\d?|buffalo\d?", "a cow in a field", "The herd of cattle came home to be milked."),
    "wolf": (r"wol(?:f|ves)\w*", "a howling wolf", "At night a pack of wolves howled in the hills."),
    "lion": (r"lion(?:ess)?\d?|cub\d?", "a lion", "The pride rested in the shade; one lioness watched us."),
    "elephant": (r"elephant\d?", "an elephant", "Elephants drink through their trunks at the water hole."),
    "bird": (
        r"bird(?:s\d?)?|parrot\d?|owl|crow|rooster|goose|duck\d?",
        "a bird",
        "We watched birds through the window, a blackbird sang in the tree.",
    ),
    "duck": (r"duck\d?|goose", "a duck", "Ducks and geese swam on the pond and quacked for bread."),
    "bat": (r"bat\d?", "a bat", "Bats flew out of the cave at dusk."),
    "insect": (
        r"insect\d?|bee\d?|grasshopper\d?|crickets?|butterfly\d?",
        "an insect",
        "Crickets chirped in the grass and a bee buzzed about the flowers.",
    ),
    "fish": (
        r"fish\d?|shark\d?|whale\d?",
        "a fish in the sea",
        "A shoal of fish swam past, and behind it a shark.",
    ),
    "dragon": (r"dragon\d?|drakes?|dinosaur\d?", "a dragon", "The dragon breathed fire over the castle."),
    "frog": (r"frog\d?", "a frog", "A green frog jumped into the pond."),
    "monkey": (r"monkey\w*", "a monkey", "Monkeys swung through the trees and stole our bananas."),
    "mouse": (r"mouse\d?", "a mouse", "A small grey mouse ran along the wall."),
    "car": (
        r"car\d?|convertible\d?|carpassing",
        "a car on the road",
        "He parked the car in the street and locked its doors.",
    ),
    "motorcycle": (r"motorcycle\w*|bike", "a motorcycle", "She rode her motorbike along the coast."),
    "train": (r"train\w*", "a train", "The train left the station on time, its carriages half empty."),
    "airplane": (
        r"airplane\d?|helicopter\d?",
        "an aircraft",
        "The plane took off from the runway into clouds.",
    ),
    "ship": (r"ship|\w*boat|yacht", "a ship at sea", "The ship left the harbour under full sail."),
    "bus": (r"bus", "a bus", "The school bus stops at the corner every morning."),
    "drum": (
        r"drum\w*|wardrums|tom|snare|bd|tabla",
        "drums",
        "The drummer kept the beat on snare and bass drum.",
    ),
    "cymbal": (
        r"cymbal\w*|ridecymbal|splash",
        "a cymbal crash",
        "He hit the cymbals at the end of the song.",
    ),
    "guitar": (r"guitar\w*|guit", "a guitar", "He tuned the strings of his guitar and played a chord."),
    "trumpet": (r"trumpet\d?|horn|fanfare", "a trumpet", "The brass band played, trumpets and horns first."),
    "bell": (r"bell(?:toll|\d)?", "a ringing bell", "The bell in the tower rang for noon."),
    "piano": (r"piano", "a piano", "She practised scales on the piano every day."),
    "singer": (r"singer\d?|choir|sing", "someone singing", "The choir sang in the chapel on Sunday."),
    "microphone": (r"mic", "a microphone", "Speak into the microphone, please."),
    "water": (
        r"water\w*|ripples|beach\w*|sea|lake|ocean|underwater\w*|pool|dripdrop",
        "water",
        "Waves rolled onto the beach and the water was cold.",
    ),
    "fire": (r"(?:camp)?fire|flame|torch|brazier", "a burning fire", "The campfire burned until morning."),
    "lightning": (r"lightning", "thunder and lightning", "A storm came up with thunder and lightning."),
    "gun": (r"gunshot|thunderstick", "a gun", "A shot was fired from the rifle."),
    "explosion": (r"explosion|bomb", "an explosion", "The bomb exploded and the wall fell."),
    "sword": (r"sword|dagger|knife|wraith", "a sword", "The knights drew their swords."),
    "bow": (r"bow|crossbow", "bow and arrow", "The archer drew the bow and let the arrow fly."),
    "baby": (r"baby\w*", "a crying baby", "The infant cried in its cradle until it was fed."),
    "laughter": (
        r"laugh\w*|laughing",
        "people laughing",
        "They laughed so hard at the joke that they cried.",
    ),
    "scream": (r"scream\w*|shouting", "someone screaming", "She screamed when she saw the ghost."),
    "dance": (r"danc\w*|ballerina|breakdancer\d?", "a dancer", "The ballet dancers rehearsed on the stage."),
    "footsteps": (r"footsteps|walking", "footsteps", "Someone walked down the corridor with heavy steps."),
    "computer": (
        r"computer\w*|laptop|typing|keyboard",
        "a computer",
        "He typed the letter on the keyboard of his laptop.",
    ),
    "door": (r"door\w*", "a door", "The door creaked open and slammed shut behind them."),
    "telephone": (r"phone\d?", "a telephone", "The phone rang three times before she answered."),
    "glass": (r"glass", "glass", "The glass broke into a hundred pieces."),
    "camera": (r"camera", "a camera", "The photographer took pictures with an old camera."),
    "robot": (r"robot\d?", "a robot", "The robot moved its metal arm."),
    "snow": (
        r"snowman\d?|snow|winter",
        "snow in winter",
        "Snow fell all night and children built a snowman.",
    ),
    "flower": (r"flower\d?", "flowers", "A bunch of flowers stood in a vase on the table."),
    "tree": (
        r"\w*tree|forest|woods|jungle",
        "trees in a forest",
        "Tall trees stood along the path in the wood.",
    ),
    "city": (
        r"city|street|building|skyline",
        "a city street",
        "The town has tall buildings and busy streets.",
    ),
    "book": (r"book\d?", "a book", "He read the book from cover to cover."),
    "ball": (r"\w*ball|soccer\d?", "a ball", "They kicked the ball and won the match."),
    "ghost": (r"ghost\d?|ghoul\d?", "a ghost", "The house was haunted by a ghost."),
    "skeleton": (r"skull\d?|skeleton|bones", "a skeleton", "They dug up bones and a skull."),
}


@dataclass(frozen=True)
class Example:
    """Something to search with and to find: a file, or words.

    Attributes:
        modality: "text", "image" or "audio".
        text: its words; of a file, its name.
        concepts: what it is about.
        path: the file.
    """

    modality: str
    text: str
    concepts: frozenset[str]
    path: Path | None = None


def examples(media: Path) -> list[Example]:
    """The files below the folder of unpacked packages, and the texts."""
    found: dict[tuple[str, str, str], Example] = {}
    for folder in FOLDERS:
        for path in sorted((media / folder).rglob("*")):
            modality = SUFFIXES.get(path.suffix.lower())
            if modality is None or UNCLEAR.search(path.stem) or path.name in IN_SAMPLE_MEDIA:
                continue
            name = words_of(path.stem)
            # One file a name: other takes and frames of one thing would count it many times.
            key = (folder, modality, re.sub(r"( \d+| [a-z])+$", "", name))
            found.setdefault(key, Example(modality, name, concepts_of(name), path))
    texts = [
        Example("text", words, frozenset({c})) for c, (_, *both) in CONCEPTS.items() for words in (c, *both)
    ]
    return [*found.values(), *texts]


def words_of(stem: str) -> str:
    """A file's name as words: "DoorCreak-2" is "door creak 2"."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stem)
    return " ".join(re.split(r"[\W_]+", split)).lower()


def concepts_of(name: str) -> frozenset[str]:
    """What something with that name is about."""
    return frozenset(c for c, (names, *_) in CONCEPTS.items() if re.search(rf"\b(?:{names})\b", name))
