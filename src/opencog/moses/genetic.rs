//! Crossover and mutation, on numbers or on codes, whose results are always well-typed programs.
//!
//! A subtree is exchanged for one of the type that its place asks for, so that nothing needs
//! repair. Constants are not looked at: in a coded program they stay codes.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::constant::Constant;
use super::evaluate::{BindError, Binding};
use super::names::{ArgumentName, Names};
use super::operator::{Arity, Operator};
use super::table::{Column, Table};
use super::tree::{MAX_DEPTH, Token, Tree};
use super::types::{Type, places};

/// The deepest that a new subtree may be.
const GROWN_DEPTH: usize = 3;

/// What programs are made of.
#[derive(Debug, Clone)]
pub struct Primitives {
    /// The types of the arguments.
    signature: Vec<Type>,
    /// The words that programs of words may say.
    words: Vec<u32>,
    output: Type,
    /// The most vertices of a program.
    most: usize,
}

impl Primitives {
    /// All inputs of a table, and what its target may say. Their names are added to `names`. A
    /// program that is made of them has at most `most` vertices.
    pub fn of(table: &Table, names: &mut Names, most: usize) -> Result<Primitives, BindError> {
        for place in 0..table.inputs.len() {
            names.argument(match table.labels.get(place) {
                Some(label) => ArgumentName::Label(label.clone()),
                None => ArgumentName::Place(place as u32 + 1),
            });
        }
        let mut words: Vec<u32> = match &table.target {
            Column::Enumerated(values) => values.iter().map(|value| names.word(value)).collect(),
            Column::Boolean(_) | Column::Contin(_) => Vec::new(),
        };
        words.sort_unstable();
        words.dedup();
        let signature = Binding::new(names, table)?.signature();
        Ok(Primitives { signature, words, output: table.target.column_type(), most })
    }

    /// The type of what programs say.
    pub fn output(&self) -> Type {
        self.output
    }

    /// The types of the arguments.
    pub fn signature(&self) -> &[Type] {
        &self.signature
    }

    fn arguments(&self, of: Type) -> Vec<u32> {
        let is_of = |argument: &u32| self.signature[*argument as usize] == of;
        (0..self.signature.len() as u32).filter(is_of).collect()
    }

    fn has(&self, argument_type: Type) -> bool {
        self.signature.contains(&argument_type)
    }
}

/// What makes and changes programs.
pub struct Genetics<'a, C: Constant> {
    /// What they are made of.
    pub primitives: &'a Primitives,
    /// What their constants are changed on.
    pub scale: &'a C::Scale,
}

/// A vertex that may be exchanged, and what its place asks for.
type Cut = (usize, Type);

