//! Reads MeTTa text into a store of atoms and the list of those at the top.

use std::io::Read;

use super::super::atomspace::{AtomId, AtomSpace, Builder, Error, TypeId};
use super::leaf::{self, Leaf};
use super::sort::Sort;
use super::tokens::{Token, Tokens};

/// What a text of MeTTa says.
#[derive(Debug, Clone)]
pub struct Metta {
    /// Its atoms, each once.
    pub space: AtomSpace,
    /// Those at the top, in the order of the text, each as often as it stands there.
    pub order: Vec<AtomId>,
    /// What was passed over.
    pub commands: Commands,
}

/// Atoms behind a `!`: Hyperon evaluates them and does not add them to the space; here they are
/// passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// How many there are.
    pub count: u64,
    /// The lines where the first ones end, from 1.
    pub lines: Vec<u64>,
}

/// How many lines of commands are kept.
const MOST_LINES: usize = 5;

/// Reads a text as Hyperon's runner does: its words, numbers, strings and comments, each atom at the
/// top added to the space, commands not run. Nesting costs no stack.
///
/// # Errors
/// The text is broken, or Hyperon refuses it; it cannot be read, or there is too much of it.
pub fn read(source: impl Read) -> Result<Metta, Error> {
    let mut reader = Reader::new(source)?;
    while reader.step()? {}
    reader.finish()
}

struct Reader<R> {
    tokens: Tokens<R>,
    atoms: Atoms,
    /// Where in `atoms.held` what each open expression holds begins.
    open: Vec<u32>,
    order: Vec<AtomId>,
    /// Whether the next atom at the top, or the one in which the reader is, is a command.
    is_command: bool,
    commands: Commands,
}

/// The atoms so far, and those that are held by what is still open.
struct Atoms {
    builder: Builder,
    types: [TypeId; Sort::ALL.len()],
    held: Vec<AtomId>,
}

impl Atoms {
    fn add(&mut self, (sort, name): Leaf) -> Result<AtomId, Error> {
        Ok(self.builder.add_node(self.types[sort as usize], &name)?.atom)
    }
}

impl<R: Read> Reader<R> {
    fn new(source: R) -> Result<Reader<R>, Error> {
        let mut builder = Builder::new();
        let mut types = [TypeId(0); Sort::ALL.len()];
        for (of, sort) in types.iter_mut().zip(Sort::ALL) {
            *of = builder.add_type(sort.name(), sort.kind())?;
        }
        Ok(Reader {
            tokens: Tokens::new(source)?,
            atoms: Atoms { builder, types, held: Vec::new() },
            open: Vec::new(),
            order: Vec::new(),
            is_command: false,
            commands: Commands::default(),
        })
    }

    /// Takes the next token; whether there was one.
    fn step(&mut self) -> Result<bool, Error> {
        let Some(token) = self.tokens.next()? else { return Ok(false) };
        let (leaf, len) = match token {
            Token::Open => {
                self.open.push(self.atoms.held.len() as u32);
                return Ok(true);
            }
            Token::Close => return self.close().map(|()| true),
            Token::Word(b"!") if self.open.is_empty() => {
                self.is_command = true;
                return Ok(true);
            }
            Token::Word(word) => (leaf::word(word), word.len()),
            Token::Variable(name) => (leaf::variable(name), name.len() + 1),
            Token::Text(written) => (leaf::string(written), written.len() + 2),
        };
        let leaf = match leaf {
            Ok(leaf) => leaf,
            Err(fault) => return Err(self.tokens.fault_at(len, fault)),
        };
        // Of a command nothing is kept.
        let atom = if self.is_command { AtomId(0) } else { self.atoms.add(leaf)? };
        self.put(atom);
        Ok(true)
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(start) = self.open.pop() else {
            return Err(self.tokens.fault_at(1, "expected an atom, found `)`"));
        };
        let start = start as usize;
        let atoms = &mut self.atoms;
        let atom = match self.is_command {
            true => AtomId(0),
            false => {
                let of = atoms.types[Sort::Expression as usize];
                atoms.builder.add_link(of, &atoms.held[start..])?.atom
            }
        };
        atoms.held.truncate(start);
        self.put(atom);
        Ok(())
    }

