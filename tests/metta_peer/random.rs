//! Random atoms and patterns, the same in every run.

/// Numbers by a linear congruence.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// An atom, nested up to `depth` times.
    pub fn atom(&mut self, depth: usize) -> Atom {
        const LEAVES: [&str; 22] = [
            "a", "b", "c", "parent", "=", ":", "->", "$x", "$y", "$x", "1", "2", "1.0", "2.5",
            "-3", "\"a\"", "\"b\\n\"", "True", "False", "+", "1e3", "STV",
        ];
        if depth == 0 || self.below(5) < 2 {
            return Atom::Leaf(self.of(&LEAVES).to_string());
        }
        Atom::Expression((0..self.below(4)).map(|_| self.atom(depth - 1)).collect())
    }

    /// A pattern that some of these atoms match: one of them, or two, with variables in place of
    /// parts.
    pub fn pattern(&mut self, atoms: &[Atom]) -> String {
        let mut variables = Vec::new();
        let mut one = |random: &mut Random| {
            let atom = random.of(atoms).clone();
            random.opened(atom, &mut variables, 0).to_string()
        };
        match self.below(4) {
            0 => format!("(, {} {})", one(self), one(self)),
            _ => one(self),
        }
    }

    /// An atom with variables in place of parts. A variable that stands for the same part again has
    /// often the same name.
    fn opened(&mut self, atom: Atom, variables: &mut Vec<Atom>, depth: usize) -> Atom {
        let is_opened = self.below(10) < if depth == 0 { 1 } else { 3 };
        if is_opened {
            let known = variables.iter().position(|known| *known == atom);
            let at = match known.filter(|_| self.below(4) > 0) {
                Some(at) => at,
                None => {
                    variables.push(atom);
                    variables.len() - 1
                }
            };
            return Atom::Leaf(format!("$v{at}"));
        }
        match atom {
            Atom::Expression(held) => {
                let held = held.into_iter().map(|atom| self.opened(atom, variables, depth + 1));
                Atom::Expression(held.collect())
            }
            leaf => leaf,
        }
    }
}

/// An atom as text.
#[derive(Debug, Clone, PartialEq)]
pub enum Atom {
    Leaf(String),
    Expression(Vec<Atom>),
}

impl std::fmt::Display for Atom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Atom::Leaf(leaf) => f.write_str(leaf),
            Atom::Expression(held) => {
                let held: Vec<String> = held.iter().map(Atom::to_string).collect();
                write!(f, "({})", held.join(" "))
            }
        }
    }
}