impl<C: Constant> Genetics<'_, C> {
    /// A new program.
    pub fn random(&self, random: &mut Pcg64Mcg) -> Tree<C> {
        let mut tokens = Vec::new();
        self.grow(self.primitives.output, GROWN_DEPTH, random, &mut tokens);
        sound(Tree::new(tokens))
    }

    /// `mother` with a subtree of `father` for one of its own. `mother` as it is where they have
    /// nothing to exchange, or the result would be too large.
    pub fn crossover(&self, mother: &Tree<C>, father: &Tree<C>, random: &mut Pcg64Mcg) -> Tree<C> {
        let Some((at, place)) = pick(&self.cuts(mother), random) else { return mother.clone() };
        let mut gifts = self.cuts(father);
        gifts.retain(|(_, of)| *of == place);
        let Some((gift, _)) = pick(&gifts, random) else { return mother.clone() };
        let gift = &father.tokens()[gift..father.ends()[gift]];
        self.exchanged(mother, at, gift)
    }

    /// `tree` with a change: a constant turned, an operator, argument or word exchanged for another
    /// of its kind, an argument more or less, a new operator above, or a new subtree. `tree` as it is where the change
    /// cannot be made there.
    pub fn mutated(&self, tree: &Tree<C>, random: &mut Pcg64Mcg) -> Tree<C> {
        let Some((at, place)) = pick(&self.cuts(tree), random) else { return tree.clone() };
        let mut tokens = tree.tokens().to_vec();
        match (tokens[at], random.random_range(0..4u8)) {
            (Token::Constant(constant), 0..3) => {
                tokens[at] = Token::Constant(constant.turned(self.scale, random));
            }
            (_, _) if place == Type::Weight => return tree.clone(),
            (token, 0) => tokens[at] = self.other(token, random),
            (Token::Operator(operator, arity), 1)
                if operator.arity() == Arity::Any && arity > 1 =>
            {
                return self.without_argument(tree, at, random);
            }
            (Token::Operator(operator, arity), 2)
                if operator.arity() == Arity::Any && arity > 0 =>
            {
                return self.with_argument(tree, at, random);
            }
            _ if random.random() => {
                let wrapped = self.wrapped(&tree.tokens()[at..tree.ends()[at]], place, random);
                return self.exchanged(tree, at, &wrapped);
            }
            _ => {
                let mut grown = Vec::new();
                self.grow(place, GROWN_DEPTH - 1, random, &mut grown);
                return self.exchanged(tree, at, &grown);
            }
        }
        sound(Tree::new(tokens))
    }

    /// All programs with one constant turned to one next to it.
    pub fn turned_one(&self, tree: &Tree<C>) -> Vec<Tree<C>> {
        let mut turned = Vec::new();
        for (at, token) in tree.tokens().iter().enumerate() {
            let Token::Constant(constant) = token else { continue };
            for near in constant.neighbours(self.scale) {
                let mut tokens = tree.tokens().to_vec();
                tokens[at] = Token::Constant(near);
                turned.push(sound(Tree::new(tokens)));
            }
        }
        turned
    }

    /// The vertices that may be exchanged: not those of networks but for weights, nor of lists.
    fn cuts(&self, tree: &Tree<C>) -> Vec<Cut> {
        let Primitives { signature, output, .. } = self.primitives;
        let Ok(places) = places(tree, signature, *output) else { return Vec::new() };
        let may_be_cut = |place: &Type| {
            matches!(place, Type::Boolean | Type::Contin | Type::Enumerated | Type::Weight)
        };
        places.into_iter().enumerate().filter(|(_, place)| may_be_cut(place)).collect()
    }

    /// `tree` with another subtree at `at`, unless it would be too large.
    fn exchanged(&self, tree: &Tree<C>, at: usize, with: &[Token<C>]) -> Tree<C> {
        let end = tree.ends()[at];
        if tree.len() - (end - at) + with.len() > self.primitives.most {
            return tree.clone();
        }
        // Too deep is the only fault that there can be.
        tree.spliced(at..end, with).unwrap_or_else(|_| tree.clone())
    }

    fn without_argument(&self, tree: &Tree<C>, at: usize, random: &mut Pcg64Mcg) -> Tree<C> {
        let (ends, arity) = (tree.ends(), tree.tokens()[at].arity());
        let skipped = random.random_range(0..arity);
        let start = (0..skipped).fold(at + 1, |argument, _| ends[argument]);
        let mut tokens = tree.tokens().to_vec();
        tokens.drain(start..ends[start]);
        if let Token::Operator(_, arity) = &mut tokens[at] {
            *arity -= 1;
        }
        sound(Tree::new(tokens))
    }

    fn with_argument(&self, tree: &Tree<C>, at: usize, random: &mut Pcg64Mcg) -> Tree<C> {
        let Token::Operator(operator, arity) = tree.tokens()[at] else { return tree.clone() };
        let mut with = tree.tokens()[at..tree.ends()[at]].to_vec();
        with[0] = Token::Operator(operator, arity + 1);
        let of = match operator {
            Operator::And | Operator::Or => Type::Boolean,
            _ => Type::Contin,
        };
        self.grow(of, 1, random, &mut with);
        self.exchanged(tree, at, &with)
    }

    /// A subtree as the last argument of a new operator of its type.
    fn wrapped(&self, subtree: &[Token<C>], of: Type, random: &mut Pcg64Mcg) -> Vec<Token<C>> {
        let (operator, before): (_, &[Type]) = match (of, random.random()) {
            (Type::Boolean, true) => (Operator::And, &[Type::Boolean]),
            (Type::Boolean, false) => (Operator::Or, &[Type::Boolean]),
            (Type::Enumerated, _) => (Operator::Cond, &[Type::Boolean, Type::Enumerated]),
            (_, true) => (Operator::Plus, &[Type::Contin]),
            (_, false) => (Operator::Times, &[Type::Contin]),
        };
        let mut out = vec![Token::Operator(operator, before.len() as u32 + 1)];
        for argument in before {
            self.grow(*argument, 1, random, &mut out);
        }
        out.extend_from_slice(subtree);
        out
    }

    /// Another vertex with the same arguments and type.
    fn other(&self, token: Token<C>, random: &mut Pcg64Mcg) -> Token<C> {
        let operator = |operator, arity| Token::Operator(operator, arity);
        match token {
            Token::Operator(Operator::And, arity) => operator(Operator::Or, arity),
            Token::Operator(Operator::Or, arity) => operator(Operator::And, arity),
            Token::Operator(Operator::Plus, arity) => operator(Operator::Times, arity),
            Token::Operator(Operator::Times, arity) => operator(Operator::Plus, arity),
            Token::Operator(Operator::True, _) => operator(Operator::False, 0),
            Token::Operator(Operator::False, _) => operator(Operator::True, 0),
            Token::Argument { argument, .. } => {
                let of = self.primitives.signature[argument as usize];
                self.argument(of, random).unwrap_or(token)
            }
            Token::Word(_) => pick(&self.primitives.words, random).map_or(token, Token::Word),
            other => other,
        }
    }

    fn argument(&self, of: Type, random: &mut Pcg64Mcg) -> Option<Token<C>> {
        let argument = pick(&self.primitives.arguments(of), random)?;
        let negated = of == Type::Boolean && random.random();
        Some(Token::Argument { argument, negated })
    }

    /// Adds a new subtree of a type. Recursive, and no deeper than `depth` and a
    /// threshold below it.
    fn grow(&self, of: Type, depth: usize, random: &mut Pcg64Mcg, out: &mut Vec<Token<C>>) {
        let is_leaf = depth == 0 || random.random_range(0..4u8) == 0;
        let operator = match (is_leaf, of) {
            (true, _) => None,
            (_, Type::Boolean) => self.boolean_operator(random),
            (_, Type::Enumerated) => Some(Operator::Cond),
            (_, _) => self.contin_operator(random),
        };
        let Some(operator) = operator else { return self.grow_leaf(of, random, out) };
        let arguments: &[Type] = match operator {
            Operator::And | Operator::Or if random.random() => &[Type::Boolean; 3],
            Operator::And | Operator::Or => &[Type::Boolean; 2],
            Operator::Not | Operator::Impulse => &[Type::Boolean],
            Operator::Positive => &[Type::Contin],
            Operator::Cond => &[Type::Boolean, of, of],
            _ => &[Type::Contin; 2],
        };
        out.push(Token::Operator(operator, arguments.len() as u32));
        if operator == Operator::Positive && random.random() {
            return self.grow_threshold(random, out);
        }
        for argument in arguments {
            self.grow(*argument, depth - 1, random, out);
        }
    }

    /// A number and an input: where it is above 0 is a threshold, as MOSES' own knobs have it.
    fn grow_threshold(&self, random: &mut Pcg64Mcg, out: &mut Vec<Token<C>>) {
        let constant = Token::Constant(C::drawn(self.scale, random));
        match self.argument(Type::Contin, random) {
            Some(argument) => out.extend([Token::Operator(Operator::Plus, 2), constant, argument]),
            None => out.push(constant),
        }
    }

    /// A comparison needs a number that differs between rows.
    fn boolean_operator(&self, random: &mut Pcg64Mcg) -> Option<Operator> {
        let mut operators = vec![Operator::And, Operator::Or, Operator::Not];
        if self.primitives.has(Type::Contin) {
            operators.extend([Operator::Positive; 3]);
        }
        pick(&operators, random)
    }

    fn contin_operator(&self, random: &mut Pcg64Mcg) -> Option<Operator> {
        let mut operators = vec![Operator::Plus, Operator::Plus, Operator::Times, Operator::Divide];
        if self.primitives.has(Type::Boolean) {
            operators.extend([Operator::Impulse, Operator::Cond]);
        }
        pick(&operators, random)
    }

    /// A leaf; for want of an argument of the type, a constant one.
    fn grow_leaf(&self, of: Type, random: &mut Pcg64Mcg, out: &mut Vec<Token<C>>) {
        let constant = match of {
            Type::Boolean => {
                let value = if random.random() { Operator::True } else { Operator::False };
                Token::Operator(value, 0)
            }
            Type::Enumerated => match pick(&self.primitives.words, random) {
                Some(word) => Token::Word(word),
                None => Token::Constant(C::drawn(self.scale, random)),
            },
            _ => Token::Constant(C::drawn(self.scale, random)),
        };
        let takes_argument = match of {
            Type::Boolean => true,
            Type::Enumerated => false,
            _ => random.random(),
        };
        let argument = takes_argument.then(|| self.argument(of, random)).flatten();
        out.push(argument.unwrap_or(constant));
    }
}

