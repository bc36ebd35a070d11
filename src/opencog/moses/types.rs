//! The types of vertices, by which a program makes sense or does not.

use super::operator::Operator;
use super::tree::{Token, Tree};

/// What a vertex is worth, or what its place asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// True or false.
    Boolean,
    /// A number.
    Contin,
    /// One of a few words, as a class.
    Enumerated,
    /// A neuron of a network.
    Neuron,
    /// What a neuron listens to: an input of the network or a neuron.
    Signal,
    /// A weight of a neuron: a constant, and nothing that computes one.
    Weight,
    /// Lists and functions, which combo checks when they run. Anything may stand there.
    Opaque,
    /// Not known yet.
    Unknown,
}

/// The types of the arguments that programs name, one for each of
/// [`Names::arguments`](super::Names::arguments).
pub type Signature = [Type];

/// A vertex of another type than its place asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("vertex {at}: expected {expected:?}, found {found:?}")]
pub struct TypeError {
    /// The vertex, counted in preorder from 0.
    pub at: usize,
    /// What its place asks for.
    pub expected: Type,
    /// What it is.
    pub found: Type,
}

/// The type that the place of each vertex asks for, or the first vertex of another one. The root
/// must be an `output`; where that is unknown, it may be anything.
pub fn places<C: Copy>(
    tree: &Tree<C>,
    signature: &Signature,
    output: Type,
) -> Result<Vec<Type>, TypeError> {
    let walk = walk(tree, signature, output);
    match walk.fault {
        Some(fault) => Err(fault),
        None => Ok(walk.places),
    }
}

/// The types of `count` arguments, as far as these programs tell: a negated one is boolean, others
/// are what their place asks for. What no program tells is taken for a number.
pub fn infer<C: Copy>(trees: &[Tree<C>], count: usize) -> Vec<Type> {
    let mut signature = vec![Type::Unknown; count];
    // What is learnt of one argument can tell of another beside it in a `cond`.
    loop {
        let before = signature.clone();
        for tree in trees {
            let places = walk(tree, &signature, Type::Unknown).places;
            for (token, place) in tree.tokens().iter().zip(places) {
                learn(&mut signature, token, place);
            }
        }
        if signature == before {
            break;
        }
    }
    for argument in signature.iter_mut().filter(|argument| **argument == Type::Unknown) {
        *argument = Type::Contin;
    }
    signature
}

fn learn<C>(signature: &mut Signature, token: &Token<C>, place: Type) {
    let Token::Argument { argument, negated } = *token else { return };
    let known = &mut signature[argument as usize];
    if *known == Type::Unknown {
        *known = match place {
            _ if negated => Type::Boolean,
            Type::Boolean | Type::Contin | Type::Enumerated => place,
            _ => Type::Unknown,
        };
    }
}

struct Walk {
    places: Vec<Type>,
    fault: Option<TypeError>,
}

fn walk<C: Copy>(tree: &Tree<C>, signature: &Signature, output: Type) -> Walk {
    let (tokens, ends) = (tree.tokens(), tree.ends());
    let worth = |at| worth(tokens, &ends, at, signature);
    let mut walk = Walk { places: Vec::with_capacity(tokens.len()), fault: None };
    // Of each operator whose arguments are not all seen: where it stands and how many are.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let place = match open.last() {
            None => output,
            Some((parent, seen)) => {
                let place = walk.places[*parent];
                argument_place(&tokens[*parent], place, *seen, || worth(at))
            }
        };
        let found = worth(at);
        let place = if place == Type::Unknown { found } else { place };
        if !fits(token, found, place) && walk.fault.is_none() {
            walk.fault = Some(TypeError { at, expected: place, found });
        }
        walk.places.push(place);
        if let Some((_, seen)) = open.last_mut() {
            *seen += 1;
        }
        open.push((at, 0));
        while let Some((parent, seen)) = open.last() {
            if *seen < tokens[*parent].arity() {
                break;
            }
            open.pop();
        }
    }
    walk
}

/// What the place of argument `index` of an operator asks for, when the operator's own place asks
/// for `place` and the argument itself is worth `found`.
fn argument_place<C>(
    parent: &Token<C>,
    place: Type,
    index: usize,
    found: impl Fn() -> Type,
) -> Type {
    match *parent {
        Token::Neuron { arity, .. } if index < arity as usize / 2 => Type::Signal,
        Token::Neuron { .. } => Type::Weight,
        Token::Operator(operator, arity) => match operator {
            Operator::And | Operator::Or | Operator::Not | Operator::Impulse => Type::Boolean,
            Operator::Plus
            | Operator::Times
            | Operator::Divide
            | Operator::Log
            | Operator::Exp
            | Operator::Sin
            | Operator::Positive => Type::Contin,
            Operator::Cond if index.is_multiple_of(2) && index + 1 < arity as usize => {
                Type::Boolean
            }
            Operator::Cond => place,
            Operator::ContinIf if index == 0 => Type::Boolean,
            Operator::ContinIf => Type::Contin,
            Operator::Equal => found(),
            Operator::Network => Type::Neuron,
            _ => Type::Opaque,
        },
        Token::Argument { .. } | Token::Constant(_) | Token::Word(_) | Token::Input(_) => {
            Type::Opaque
        }
    }
}

