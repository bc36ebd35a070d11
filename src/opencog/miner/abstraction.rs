//! Which clauses are more abstract than others, with regard to a variable that they share
//! (`Surprisingness.h` of OpenCog's miner, "syntactic specialization").

use super::pattern::{Clause, Token, Variable, permutations};

/// All ways to divide up things into blocks, each at least one thing, the finest first.
pub(super) fn partitions(count: usize) -> Vec<Vec<Vec<usize>>> {
    let mut all: Vec<Vec<Vec<usize>>> = vec![Vec::new()];
    for thing in 0..count {
        let extended = all.iter().flat_map(|partition: &Vec<Vec<usize>>| {
            (0..=partition.len()).map(move |block| {
                let mut partition = partition.clone();
                match partition.get_mut(block) {
                    Some(block) => block.push(thing),
                    None => partition.push(vec![thing]),
                }
                partition
            })
        });
        all = extended.collect();
    }
    all.sort_by_key(|partition| std::cmp::Reverse(partition.len()));
    all
}

/// The clauses that are connected, by variables, with those that have the variable.
pub(super) fn component(clauses: &[Clause], variable: Variable) -> Vec<Clause> {
    components(clauses)
        .into_iter()
        .find(|part| part.iter().any(|clause| clause.has(variable)))
        .unwrap_or_default()
}

/// The clauses in groups that share no variables.
pub(super) fn components(clauses: &[Clause]) -> Vec<Vec<Clause>> {
    let mut groups: Vec<Vec<Clause>> = Vec::new();
    for clause in clauses {
        let shares = |group: &mut Vec<Clause>| group.iter().any(|other| share(clause, other));
        let mut joined: Vec<Clause> = groups.extract_if(.., shares).flatten().collect();
        joined.push(clause.clone());
        groups.push(joined);
    }
    groups
}

fn share(a: &Clause, b: &Clause) -> bool {
    a.variables().iter().any(|&variable| b.has(variable))
}

/// Whether a block is more abstract than another, or as abstract: each part of it, for some division
/// into parts, becomes the same clauses of the other by putting terms for its variables other than
/// this one.
pub(super) fn is_more_abstract(left: &[Clause], right: &[Clause], variable: Variable) -> bool {
    let subsets = (1..1usize << right.len()).map(|set| {
        let chosen = right.iter().enumerate().filter(move |(i, _)| set >> i & 1 == 1);
        chosen.map(|(_, clause)| clause).collect::<Vec<_>>()
    });
    let subsets: Vec<Vec<&Clause>> = subsets.collect();
    partitions(left.len()).iter().any(|partition| {
        subsets.iter().any(|subset| {
            partition.iter().all(|part| {
                let part: Vec<&Clause> = part.iter().map(|&i| &left[i]).collect();
                becomes(&part, subset, variable)
            })
        })
    })
}

/// Whether putting terms for variables turns the clauses into the others, in some order.
fn becomes(left: &[&Clause], right: &[&Clause], variable: Variable) -> bool {
    let has = |clauses: &[&Clause]| clauses.iter().any(|clause| clause.has(variable));
    left.len() == right.len()
        && has(left)
        && has(right)
        && permutations(right).iter().any(|order| {
            let mut put = Vec::new();
            let mut pairs = left.iter().zip(order);
            pairs.all(|(left, right)| becomes_in_order(left, right, variable, &mut put))
        })
}

/// Whether a clause becomes another one; `put` has the terms that were put for variables so far.
fn becomes_in_order<'r>(
    left: &Clause,
    right: &'r Clause,
    fixed: Variable,
    put: &mut Vec<(Variable, &'r [Token])>,
) -> bool {
    let mut at = 0;
    for token in &left.0 {
        let Some(found) = right.0.get(at) else { return false };
        match *token {
            Token::Variable(variable) if variable != fixed => {
                let end = right.end_of(at);
                let term = &right.0[at..end];
                match put.iter().find(|(known, _)| *known == variable) {
                    Some((_, before)) if *before != term => return false,
                    Some(_) => (),
                    None => put.push((variable, term)),
                }
                at = end;
            }
            _ if token == found => at += 1,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::super::atomspace::{AtomId, TypeId};
    use super::*;

    const X: Token = Token::Variable(0);
    const Y: Token = Token::Variable(1);
    const Z: Token = Token::Variable(2);
    const W: Token = Token::Variable(3);
    const F: Token = Token::Atom(AtomId(7));
    const G: Token = Token::Atom(AtomId(8));

    fn link(tokens: &[Token]) -> Clause {
        let head = Token::Link(TypeId(0), tokens.len() as u32);
        Clause([&[head], tokens].concat().into())
    }

    #[test]
    fn abstraction_is_that_of_upstream_s_examples() {
        let is = |left: &[Token], right: &[Token], variable| {
            is_more_abstract(&[link(left)], &[link(right)], variable)
        };
        // A = X Y, B = F Y, C = G X: B specializes A for Y; A and C are independent for X
        assert!(is(&[X, Y], &[F, Y], 1) && !is(&[F, Y], &[X, Y], 1));
        assert!(!is(&[X, Y], &[G, X], 0) && !is(&[G, X], &[X, Y], 0));
        // X Y and Z Y are equivalent for Y
        assert!(is(&[X, Y], &[Z, Y], 1) && is(&[Z, Y], &[X, Y], 1));
        // X Y X specializes Z W X
        assert!(is(&[Z, W, X], &[X, Y, X], 0) && !is(&[X, Y, X], &[Z, W, X], 0));
        assert!(!is(&[X, F], &[X, G], 0));
    }

    #[test]
    fn blocks_of_more_clauses_are_compared() {
        let (xy, xf, xg) = (link(&[X, Y]), link(&[X, F]), link(&[X, G]));
        assert!(is_more_abstract(std::slice::from_ref(&xy), &[xf.clone(), xg.clone()], 0));
        assert!(is_more_abstract(&[xy.clone(), link(&[X, Z])], &[xf.clone(), xg.clone()], 0));
        assert!(!is_more_abstract(&[xf.clone(), xg.clone()], &[xy], 0));
        assert!(!is_more_abstract(&[xf.clone(), xg], &[xf], 0));
    }

    #[test]
    fn there_are_as_many_partitions_as_there_should_be() {
        let counts = [0, 1, 2, 3, 4].map(|n| partitions(n).len());
        assert_eq!(counts, [1, 1, 2, 5, 15]);
        assert_eq!(partitions(3).last().unwrap(), &[vec![0, 1, 2]]);
    }

    #[test]
    fn clauses_are_grouped_by_what_they_share() {
        let groups = components(&[link(&[X, F]), link(&[Y, F]), link(&[X, Z]), link(&[Y, Z])]);
        assert_eq!(groups.len(), 1);
        let groups = components(&[link(&[X, F]), link(&[Y, F]), link(&[X, Z])]);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(component(&[link(&[X, F]), link(&[Y, F])], 1), [link(&[Y, F])]);
    }
}
