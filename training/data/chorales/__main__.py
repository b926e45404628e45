"""Writes `works.csv` anew, from the files of music21; takes a minute."""

from training.data.chorales import works

if __name__ == "__main__":
    works.write(works.judged())
