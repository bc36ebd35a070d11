//! Programs as trees, in preorder: a subtree is a range.

use std::ops::Range;

use super::operator::Operator;

/// The deepest that a program may be, so that what walks it down cannot overflow the stack. MOSES'
/// own are seldom deeper than 10.
pub const MAX_DEPTH: usize = 256;

/// A vertex of a program. Its arguments are the vertices that follow it.
///
/// `C` is a constant: a number in a [`Program`], a code in a coded one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token<C> {
    /// An operator and the number of its arguments.
    Operator(Operator, u32),
    /// A column of the table: its index in [`Names::arguments`](super::Names::arguments).
    Argument {
        /// The index.
        argument: u32,
        /// Whether it is written `!$x`.
        negated: bool,
    },
    /// A constant.
    Constant(C),
    /// A class, an enumerated value or a message: its index in
    /// [`Names::words`](super::Names::words).
    Word(u32),
    /// A neuron `$N3`: its inputs, then as many weights.
    Neuron {
        /// Its number.
        id: u32,
        /// The number of inputs and weights together.
        arity: u32,
    },
    /// An input of a network: `$I2`.
    Input(u32),
}

/// A program: vertices in preorder that make one tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree<C> {
    tokens: Vec<Token<C>>,
}

/// A program with numbers for constants.
pub type Program = Tree<f64>;

/// Why vertices make no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Arguments are missing at the end.
    #[error("the program ends where {0} more arguments are expected")]
    Unfinished(usize),
    /// Something follows the program.
    #[error("vertex {0} follows the end of the program")]
    Trailing(usize),
    /// An operator with the wrong number of arguments.
    #[error("vertex {at}: {operator} takes {}, found {found}", .operator.arity())]
    Arity {
        /// The vertex.
        at: usize,
        /// The operator.
        operator: Operator,
        /// How many it has.
        found: usize,
    },
    /// A neuron whose arguments are not as many weights as inputs.
    #[error("vertex {0}: a neuron takes as many weights as inputs")]
    Neuron(usize),
    /// Deeper than [`MAX_DEPTH`].
    #[error("vertex {0} is deeper than {MAX_DEPTH}")]
    Deep(usize),
}

impl TreeError {
    /// The vertex that is wrong, where it is one.
    pub fn vertex(&self) -> Option<usize> {
        match *self {
            TreeError::Unfinished(_) => None,
            TreeError::Arity { at, .. }
            | TreeError::Trailing(at)
            | TreeError::Neuron(at)
            | TreeError::Deep(at) => Some(at),
        }
    }
}

impl<C> Token<C> {
    /// The number of its arguments.
    pub fn arity(&self) -> usize {
        match *self {
            Token::Operator(_, arity) | Token::Neuron { arity, .. } => arity as usize,
            Token::Argument { .. } | Token::Constant(_) | Token::Word(_) | Token::Input(_) => 0,
        }
    }

    /// The same vertex with another kind of constant.
    pub fn map<D>(self, constant: impl FnOnce(C) -> D) -> Token<D> {
        match self {
            Token::Constant(value) => Token::Constant(constant(value)),
            Token::Operator(operator, arity) => Token::Operator(operator, arity),
            Token::Argument { argument, negated } => Token::Argument { argument, negated },
            Token::Word(word) => Token::Word(word),
            Token::Neuron { id, arity } => Token::Neuron { id, arity },
            Token::Input(input) => Token::Input(input),
        }
    }
}

impl<C: Copy> Tree<C> {
    /// The program of these vertices, or why they are none.
    pub fn new(tokens: Vec<Token<C>>) -> Result<Tree<C>, TreeError> {
        // Arguments still to come, of each operator from the root to where we are.
        let mut open: Vec<usize> = vec![1];
        for (at, token) in tokens.iter().enumerate() {
            let Some(missing) = open.last_mut() else { return Err(TreeError::Trailing(at)) };
            *missing -= 1;
            check_arity(at, token)?;
            open.push(token.arity());
            if open.len() > MAX_DEPTH + 1 {
                return Err(TreeError::Deep(at));
            }
            while open.last() == Some(&0) {
                open.pop();
            }
        }
        match open.iter().sum() {
            0 => Ok(Tree { tokens }),
            missing => Err(TreeError::Unfinished(missing)),
        }
    }

