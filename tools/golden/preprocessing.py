from pathlib import Path


def check_folder(folder: Path):
    return iter(())
