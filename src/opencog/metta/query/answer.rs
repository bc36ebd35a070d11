//! A match as text.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::leaf;
use super::super::print::separate;
use super::super::sort::Sort;
use super::unify::{Bindings, Term};

/// The text of what the variables of a pattern stand for.
pub(super) struct Row<'b, 'q, 'a> {
    bindings: &'b Bindings<'q, 'a>,
    /// What variables that stand for nothing are called, without `$`.
    names: FxHashMap<Term, Vec<u8>>,
    taken: FxHashSet<Vec<u8>>,
}

impl Row<'_, '_, '_> {
    /// The texts, and how many bytes they take; none where these are more than `most`.
    pub fn of(bindings: &Bindings, most: usize) -> Option<(Vec<String>, usize)> {
        let variables = &bindings.pattern.variables;
        let name = |&atom: &_| bindings.name(Term::of_pattern(atom)).into_owned();
        let taken = variables.iter().map(name).collect();
        let mut row = Row { bindings, names: FxHashMap::default(), taken };
        let mut left = most;
        let mut text = |&atom: &_| {
            let text = row.text(Term::of_pattern(atom), left)?;
            left -= text.len();
            Some(String::from_utf8_lossy(&text).into_owned())
        };
        let texts: Option<Vec<String>> = variables.iter().map(&mut text).collect();
        Some((texts?, most - left))
    }

    fn text(&mut self, term: Term, most: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = vec![Some(term)];
        while let Some(next) = rest.pop() {
            match next.map(|term| self.bindings.resolve(term)) {
                None => out.push(b')'),
                Some(term) => {
                    separate(&mut out);
                    match self.bindings.sort(term) {
                        Sort::Expression => {
                            out.push(b'(');
                            rest.push(None);
                            rest.extend(self.bindings.held(term).into_iter().rev().map(Some));
                        }
                        Sort::Variable => leaf::print(Sort::Variable, self.name(term), &mut out),
                        sort => leaf::print(sort, &self.bindings.name(term), &mut out),
                    }
                }
            }
            if out.len() > most {
                return None;
            }
        }
        Some(out)
    }

    /// The name of a variable that stands for nothing: its own; where another one of this answer
    /// has that, with a number behind it.
    fn name(&mut self, variable: Term) -> &[u8] {
        let Row { bindings, names, taken } = self;
        names.entry(variable).or_insert_with(|| {
            let own = bindings.name(variable).into_owned();
            if variable.frame == 0 {
                return own;
            }
            let numbered = (2..).map(|n: u64| [&own[..], format!("-{n}").as_bytes()].concat());
            let mut names = std::iter::once(own.clone()).chain(numbered);
            names.find(|name| taken.insert(name.clone())).unwrap_or(own)
        })
    }
}
