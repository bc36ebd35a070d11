use crate::gguf::Gguf;
use crate::opencog::atomspace::companion::Form;
use crate::opencog::section::write;

use super::super::read;
use super::*;

/// The answers that a pattern has in a text, a line each: what the variables stand for, or `()`.
fn answers(text: &str, pattern: &str) -> Vec<String> {
    let mut lines: Vec<String> = asked(text, pattern, 1000)
        .matches
        .iter()
        .map(|row| if row.is_empty() { "()".into() } else { row.join(" | ") })
        .collect();
    lines.sort();
    lines
}

fn asked(text: &str, pattern: &str, most: usize) -> Answers {
    let sections = read(text.as_bytes()).unwrap().sections(Form::Mapped);
    let file = write(Vec::new(), "kb".as_ref(), &sections).unwrap();
    let gguf = Gguf::from_bytes("kb", file).unwrap();
    let metta = PackedMetta::of(&gguf).unwrap();
    query(&metta, pattern, most).unwrap()
}

/// As hyperon 0.2.10 answers.
#[test]
fn answers_are_those_of_hyperon() {
    let family = "(parent Tom Bob) (parent Pam Bob) (parent Tom Bob) (age Bob 40)";
    assert_eq!(answers(family, "(parent $x Bob)"), ["Pam", "Tom", "Tom"]);
    assert_eq!(answers(family, "(parent Tom Bob)"), ["()", "()"]);
    assert_eq!(answers(family, "(parent Bob $x)"), [""; 0]);
    assert_eq!(answers(family, "(parent Nobody $x)"), [""; 0]);
    assert_eq!(answers(family, "($r $x $y)").len(), 4);
    assert_eq!(answers(family, "(age $x 40)"), ["Bob"]);
    assert_eq!(answers(family, "(parent Bob)"), [""; 0]);
    assert_eq!(answers("a (a) b", "a"), ["()"]);
    assert_eq!(answers("a (a) b", "$x"), ["(a)", "a", "b"]);
    assert_eq!(answers("() (()) (a ())", "()"), ["()"]);
    assert_eq!(answers("() (()) (a ())", "($x)"), ["()"]);
}

#[test]
fn variables_of_stored_atoms_are_bound_too() {
    let rules = "(= (f $x) (g $x)) (= (f a) b)";
    assert_eq!(answers(rules, "(= (f a) $r)"), ["(g a)", "b"]);
    assert_eq!(answers(rules, "(= (f $q) $r)"), ["$q | (g $q)", "a | b"]);
    assert_eq!(answers("(p $a $a)", "(p b $y)"), ["b"]);
    assert_eq!(answers("(p $a $a)", "(p b c)"), [""; 0]);
    assert_eq!(answers("(p $a $b)", "(p $b $a)"), ["$b | $a"]);
    assert_eq!(answers("$v foo", "foo"), ["()", "()"]);
    assert_eq!(answers("$v foo", "(x y)"), ["()"]);
    assert_eq!(answers("(p (f $a) (g $a))", "(p $x $y)"), ["(f $a) | (g $a)"]);
    assert_eq!(answers("(p (f $x) $y)", "(p $x $z)"), ["(f $x-2) | $z"]);
    assert_eq!(answers("(p a $z) (p $w b)", "(, (p $x $y) (p $y $x))"), ["a | a", "b | b"]);
}

#[test]
fn nothing_is_part_of_itself() {
    assert_eq!(answers("(p $a (f $a))", "(p $x $x)"), [""; 0]);
    assert_eq!(answers("(p $a (f $b))", "(p $x $x)"), ["(f $b)"]);
    assert_eq!(answers("(p $a $b) (q $b (f $b))", "(, (p $x $x) (q $x $x))"), [""; 0]);
}

