//! Texts of many kinds: those that OpenCog projects ship, written ones and random ones.

use std::path::Path;
use std::process::Command;

use opencog_qat::opencog::atomspace::{AtomId, AtomSpace, AtomStore};
use opencog_qat::opencog::metta::{Printing, read, sorts};

use super::random::{Atom, Random};

/// Written ones: a name and the text.
const WRITTEN: [(&str, &str); 11] = [
    (
        "family",
        "(parent Tom Bob) (parent Pam Bob)\n(parent Tom Bob) (age Bob 40)\n(: parent (-> P P))",
    ),
    (
        "numbers",
        "(n 1) (n 1.0) (n +5) (n -0) (n 007) (n 1.50) (n -0.0) (n 1e3) (n 1E-7) (n 1e15) (n 1e16)\n\
         (n 123456789012345678.0) (n 0.00001) (n 5e-324) (n 1.7976931348623157e308) (n 2 2.0) (n 1.)\n\
         (n .5) (n 1_000) (n 1e) (n --1) (n -) (n 9223372036854775807) (n -9223372036854775808)\n\
         (PI EXP) (same 1 1.0) (same 3 3) (same 2.5 2) (n 100000000000000000000.0) (n 0x10)",
    ),
    (
        "strings",
        "\"\" \"a b\" (s \"semi;colon\") (s \"paren ( ) \") (s \"q\\\"q\") (s \"\\n\\t\\r\\\\\")\n\
         (s \"raw\nline\") (s \"\\x41\\x7f\\u{1F600}\\u{{41}x\") (s \"\\'\") (s 'a) (s \"é ß 漢\")\n\
         (s \"\u{301}\u{200b}\u{ad}\u{e000}\u{1}\") \"a\"\"b\"",
    ),
    (
        "words",
        "a\"b a;b\n $x;c $ $a$b $a\"b {a} [a b] 'a `a a,b 1a \\a a\\ b !foo (! a) inf NaN true True False\n\
         a#b @x %Undefined% &kb &self (&self a) \u{e9}t\u{e9} a\u{a0}b a\u{3000}b a\u{2003}b",
    ),
    ("commands", "!(println! \"a\") (a)\n! (b)\n!a ! ! 5 (c) !(d $x) !\n(= (p !) q)\n!\"s\" (e) !"),
    (
        "rules",
        "(= (f $x) (g $x)) (= (f a) b) (= (fac $n) (if (== $n 0) 1 (* $n (fac (- $n 1)))))\n\
         (= (id $x) $x) (rule $x) (p $a $a) (p $a $b) (p b c) (p (f $x) (f $x)) (p $x (f $x)) (q $x $y)\n\
         (= ($f $x) (apply $f $x)) ($r Tom Bob) (parent $x Bob) (parent Tom Ann) (parent Tom Bob)",
    ),
    ("any", "$all foo (bar baz) (bar $all)"),
    (
        "truth",
        "(Inheritance cat animal (STV 0.9 0.8)) (Inheritance dog animal (STV 1 0.9))\n\
        (Inheritance cat animal (STV 0.9 0.8)) (Evaluation likes (cat dog) (STV 1e-5 0.00125))",
    ),
    (
        "nested",
        "(a (b (c (d (e (f (g)))))))\n() (()) (() ()) ((a) ((a)) (((a)))) ((((((((((x))))))))))",
    ),
    ("lines", "\r\n(a\r\n  b ; c )\r\n  (d))\r\n\t(e)\u{c}f;g"),
    (
        "docs",
        "(@doc f (@desc \"what f; does\") (@params ((@param \"x\"))) (@return \"y\"))\n(: f (-> $t $t))",
    ),
];

/// All of them: names and texts.
pub fn all() -> Vec<(String, Vec<u8>)> {
    let mut texts: Vec<(String, Vec<u8>)> =
        WRITTEN.iter().map(|(name, text)| (name.to_string(), text.as_bytes().to_vec())).collect();
    for seed in 0..8 {
        let mut random = Random::new(seed);
        let atoms = (0..60).map(|_| random.atom(3).to_string());
        // Nothing at the top is a variable: it would match whatever is asked for.
        let atoms: Vec<String> = atoms.filter(|atom| !atom.starts_with('$')).collect();
        texts.push((format!("random-{seed}"), atoms.join("\n").into_bytes()));
    }
    for name in ["reactome_2020-10-20.metta", "uniprot2taxonomy.metta"] {
        texts.extend(shipped(name).map(|text| (name.replace(".metta", ""), text)));
    }
    texts
}

/// A text that an OpenCog project ships, unpacked if it is packed; none, said aloud, if it or `xz`
/// is missing.
fn shipped(name: &str) -> Option<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/opencog-data/metta");
    if let Ok(text) = std::fs::read(folder.join(name)) {
        return Some(text);
    }
    let packed = folder.join(format!("{name}.xz"));
    let output = Command::new("xz").arg("-dc").arg(&packed).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    if text.is_none() {
        println!("skipped: {} cannot be unpacked", packed.display());
    }
    text
}

/// A text that is shipped, so many times, its strings others each time.
pub fn relabelled(name: &str, times: usize) -> Option<Vec<u8>> {
    let text = String::from_utf8(shipped(name)?).unwrap();
    let mut out = Vec::with_capacity(text.len() * times);
    for time in 0..times {
        for (i, part) in text.split('"').enumerate() {
            match i % 2 {
                0 => out.extend_from_slice(part.as_bytes()),
                _ => out.extend_from_slice(format!("\"{part}~{time}\"").as_bytes()),
            }
        }
    }
    Some(out)
}

/// The atoms at the top of a text.
pub fn at_the_top(text: &str) -> Vec<Atom> {
    let metta = read(text.as_bytes()).unwrap();
    let sorts = sorts(metta.space.types()).unwrap();
    let atom = |&atom: &AtomId| {
        tree(&metta.space, atom, &|leaf| {
            let mut out = Vec::new();
            Printing::of(&metta.space, &sorts, leaf).write(usize::MAX, &mut out);
            String::from_utf8(out).unwrap()
        })
    };
    metta.order.iter().map(atom).collect()
}

fn tree(space: &AtomSpace, atom: AtomId, print: &dyn Fn(AtomId) -> String) -> Atom {
    match space.name(atom) {
        Some(_) => Atom::Leaf(print(atom)),
        None => {
            Atom::Expression(space.outgoing(atom).map(|held| tree(space, held, print)).collect())
        }
    }
}
