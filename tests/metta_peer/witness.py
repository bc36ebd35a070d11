"""What Hyperon makes of MeTTa, against what we do.

    witness.py texts JOBS     parses files, compares each atom as it is printed
    witness.py queries JOBS   matches patterns in spaces of these files, compares answers
    witness.py load FILE      loads a file as its runner does; seconds and peak memory

JOBS is a file of JSON. Says what differs and exits with 1 if anything does.
"""

import json
import os
import re
import sys
import time

from hyperon import ExpressionAtom, G, GroundingSpaceRef, MeTTa, VariableAtom


def read(name):
    with open(name, encoding="utf-8", newline="") as file:
        return file.read()


def printed(atom):
    """An atom as it is printed; the name of the runner's own space has an address in it."""
    return re.sub(r"ModuleSpace\(GroundingSpace-top\)", "&self", str(atom))


def at_the_top(metta, text):
    """The atoms that a runner adds to its space, and how many it runs instead."""
    atoms, commands, is_command = [], 0, False
    for atom in metta.parse_all(text):
        if str(atom) == "!":
            is_command = True
        elif is_command:
            is_command, commands = False, commands + 1
        else:
            atoms.append(atom)
    return atoms, commands


def texts(jobs):
    """Each job: a file, what we wrote of it, and how many commands we passed over."""
    metta = MeTTa()
    for job in jobs:
        atoms, commands = at_the_top(metta, read(job["file"]))
        theirs, ours = [printed(atom) for atom in atoms], read(job["written"]).split("\n")[:-1]
        again, _ = at_the_top(metta, read(job["written"]))
        agree = theirs == ours and commands == job["commands"]
        if not agree or [printed(atom) for atom in again] != theirs:
            at = next((i for i, pair in enumerate(zip(theirs, ours)) if pair[0] != pair[1]), None)
            shown = (theirs[at], ours[at]) if at is not None else (len(theirs), len(ours), commands)
            yield f"{job['file']}: {shown}"
        print(f"{job['file']}: {len(theirs)} atoms at the top, {commands} commands")


def canonical(atom, names):
    """An atom in which variables are called by the order in which they occur."""
    if isinstance(atom, ExpressionAtom):
        return "(" + " ".join(canonical(child, names) for child in atom.get_children()) + ")"
    if isinstance(atom, VariableAtom):
        return names.setdefault(str(atom), f"${len(names)}")
    return printed(atom)


def rows(atoms):
    return sorted(canonical(atom, {}) for atom in atoms)


def in_a_process(of):
    """What a function gives, as JSON brings it; none if it ends the process, as some of Hyperon's do."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with os.fdopen(writer, "w", encoding="utf-8") as file:
            json.dump(of(), file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        said = file.read()
    return json.loads(said) if os.waitpid(child, 0)[1] == 0 else None


def queries(jobs):
    """Each job: a file, and patterns with their variables and our answers."""
    compared = answered = stopped = 0
    for job in jobs:
        metta, space = MeTTa(), GroundingSpaceRef()
        for atom in at_the_top(metta, read(job["file"]))[0]:
            space.add_atom(atom)
        metta.register_atom("&kb", G(space))
        for query in job["queries"]:
            template = "(answer " + " ".join(query["variables"]) + ")"
            # What is quoted is not evaluated.
            asked = f"!(match &kb {query['pattern']} (quote {template}))"
            theirs = in_a_process(
                lambda: rows(atom.get_children()[1] for atom in metta.run(asked)[0])
            )
            if theirs is None:
                stopped += 1
                continue
            ours = [metta.parse_single("(answer " + " ".join(row) + ")") for row in query["rows"]]
            if theirs != rows(ours):
                shown = f"theirs {theirs[:9]}\n  ours   {rows(ours)[:9]}"
                yield f"{job['file']}: {query['pattern']}\n  {shown}"
            compared, answered = compared + 1, answered + len(theirs)
    print(f"{compared} patterns, {answered} answers; Hyperon stopped at {stopped} more")


def load(name):
    metta = MeTTa()
    metta.run("(warm up)")
    text = read(name)
    start = time.perf_counter()
    metta.run(text)
    seconds = time.perf_counter() - start
    with open("/proc/self/status", encoding="ascii") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    print(json.dumps({"seconds": seconds, "peak_kib": peak}))
    return []


def main():
    what, name = sys.argv[1:]
    found = list(load(name) if what == "load" else globals()[what](json.loads(read(name))))
    print("\n".join(found))
    sys.exit(1 if found else 0)


main()
