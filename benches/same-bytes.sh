#!/usr/bin/env bash
# Builds two commits and compares what twelve commands write: a change of structure changes no byte.
#
#   benches/same-bytes.sh BEFORE AFTER [MODEL.gguf]
#
# BEFORE and AFTER are commits, or binaries that were built already.
# Files are compared by their SHA-256. With MODEL, some of the commands run on it too; that takes
# minutes each.
set -euo pipefail
before=$1 after=$2 model=${3:-}
root=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'git -C "$root" worktree prune; rm -rf "$work"' EXIT

binary() { # COMMIT OR BINARY, NAME: puts the binary where it is called NAME
    if [ -x "$1" ] && [ ! -d "$1" ]; then
        cp "$1" "$work/$2"
        return
    fi
    local tree=$work/tree-$2
    git -C "$root" worktree add --quiet --detach --force "$tree" "$1"
    (cd "$tree" && cargo build --release --quiet --target-dir "$work/target")
    cp "$work/target/release/opencog-qat" "$work/$2"
    git -C "$root" worktree remove --force "$tree"
}

tiny=$root/examples/tiny.gguf
printf '(InheritanceLink (stv 0.9 0.8) (ConceptNode "cat") (ConceptNode "animal"))\n' >"$work/kb.scm"
printf '(: Bob Person)\n(parent Tom Bob)\n' >"$work/kb.metta"
few="--batches 2 --batch-size 4 --seq-len 64"
commands=(
    "$tiny OUT.gguf --effort fast"
    "$tiny OUT.gguf --effort fast --portable --bits 4:6"
    "$tiny OUT.gguf $few"
    "$tiny OUT.gguf $few --bpw 5 --threads 1"
    "$tiny OUT.gguf $few --bpw 5 --seed 7"
    "$tiny OUT.gguf $few --effort thorough --bpw 5"
    "$tiny OUT.gguf $few --effort thorough --bpw 5 --train-tokens 2000"
    "$tiny OUT.gguf --strategy fixed $few"
    "$tiny OUT.gguf $few --hardware tpu --bits 8:8"
    "$tiny OUT.gguf $few --speed 0.9"
    "$tiny OUT.gguf --effort fast --atomspace $work/kb.scm"
    "opencog pack $work/kb.metta OUT.opencog.gguf"
)
if [ -n "$model" ]; then
    commands+=(
        "$model OUT.gguf --effort fast"
        "$model OUT.gguf --strategy fixed --batches 2"
        "$model OUT.gguf --bpw 5 --batches 2 --batch-size 4"
    )
fi

binary "$before" before
binary "$after" after
failed=0
for i in "${!commands[@]}"; do
    for which in before after; do
        mkdir -p "$work/out"
        command=${commands[$i]//OUT/$work/out/it}
        read -ra words <<<"$command"
        "$work/$which" "${words[@]}" --quiet >"$work/said" 2>&1 || [ $? = 3 ] || { cat "$work/said"; exit 1; }
        (cd "$work/out" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$work/sums-$which"
        rm -rf "$work/out"
    done
    if cmp -s "$work/sums-before" "$work/sums-after"; then verdict=same; else verdict=DIFFERENT failed=1; fi
    printf '%-9s %s\n' "$verdict" "${commands[$i]}"
done
exit $failed
