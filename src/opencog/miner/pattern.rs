//! Patterns: conjunctions of links in which variables stand for atoms.

use super::super::atomspace::export::print_atom;
use super::super::atomspace::{AtomId, AtomStore, TypeId};

/// A variable of a pattern, by number from 0.
pub(super) type Variable = u8;

/// What a clause consists of, in the order of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Token {
    Variable(Variable),
    Atom(AtomId),
    /// A link of so many members, which follow.
    Link(TypeId, u32),
}

/// A link in which variables stand for atoms, as tokens in preorder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Clause(pub Box<[Token]>);

impl Clause {
    /// The variables, each once, in the order in which they first occur.
    pub fn variables(&self) -> Vec<Variable> {
        let mut found = Vec::new();
        for token in &self.0 {
            if let Token::Variable(variable) = *token
                && !found.contains(&variable)
            {
                found.push(variable);
            }
        }
        found
    }

    pub fn has(&self, variable: Variable) -> bool {
        self.0.contains(&Token::Variable(variable))
    }

    /// The clause with its variables named anew.
    pub fn renamed(&self, name: impl Fn(Variable) -> Variable) -> Clause {
        let renamed = |token: &Token| match *token {
            Token::Variable(variable) => Token::Variable(name(variable)),
            other => other,
        };
        Clause(self.0.iter().map(renamed).collect())
    }

    /// The clause with its variables named by the order in which they first occur.
    pub fn normal(&self) -> Clause {
        let order = self.variables();
        self.renamed(|variable| place(&order, variable))
    }

    /// Where the term that begins at a token ends.
    pub fn end_of(&self, at: usize) -> usize {
        let mut open = 1;
        let mut end = at;
        while open > 0 {
            if let Token::Link(_, arity) = self.0[end] {
                open += arity as usize;
            }
            open -= 1;
            end += 1;
        }
        end
    }

    /// As text, with `$` and a number for a variable.
    fn print(&self, store: &impl AtomStore, name: &dyn Fn(Variable) -> String) -> String {
        let mut out = Vec::new();
        let mut left: Vec<u32> = Vec::new();
        for token in &self.0 {
            out.push(b' ');
            match *token {
                Token::Variable(variable) => out.extend_from_slice(name(variable).as_bytes()),
                Token::Atom(atom) => print_atom(store, atom, &mut out),
                Token::Link(of, arity) => {
                    out.push(b'(');
                    out.extend_from_slice(store.types()[of.index()].name.as_bytes());
                    left.push(arity + 1);
                }
            }
            // a term is complete; so is each link that it was the last of
            while let Some(last) = left.last_mut() {
                *last -= 1;
                if *last > 0 {
                    break;
                }
                out.push(b')');
                left.pop();
            }
        }
        String::from_utf8_lossy(&out[1..]).into_owned()
    }
}

/// The place of a variable in a list that has it.
pub(super) fn place(list: &[Variable], variable: Variable) -> Variable {
    list.iter().position(|&other| other == variable).unwrap_or(0) as Variable
}

/// Clauses in their one order, their variables with their one choice of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Canonical {
    /// The same for all clauses that say the same, in any store: it depends on no ids.
    pub text: String,
    /// The names that the variables had, by their new ones.
    pub names_before: Vec<Variable>,
    /// The places that the clauses had.
    pub order: Vec<usize>,
}

impl Canonical {
    pub fn of(store: &impl AtomStore, clauses: &[Clause]) -> Canonical {
        let blank = |_: Variable| "$".to_owned();
        let printed = clauses.iter().map(|clause| clause.print(store, &blank));
        let mut order: Vec<(String, usize)> = printed.zip(0..).collect();
        order.sort();
        let named = |order: Vec<usize>| {
            let names_before = variables_of(order.iter().map(|&i| &clauses[i]));
            let name = |variable| format!("${}", place(&names_before, variable));
            let texts: Vec<String> =
                order.iter().map(|&i| clauses[i].print(store, &name)).collect();
            Canonical { text: texts.join(" "), names_before, order }
        };
        let all = orders_of_equals(&order).into_iter().map(named);
        all.min().unwrap_or_else(|| named(Vec::new()))
    }

    /// The clauses as they are written.
    pub fn clauses(&self, before: &[Clause]) -> Vec<Clause> {
        let name = |variable| place(&self.names_before, variable);
        self.order.iter().map(|&i| before[i].renamed(name)).collect()
    }
}

/// The variables of some clauses, each once, in the order in which they first occur.
pub(super) fn variables_of<'c>(clauses: impl Iterator<Item = &'c Clause>) -> Vec<Variable> {
    let mut found = Vec::new();
    for variable in clauses.flat_map(Clause::variables) {
        if !found.contains(&variable) {
            found.push(variable);
        }
    }
    found
}

/// All orders of the places that leave the texts sorted.
fn orders_of_equals(sorted: &[(String, usize)]) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for group in sorted.chunk_by(|a, b| a.0 == b.0) {
        let places: Vec<usize> = group.iter().map(|(_, place)| *place).collect();
        let ways = permutations(&places);
        let extended = orders.iter().flat_map(|order: &Vec<usize>| {
            ways.iter().map(move |way| order.iter().chain(way).copied().collect())
        });
        orders = extended.collect();
    }
    orders
}

/// All orders of a few things.
pub(super) fn permutations<T: Copy>(things: &[T]) -> Vec<Vec<T>> {
    let mut orders = vec![Vec::new()];
    for (i, &thing) in things.iter().enumerate() {
        let longer = orders.iter().flat_map(|order: &Vec<T>| {
            (0..=i).map(move |at| {
                let mut order = order.clone();
                order.insert(at, thing);
                order
            })
        });
        orders = longer.collect();
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::super::super::atomspace::read::{ReadOptions, read};
    use super::*;

    #[test]
    fn patterns_that_say_the_same_have_one_text() {
        let text = "(Inheritance (Concept \"a\") (Concept \"b\"))";
        let (space, _) = read(text.as_bytes(), &ReadOptions::default()).unwrap();
        let of = space.type_of(AtomId(2));
        let link = |a, b| Clause(Box::new([Token::Link(of, 2), a, b]));
        let (a, x, y, z) =
            (Token::Atom(AtomId(0)), Token::Variable(0), Token::Variable(1), Token::Variable(2));
        let one = [link(x, y), link(y, a), link(z, x)];
        let other = [link(y, a), link(x, z), link(z, y)];
        let (first, second) = (Canonical::of(&space, &one), Canonical::of(&space, &other));
        assert_eq!(first.text, second.text);
        assert_eq!(first.clauses(&one), second.clauses(&other));
        let expected = "(InheritanceLink $0 $1) (InheritanceLink $1 $2) (InheritanceLink $2 (ConceptNode \"a\"))";
        assert_eq!(first.text, expected);
        let not_the_same = [link(x, y), link(y, a), link(x, z)];
        assert_ne!(Canonical::of(&space, &not_the_same).text, first.text);
    }

    #[test]
    fn terms_end_where_they_end() {
        let [l2, l1] = [2, 1].map(|arity| Token::Link(TypeId(0), arity));
        let x = Token::Variable(0);
        let clause = Clause(Box::new([l2, l1, x, l2, x, x]));
        let ends: Vec<usize> = (0..6).map(|at| clause.end_of(at)).collect();
        assert_eq!(ends, [6, 3, 3, 6, 5, 6]);
    }

    #[test]
    fn orders_are_all_there_are() {
        assert_eq!(permutations(&[1, 2, 3]).len(), 6);
        assert_eq!(permutations::<u8>(&[]), [Vec::<u8>::new()]);
    }
}
