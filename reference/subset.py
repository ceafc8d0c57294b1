"""A small part of a folder of pictures by class, the same for every call.

    python reference/subset.py CIFAR10_FOLDER SUBSET [TRAIN] [TEST]

Copies TRAIN pictures of CIFAR10_FOLDER/train and TEST of CIFAR10_FOLDER/test (1,000 each), as many of each class, chosen by
a fixed seed. No picture of the test part is among those to learn from.
"""

import random
import shutil
import sys
from pathlib import Path


def main(source, target, train="1000", test="1000"):
    generator = random.Random(0)
    for part, count in [("train", int(train)), ("test", int(test))]:
        classes = sorted(folder for folder in (Path(source) / part).iterdir() if folder.is_dir())
        for folder in classes:
            files = sorted(folder.iterdir())
            own = Path(target) / part / folder.name
            own.mkdir(parents=True, exist_ok=True)
            for file in generator.sample(files, count // len(classes)):
                shutil.copy(file, own / file.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