    /// Its vertices.
    pub fn tokens(&self) -> &[Token<C>] {
        &self.tokens
    }

    /// The number of its vertices.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Never: a program has a root.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Its constants, in order.
    pub fn constants(&self) -> impl Iterator<Item = C> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Constant(constant) => Some(*constant),
            _ => None,
        })
    }

    /// For each vertex, where its subtree ends: the first vertex after it.
    pub fn ends(&self) -> Vec<usize> {
        let mut ends = vec![0; self.tokens.len()];
        // From the back: the arguments of a vertex lie after it, each where the one before ends.
        for at in (0..self.tokens.len()).rev() {
            let arguments = self.tokens[at].arity();
            ends[at] = (0..arguments).fold(at + 1, |end, _| ends[end]);
        }
        ends
    }

    /// The same program with another kind of constant.
    pub fn map<D>(&self, mut constant: impl FnMut(C) -> D) -> Tree<D> {
        Tree { tokens: self.tokens.iter().map(|token| token.map(&mut constant)).collect() }
    }

    /// The program with the subtree `range` replaced by `with`, which must be a program.
    pub(super) fn spliced(
        &self,
        range: Range<usize>,
        with: &[Token<C>],
    ) -> Result<Tree<C>, TreeError> {
        let (before, after) = (&self.tokens[..range.start], &self.tokens[range.end..]);
        Tree::new([before, with, after].concat())
    }
}

fn check_arity<C>(at: usize, token: &Token<C>) -> Result<(), TreeError> {
    match *token {
        Token::Operator(operator, arity) if !operator.arity().allows(arity as usize) => {
            Err(TreeError::Arity { at, operator, found: arity as usize })
        }
        Token::Neuron { arity, .. } if !arity.is_multiple_of(2) => Err(TreeError::Neuron(at)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(argument: u32) -> Token<f64> {
        Token::Argument { argument, negated: false }
    }

    fn and(arity: u32) -> Token<f64> {
        Token::Operator(Operator::And, arity)
    }

    #[test]
    fn subtrees_are_ranges() {
        // and($1 and($2 $3) $4)
        let tokens = vec![and(3), argument(0), and(2), argument(1), argument(2), argument(3)];
        let tree = Tree::new(tokens).unwrap();
        assert_eq!(tree.ends(), [6, 2, 5, 4, 5, 6]);
        let spliced = tree.spliced(2..5, &[argument(8)]).unwrap();
        assert_eq!(spliced.tokens(), [and(3), argument(0), argument(8), argument(3)]);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        assert_eq!(Tree::<f64>::new(vec![]), Err(TreeError::Unfinished(1)));
        assert_eq!(Tree::new(vec![and(2), argument(0)]), Err(TreeError::Unfinished(1)));
        assert_eq!(Tree::new(vec![argument(0), argument(1)]), Err(TreeError::Trailing(1)));
        let not = Token::Operator(Operator::Not, 2);
        let error = Tree::new(vec![not, argument(0), argument(1)]).unwrap_err();
        assert_eq!(error.to_string(), "vertex 0: not takes 1 argument, found 2");
        let neuron = Token::Neuron { id: 1, arity: 1 };
        assert_eq!(Tree::new(vec![neuron, Token::Constant(0.5)]), Err(TreeError::Neuron(0)));
    }

    #[test]
    fn depth_is_bounded() {
        let chain = |depth: usize| {
            let mut tokens = vec![Token::Operator(Operator::Not, 1); depth - 1];
            tokens.push(argument(0));
            Tree::new(tokens)
        };
        assert!(chain(MAX_DEPTH).is_ok());
        assert_eq!(chain(MAX_DEPTH + 1), Err(TreeError::Deep(MAX_DEPTH)));
    }
}