    /// Puts an atom into what is open, or at the top.
    fn put(&mut self, atom: AtomId) {
        match (self.open.is_empty(), self.is_command) {
            // In a command, what an expression holds need not be known.
            (false, true) => (),
            (false, false) => self.atoms.held.push(atom),
            (true, false) => self.order.push(atom),
            (true, true) => {
                self.is_command = false;
                self.commands.count += 1;
                if self.commands.lines.len() < MOST_LINES {
                    self.commands.lines.push(self.tokens.line());
                }
            }
        }
    }

    fn finish(self) -> Result<Metta, Error> {
        if !self.open.is_empty() {
            let open = self.open.len();
            let fault = format!("expected {open} more `)`, found the end of the text");
            return Err(self.tokens.fault(fault));
        }
        let Reader { atoms, order, commands, .. } = self;
        Ok(Metta { space: atoms.builder.finish(), order, commands })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::atomspace::AtomStore;
    use super::super::print;
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let metta = read(text.as_bytes()).unwrap();
        let sorts = print::sorts(metta.space.types()).unwrap();
        let line = |&atom: &AtomId| {
            let mut out = Vec::new();
            print::Printing::of(&metta.space, &sorts, atom).write(usize::MAX, &mut out);
            String::from_utf8(out).unwrap()
        };
        metta.order.iter().map(line).collect()
    }

    fn fault(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn atoms_at_the_top_keep_order_and_number() {
        assert_eq!(lines("(b)\na (b) ; b\n (a (b) ()) a"), ["(b)", "a", "(b)", "(a (b) ())", "a"]);
        let metta = read(&b"(b) a (b)"[..]).unwrap();
        assert_eq!(metta.space.atom_count(), 3);
    }

    #[test]
    fn commands_are_counted_and_not_kept() {
        let text = "(: a T) !(f $x (g)) ! (h)\n !foo ! ! 5\n(! b) (= (p !) q) !";
        assert_eq!(lines(text), ["(: a T)", "!foo", "(! b)", "(= (p !) q)"]);
        let metta = read(text.as_bytes()).unwrap();
        assert_eq!(metta.commands, Commands { count: 3, lines: vec![1, 1, 2] });
        assert!(metta.space.atoms().all(|atom| metta.space.name(atom).as_deref() != Some(b"f")));
        assert!(fault("!(f \"\\q\")").contains("escapes"), "commands are parsed all the same");
    }

    #[test]
    fn a_broken_text_is_refused_where_it_is_broken() {
        assert_eq!(
            fault("(a\n (b c)"),
            "line 2, column 7: expected 1 more `)`, found the end of the text"
        );
        assert_eq!(fault("a)"), "line 1, column 2: expected an atom, found `)`");
        assert!(fault("(a $b#1)").starts_with("line 1, column 4: expected the name of a variable"));
        assert!(
            fault("x\n 99999999999999999999 y")
                .starts_with("line 2, column 2: expected an integer")
        );
    }

    #[test]
    fn depth_costs_no_stack() {
        let depth = 200_000;
        let text = "(".repeat(depth) + &")".repeat(depth);
        assert_eq!(lines(&text), [text]);
    }

    /// Texts of atoms in one line each.
    fn atom() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-z=:!,]{1,4}",
            "\\$[a-z]{0,2}",
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_filter("a number", |n| !n.is_nan()).prop_map(|n| {
                let mut out = Vec::new();
                let (sort, name) = leaf::float(n);
                leaf::print(sort, &name, &mut out);
                String::from_utf8(out).unwrap()
            }),
            any::<String>().prop_map(|said| {
                let mut out = Vec::new();
                leaf::print(Sort::Text, said.as_bytes(), &mut out);
                String::from_utf8(out).unwrap()
            }),
            Just("True".to_string()),
        ];
        leaf.prop_filter("no command", |text| text != "!").prop_recursive(4, 24, 4, |inner| {
            proptest::collection::vec(inner, 0..4).prop_map(|held| format!("({})", held.join(" ")))
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(atoms in proptest::collection::vec(atom(), 0..8)) {
            prop_assert_eq!(lines(&atoms.join("\n")), atoms);
        }

        #[test]
        fn no_text_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes[..]);
        }

        #[test]
        fn no_brackets_panic(text in "[()!$\"\\\\;a1# \n]{0,60}") {
            if read(text.as_bytes()).is_ok() {
                let once = lines(&text);
                prop_assert_eq!(lines(&once.join("\n")), once);
            }
        }
    }
}
