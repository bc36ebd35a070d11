#!/usr/bin/env bash
# Whether an integer of a pattern matches a float of an atom depends in Hyperon on what else the space
# holds: `(p 1)` matches `(p 1.0)`, but no longer when any other atom, such as `(q 1)`, has been added.
# More atoms give fewer answers. A number of the pattern is looked up by a hash of its bits; if it is
# nowhere in the space, it is compared by value with all that is there. The bits of 0 and 0.0 are the
# same, so that these two always match, and the second of them that is added becomes the first.
# `opencog-qat opencog query` answers alike, but has each number as it was written.
#
# Seen with hyperon 0.2.10: answers of spaces to patterns:
#   (p 1.0)             (p 1)       one
#   (p 1.0) (q 1)       (p 1)       none
#   (p 0.0) (q 0)       (p 0)       one
#   (p 1 1.0)           (p $x $x)   one
#   (p 0.0) (p 0)       (p $x)      0.0 twice
#
# Needs Python 3 and PyPI. Exits with 1 if what is seen is something else.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'hyperon==0.2.10'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from hyperon import GroundingSpaceRef, MeTTa

metta = MeTTa()
seen = []
for text, pattern in [
    ("(p 1.0)", "(p 1)"),
    ("(p 1.0) (q 1)", "(p 1)"),
    ("(p 0.0) (q 0)", "(p 0)"),
    ("(p 1 1.0)", "(p $x $x)"),
    ("(p 0.0) (p 0)", "(p $x)"),
]:
    space = GroundingSpaceRef()
    for atom in metta.parse_all(text):
        space.add_atom(atom)
    answers = [str(answer) for answer in space.query(metta.parse_single(pattern))]
    print(f"{text:15} {pattern:11} {answers}")
    seen.append(answers)
expected = [["{}"], [], ["{}"], ["{'x': 1}"], ["{'x': 0.0}", "{'x': 0.0}"]]
sys.exit(seen != expected)
PYTHON
