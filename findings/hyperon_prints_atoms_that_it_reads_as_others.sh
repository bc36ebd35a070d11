#!/usr/bin/env bash
# Not all that Hyperon prints of an atom is read as that atom again. An infinite float, which `1e400`
# is, is printed `inf`, which is a symbol; a string with a character 0 is printed `"\0"`, an escape
# that its own parser refuses; and the words `PI` and `EXP` are read as numbers, and printed as such.
# A text that is loaded and printed again thus says something else, or cannot be loaded.
# `opencog-qat opencog export` writes 1e999 and \x00, which are read as they were.
#
# Seen with hyperon 0.2.10:
#   1e400     a number, printed inf, which is read as a symbol
#   "\x00"    a string, printed "\0", which is refused: Invalid escape sequence
#   PI        a number, printed 3.141592653589793
#
# Needs Python 3 and PyPI. Exits with 1 if what is seen is something else.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'hyperon==0.2.10'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from hyperon import MeTTa

metta = MeTTa()


def seen(text):
    """An atom's kind as it is printed, and the kind of what that is read as."""
    atom = metta.parse_single(text)
    try:
        again = type(metta.parse_single(str(atom))).__name__
    except Exception as error:
        again = str(error)
    row = (type(atom).__name__, str(atom), again)
    print(f"{text:8} {row}")
    return row


rows = [seen(text) for text in ["1e400", r'"\x00"', "PI"]]
sys.exit(
    rows
    != [
        ("GroundedAtom", "inf", "SymbolAtom"),
        ("GroundedAtom", r'"\0"', "Invalid escape sequence"),
        ("GroundedAtom", "3.141592653589793", "GroundedAtom"),
    ]
)
PYTHON