#[test]
fn numbers_are_told_apart_as_hyperon_does() {
    assert_eq!(answers("(p 1) (p 1.0) (p 1)", "(p 1)"), ["()", "()"]);
    assert_eq!(answers("(p 1) (p 1.0) (p 1)", "(p 1.0)"), ["()"]);
    assert_eq!(answers("(p 1 1.0) (p 1 2) (p 1.0 1)", "(p $x $x)"), ["1", "1.0"]);
    assert_eq!(answers("(p $a $a)", "(p 1 1.0)"), ["()"]);
    assert_eq!(answers("(p $a $a)", "(p (f 1) (f 1.0))"), ["()"]);
    assert_eq!(answers("(p 0.0) (p -0.0) (p 0)", "(p 0)"), ["()", "()"]);
    assert_eq!(answers("(p 0.0) (p -0.0) (p 0)", "(p -0.0)"), ["()"]);
    assert_eq!(answers("(p 0.0)", "(p 0)"), ["()"]);
    assert_eq!(answers("(p 1.0)", "(p 1)"), ["()"]);
    assert_eq!(answers("(p (f 1))", "(p (f 1.0))"), ["()"]);
    assert_eq!(answers("(p 1.0) (q (r 1))", "(p 1)"), [""; 0]);
    assert_eq!(answers("(p -0.0)", "(p 0)"), ["()"]);
    assert_eq!(answers("(p -0.0) (q 0)", "(p 0)"), [""; 0]);
    assert_eq!(answers("(p 0) (p 0.0)", "(p -0.0)"), ["()", "()"]);
    let large = "(p 9007199254740993) (p 9007199254740992)";
    assert_eq!(answers(large, "(p 9007199254740992.0)"), ["()", "()"]);
    assert_eq!(answers("(p 1.0) (r $a $a)", "(, (r $x 1) (p $x))"), ["1"]);
    assert_eq!(answers("(p 1.0) (r $a $a) (s 1)", "(, (r $x 1) (p $x))"), [""; 0]);
    assert_eq!(answers("(p \"1\")", "(p 1)"), [""; 0]);
    assert_eq!(answers("(p 0) (p (f 0.0)) (q 0.0) (q (f 0))", "(, (p $x) (q $x))").len(), 2);
    assert_eq!(answers("(p 1) (q 1.0)", "(, (p $x) (q $x))"), [""; 0]);
}

#[test]
fn patterns_are_met_together() {
    let text = "(p a) (p b) (q b c) (q b d) (q a c) (p b)";
    let both = ["a | c", "b | c", "b | c", "b | d", "b | d"];
    assert_eq!(answers(text, "(, (p $x) (q $x $y))"), both);
    assert_eq!(answers(text, "(, (q $x $y) (p $x))").len(), 5);
    assert_eq!(answers(text, "(, (p $x))").len(), 3);
    assert_eq!(answers(text, "(,)"), ["()"]);
    assert_eq!(answers("(, a b) (, c d)", "(, $x $y)").len(), 4);
    assert_eq!(answers("(, a b) (, c d)", "(, (, $x $y))"), ["a | b", "c | d"]);
}

#[test]
fn the_limit_counts_duplicates() {
    let text = "(p a) (p a) (p a) (p b)";
    let some = asked(text, "(p $x)", 2);
    assert_eq!((some.matches.len(), some.is_complete), (2, false));
    let all = asked(text, "(p $x)", 4);
    assert_eq!((all.matches.len(), all.is_complete), (4, true));
    assert_eq!(all.variables, ["$x"]);
}

#[test]
fn what_is_no_pattern_is_refused() {
    let sections = read(&b"(a b)"[..]).unwrap().sections(Form::Mapped);
    let gguf = Gguf::from_bytes("kb", write(Vec::new(), "kb".as_ref(), &sections).unwrap());
    let gguf = gguf.unwrap();
    let metta = PackedMetta::of(&gguf).unwrap();
    let fault = |pattern: &str| query(&metta, pattern, 10).unwrap_err().to_string();
    assert!(fault("(a").contains("expected 1 more `)`"));
    assert!(fault("").contains("expected one atom, found 0"));
    assert!(fault("(a) (b)").contains("found 2; several are `(, A B)`"));
    assert!(fault("!(a)").contains("found a command"));
    let many: String = (0..1001).map(|i| format!(" a{i}")).collect();
    assert!(fault(&format!("({many})")).contains("at most 1000 atoms"));
}

/// `$a40` stands for 2^40 atoms here, and so does `$b40`, with which it is to be the same.
#[test]
fn what_is_held_twice_is_looked_at_once() {
    let all = |of: &dyn Fn(usize) -> String| (0..40).map(of).collect::<Vec<_>>().join(" ");
    let twice = |name: &str| all(&|n| format!("(f ${name}{n} ${name}{n})"));
    let next = |name: &str| all(&|n| format!("${name}{}", n + 1));
    let each = |name: &str| all(&|n| format!("${name}{n}"));
    let text = format!("(e {} {} {} {} $a40)", twice("a"), twice("b"), next("a"), next("b"));
    let (x, y) = (each("x"), each("y"));
    let sections = read(text.as_bytes()).unwrap().sections(Form::Mapped);
    let file = write(Vec::new(), "kb".as_ref(), &sections).unwrap();
    let gguf = Gguf::from_bytes("kb", file).unwrap();
    let metta = PackedMetta::of(&gguf).unwrap();
    let pattern = Pattern::parse(&format!("(e {x} {y} {x} {y} $y39)"), &metta).unwrap();
    let fault = search::search(&metta, &pattern, 10, 100_000).unwrap_err().to_string();
    assert!(fault.contains("--limit allows less"), "{fault}");
}
