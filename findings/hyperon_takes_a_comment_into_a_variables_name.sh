#!/usr/bin/env bash
# Hyperon's parser ends a word at a `;`, which begins a comment, but not a variable: of `$x;the cat` the
# name is `x;the`, and `cat` is an atom of its own. So a note behind a variable changes what the text
# says, without an error, where the same note behind a symbol does not. A blank before the `;` helps.
# `opencog-qat` reads both as Hyperon does, so that the atoms are the same.
#
# Seen with hyperon 0.2.10:
#   (likes $x;who\n fish)    reads as (likes $x;who fish)
#   (likes cat;who\n fish)   reads as (likes cat fish)
#   (likes $x ;who\n fish)   reads as (likes $x fish)
#   (= (f $x;who\n) $x) and (f 1): the rule gives $x, not 1
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
texts = ["(likes $x;who\n fish)", "(likes cat;who\n fish)", "(likes $x ;who\n fish)"]
read = [" ".join(str(atom) for atom in metta.parse_all(text)) for text in texts]
for text, atoms in zip(texts, read):
    print(f"{text!r} reads as {atoms}")
with_note = str(MeTTa().run("(= (f $x;who\n) $x) !(f 1)")[0])
without = str(MeTTa().run("(= (f $x) $x) !(f 1)")[0])
print(f"(f 1) is {with_note} by the rule with the note, {without} by the one without")
expected = ["(likes $x;who fish)", "(likes cat fish)", "(likes $x fish)"]
sys.exit(not (read == expected and without == "[1]" and with_note != "[1]"))
PYTHON