/// What vertex `at` is worth. That of a `cond` is that of its first value that tells.
fn worth<C>(tokens: &[Token<C>], ends: &[usize], mut at: usize, signature: &Signature) -> Type {
    loop {
        match tokens[at] {
            Token::Argument { negated: true, .. } => return Type::Boolean,
            Token::Argument { argument, .. } => {
                return signature.get(argument as usize).copied().unwrap_or(Type::Unknown);
            }
            Token::Constant(_) => return Type::Contin,
            Token::Word(_) => return Type::Enumerated,
            Token::Neuron { .. } => return Type::Neuron,
            Token::Input(_) => return Type::Signal,
            // The first value follows the first condition.
            Token::Operator(Operator::Cond, _) => at = ends[at + 1],
            Token::Operator(operator, _) => return result(operator),
        }
    }
}

fn result(operator: Operator) -> Type {
    match operator {
        Operator::And
        | Operator::Or
        | Operator::Not
        | Operator::True
        | Operator::False
        | Operator::Positive
        | Operator::Equal => Type::Boolean,
        Operator::Plus
        | Operator::Times
        | Operator::Divide
        | Operator::Log
        | Operator::Exp
        | Operator::Sin
        | Operator::Impulse
        | Operator::Rand
        | Operator::ContinIf => Type::Contin,
        _ => Type::Opaque,
    }
}

/// Whether what is worth `found` may stand where `place` is asked for.
fn fits<C>(token: &Token<C>, found: Type, place: Type) -> bool {
    match (found, place) {
        _ if found == place => true,
        (Type::Opaque | Type::Unknown, _) | (_, Type::Opaque | Type::Unknown) => true,
        (Type::Neuron, Type::Signal) => true,
        (Type::Contin, Type::Weight) => matches!(token, Token::Constant(_)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::super::read::read;
    use super::*;

    fn check(text: &str, output: Type) -> Result<Vec<Type>, String> {
        let mut names = Names::new();
        let tree = read(text, &mut names).unwrap();
        let signature = infer(std::slice::from_ref(&tree), names.arguments().len());
        places(&tree, &signature, output).map_err(|error| error.to_string())
    }

    #[test]
    fn places_ask_for_types() {
        use Type::{Boolean, Contin, Enumerated, Neuron, Signal, Weight};
        let types = check("and(0<(+(-1.3 $x)) !$g)", Boolean);
        assert_eq!(types, Ok(vec![Boolean, Boolean, Contin, Contin, Contin, Boolean]));
        let types = check("cond($b red cond(!$c blue green))", Enumerated);
        let expected =
            vec![Enumerated, Boolean, Enumerated, Enumerated, Boolean, Enumerated, Enumerated];
        assert_eq!(types, Ok(expected));
        let types = check("ann($N1($I2 0.5))", Type::Unknown);
        assert_eq!(types, Ok(vec![Type::Opaque, Neuron, Signal, Weight]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let fault = |text, output| check(text, output).unwrap_err();
        assert_eq!(fault("and(1 $x)", Type::Boolean), "vertex 1: expected Boolean, found Contin");
        assert_eq!(fault("+(1 not($x))", Type::Contin), "vertex 2: expected Contin, found Boolean");
        assert_eq!(fault("+($x 1)", Type::Boolean), "vertex 0: expected Boolean, found Contin");
        assert_eq!(
            fault("ann($N1($I2 +(1 2)))", Type::Unknown),
            "vertex 3: expected Weight, found Contin"
        );
        assert_eq!(
            fault("+($x impulse($x))", Type::Contin),
            "vertex 3: expected Boolean, found Contin"
        );
        // Each side of an equation is what it is.
        assert!(check("and(equ($x red) $x)", Type::Boolean).is_ok());
    }

    #[test]
    fn programs_tell_of_their_arguments() {
        let mut names = Names::new();
        let texts = ["and($a !$b)", "0<($c)", "$d", "cond($a $e red)"];
        let trees: Vec<_> = texts.iter().map(|text| read(text, &mut names).unwrap()).collect();
        let signature = infer(&trees, names.arguments().len());
        use Type::{Boolean, Contin};
        assert_eq!(signature, [Boolean, Boolean, Contin, Contin, Contin]);
    }
}