fn pick<T: Copy>(from: &[T], random: &mut Pcg64Mcg) -> Option<T> {
    (!from.is_empty()).then(|| from[random.random_range(0..from.len())])
}

/// A tree whose vertices are right by construction, and which is no deeper than another or than
/// what is grown.
fn sound<C>(tree: Result<Tree<C>, super::tree::TreeError>) -> Tree<C> {
    const { assert!(GROWN_DEPTH + 3 < MAX_DEPTH) };
    tree.unwrap_or_else(|fault| unreachable!("{fault}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::super::codebook::{Code, Codebook, ConstantCodec};
    use super::super::constant::Lattice;
    use super::super::pack::{Limits, pack, unpack};
    use super::super::read::read;
    use super::*;

    const TABLES: [&str; 4] = [
        "t,x,b\n1.5,2.0,1\n2.5,0.5,0",
        "t,a,b,c\n1,1,0,1\n0,0,1,1",
        "t,a,b\n1.5,1,0\n7,0,1",
        "t,x,b\nred,2.0,1\nblue,0.5,0",
    ];

    /// Makes and changes programs for a while; calls `check` with each.
    fn evolve<C: Constant>(
        primitives: &Primitives,
        scale: &C::Scale,
        seed: u64,
        mut check: impl FnMut(&Tree<C>),
    ) {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let genetics = Genetics::<C> { primitives, scale };
        let mut trees: Vec<Tree<C>> = (0..4).map(|_| genetics.random(&mut random)).collect();
        for step in 0..60 {
            let (mother, father) = (&trees[step % 4], &trees[(step + 1) % 4]);
            let child = match step % 3 {
                0 => genetics.crossover(mother, father, &mut random),
                _ => genetics.mutated(mother, &mut random),
            };
            check(&child);
            trees[step % 4] = child;
        }
        genetics.turned_one(&trees[0]).iter().for_each(check);
    }

    proptest! {
        #[test]
        fn children_are_well_typed_programs(table in 0..4usize, seed in any::<u64>()) {
            let table = Table::read(TABLES[table], None, None).unwrap();
            let mut names = Names::new();
            let primitives = Primitives::of(&table, &mut names, 40).unwrap();
            let is_sound = |places: Result<Vec<Type>, _>, len: usize| {
                assert!(len <= 40);
                places.unwrap();
            };
            evolve::<f64>(&primitives, &Lattice::default(), seed, |tree| {
                is_sound(places(tree, primitives.signature(), primitives.output()), tree.len());
            });
            let mut book = Codebook::new(ConstantCodec::Palette, &[-1.5, 0.25, 3.0]);
            book.lossless(0.1);
            evolve::<Code>(&primitives, &book, seed, |tree| {
                is_sound(places(tree, primitives.signature(), primitives.output()), tree.len());
                let limits = Limits {
                    book: &book,
                    arguments: names.arguments().len(),
                    words: names.words().len(),
                };
                assert_eq!(unpack(&pack(tree, &book), &limits).as_ref(), Ok(tree));
            });
        }
    }

    #[test]
    fn networks_keep_their_shape() {
        let table = Table::read(TABLES[0], None, None).unwrap();
        let mut names = Names::new();
        let mut primitives = Primitives::of(&table, &mut names, 40).unwrap();
        primitives.output = Type::Unknown;
        let scale = Lattice::default();
        let genetics = Genetics::<f64> { primitives: &primitives, scale: &scale };
        let mother = read("ann($N1($I2 $I3 0.5 0.25))", &mut names).unwrap();
        let father = read("ann($N4($I5 7.0))", &mut names).unwrap();
        let mut random = Pcg64Mcg::seed_from_u64(3);
        let mut crossed = false;
        for _ in 0..20 {
            let child = genetics.crossover(&mother, &father, &mut random);
            assert_eq!(child.len(), mother.len());
            crossed |= child.constants().any(|weight| weight == 7.0);
            let child = genetics.mutated(&mother, &mut random);
            assert_eq!(child.len(), mother.len());
        }
        assert!(crossed);
    }

    #[test]
    fn a_subtree_of_the_same_type_is_exchanged() {
        let table = Table::read(TABLES[0], None, None).unwrap();
        let mut names = Names::new();
        let primitives = Primitives::of(&table, &mut names, 40).unwrap();
        let scale = Lattice::default();
        let genetics = Genetics::<f64> { primitives: &primitives, scale: &scale };
        let mother = read("impulse($b)", &mut names).unwrap();
        let father = read("+(1 impulse(0<($x)))", &mut names).unwrap();
        let mut random = Pcg64Mcg::seed_from_u64(4);
        let children: Vec<_> =
            (0..40).map(|_| genetics.crossover(&mother, &father, &mut random)).collect();
        let expected = read("impulse(0<($x))", &mut names).unwrap();
        assert!(children.contains(&expected));
        assert!(children.contains(&read("1", &mut names).unwrap()));
    }
}
