//! Reading programs from text, as MOSES writes them.

use std::fmt;

use super::names::{ArgumentName, Names};
use super::operator::Operator;
use super::tree::{MAX_DEPTH, Program, Token, Tree};

/// A text that is no program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What was expected there, and what was found.
    pub fault: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.fault)
    }
}

impl std::error::Error for ReadError {}

/// Reads one program, with nothing but white space around it. New names are added to `names`.
pub fn read(text: &str, names: &mut Names) -> Result<Program, ReadError> {
    let mut reader = Reader::new(text);
    let program = reader.program(names)?;
    reader.skip_space();
    match reader.rest().chars().next() {
        None => Ok(program),
        Some(found) => Err(reader.fault(format!("expected the end, found `{found}`"))),
    }
}

/// A text and how far it is read.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// Reads `text` from byte `at` up to `end` only; places in messages are those in `text`.
    pub(super) fn at(text: &'a str, at: usize, end: usize) -> Reader<'a> {
        Reader { text: &text[..end], at }
    }

    /// How many bytes are read.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Goes on by so many bytes.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes on to what is no white space.
    pub(super) fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// An error at this place.
    pub(super) fn fault(&self, fault: String) -> ReadError {
        self.fault_at(self.at, fault)
    }

    fn fault_at(&self, at: usize, fault: String) -> ReadError {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ReadError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            fault,
        }
    }

    /// Reads the next program.
    pub(super) fn program(&mut self, names: &mut Names) -> Result<Program, ReadError> {
        let mut tokens: Vec<Token<f64>> = Vec::new();
        // Where each vertex stands in the text, for messages.
        let mut places: Vec<usize> = Vec::new();
        // The operators whose `)` is to come.
        let mut open: Vec<usize> = Vec::new();
        loop {
            self.skip_space();
            if self.rest().starts_with(')') {
                let Some(operator) = open.pop() else {
                    return Err(self.fault("expected a program, found `)`".into()));
                };
                if tokens[operator].arity() == 0 {
                    return Err(self.fault("expected an argument, found `)`".into()));
                }
                self.advance(1);
            } else {
                let place = self.at;
                let word = self.word()?;
                let is_call = self.rest().starts_with('(');
                if let Some(parent) = open.last() {
                    add_argument(&mut tokens[*parent]);
                }
                let within = open.iter().any(|at| is_neural(&tokens[*at]));
                let token = self.token(place, word, is_call, within, names)?;
                tokens.push(token);
                places.push(place);
                if is_call {
                    self.advance(1);
                    open.push(tokens.len() - 1);
                }
                if open.len() + usize::from(!is_call) > MAX_DEPTH {
                    let fault = format!("expected at most {MAX_DEPTH} levels, found more");
                    return Err(self.fault_at(place, fault));
                }
            }
            if open.is_empty() {
                break;
            }
        }
        Tree::new(tokens).map_err(|error| {
            let place = error.vertex().map_or(self.at, |vertex| places[vertex]);
            self.fault_at(place, error.to_string())
        })
    }

    /// Reads up to white space or a parenthesis outside of quotes.
    fn word(&mut self) -> Result<&'a str, ReadError> {
        let mut quoted = false;
        let end = self.rest().find(|c: char| {
            quoted ^= c == '"';
            !quoted && (c.is_whitespace() || c == '(' || c == ')')
        });
        let word = &self.rest()[..end.unwrap_or(self.rest().len())];
        if word.matches('"').count() % 2 == 1 {
            return Err(self.fault("expected a closing quote, found the end".into()));
        }
        if word.is_empty() {
            let found = self.rest().chars().next().map_or("the end".into(), |c| format!("`{c}`"));
            return Err(self.fault(format!("expected a program, found {found}")));
        }
        self.advance(word.len());
        Ok(word)
    }

    /// The vertex that a word stands for, without arguments yet.
    fn token(
        &self,
        place: usize,
        word: &str,
        is_call: bool,
        in_network: bool,
        names: &mut Names,
    ) -> Result<Token<f64>, ReadError> {
        if let Some(operator) = Operator::from_spelling(word) {
            return Ok(Token::Operator(operator, 0));
        }
        if in_network && let Some(token) = neural(word) {
            return Ok(token);
        }
        let fault = |fault: String| Err(self.fault_at(place, fault));
        if is_call {
            return fault(format!("expected an operator, found `{}`", shown(word)));
        }
        if let Some((negated, name)) = argument(word) {
            let Some(name) = ArgumentName::from_text(name) else {
                return fault(format!("expected an argument from $1 on, found `{}`", shown(word)));
            };
            return Ok(Token::Argument { argument: names.argument(name), negated });
        }
        if let Some(value) = number(word) {
            if !value.is_finite() {
                return fault(format!("expected a finite number, found `{}`", shown(word)));
            }
            return Ok(Token::Constant(value));
        }
        if is_word(word) {
            return Ok(Token::Word(names.word(word)));
        }
        fault(format!("expected an operator, argument, number or word, found `{}`", shown(word)))
    }
}

/// A word cut short for a message.
fn shown(word: &str) -> String {
    word.chars().take(40).collect()
}

fn is_neural(token: &Token<f64>) -> bool {
    matches!(token, Token::Neuron { .. } | Token::Operator(Operator::Network, _))
}

fn add_argument(token: &mut Token<f64>) {
    if let Token::Operator(_, arity) | Token::Neuron { arity, .. } = token {
        *arity += 1;
    }
}

/// `$N3` and `$I2`.
fn neural(word: &str) -> Option<Token<f64>> {
    let digits = word.strip_prefix("$N").or_else(|| word.strip_prefix("$I"))?;
    let id = digits.parse().ok()?;
    Some(match word.as_bytes()[1] {
        b'N' => Token::Neuron { id, arity: 0 },
        _ => Token::Input(id),
    })
}

/// Whether it is negated, and its name. `#1` is how `$1` was written before 2012.
fn argument(word: &str) -> Option<(bool, &str)> {
    let (negated, word) = match word.strip_prefix('!') {
        Some(word) => (true, word),
        None => (false, word),
    };
    word.strip_prefix('$').or_else(|| word.strip_prefix('#')).map(|name| (negated, name))
}

/// A number begins with a digit, a sign or a point, which `inf` and `nan` do not.
fn number(word: &str) -> Option<f64> {
    let first = word.bytes().next()?;
    let may_be = first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.');
    let value = may_be.then(|| word.parse().ok()).flatten();
    // `-inf` and `+nan` are words that Rust takes for numbers.
    value.filter(|_: &f64| word.bytes().any(|byte| byte.is_ascii_digit()))
}

/// What MOSES takes for a definite object, an enumerated value or a message.
fn is_word(word: &str) -> bool {
    if word.starts_with("enum:") || word.starts_with("message:\"") {
        return true;
    }
    word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        read(text, &mut Names::new()).unwrap_err().to_string()
    }

    #[test]
    fn a_program_is_read_in_preorder() {
        let mut names = Names::new();
        let tree = read("and(0<(+(-1.3 $x)) 0<($y) !$g)", &mut names).unwrap();
        let operator = |operator, arity| Token::Operator(operator, arity);
        let argument = |argument, negated| Token::Argument { argument, negated };
        let expected = [
            operator(Operator::And, 3),
            operator(Operator::Positive, 1),
            operator(Operator::Plus, 2),
            Token::Constant(-1.3),
            argument(0, false),
            operator(Operator::Positive, 1),
            argument(1, false),
            argument(2, true),
        ];
        assert_eq!(tree.tokens(), expected);
        assert_eq!(names.arguments().len(), 3);
    }

    #[test]
    fn networks_have_neurons_and_labels_do_not() {
        let mut names = Names::new();
        let tree = read("ann($N1($I2 $I3 0.5 -1))", &mut names).unwrap();
        assert_eq!(tree.tokens()[1], Token::Neuron { id: 1, arity: 4 });
        assert_eq!(tree.tokens()[3], Token::Input(3));
        let label = read("and($N1 $I2)", &mut names).unwrap();
        assert_eq!(label.tokens()[1], Token::Argument { argument: 0, negated: false });
    }

    #[test]
    fn old_and_long_spellings_are_read() {
        let mut names = Names::new();
        let old = read("logical_or(#1 !#2)", &mut names).unwrap();
        assert_eq!(old, read("or($1 !$2)", &mut names).unwrap());
        let words = "cond(0<($1) enum:\"two (words)\" Iris-setosa)";
        let tree = read(words, &mut names).unwrap();
        assert_eq!(tree.len(), 5);
        assert_eq!(names.words(), ["enum:\"two (words)\"", "Iris-setosa"]);
    }

    #[test]
    fn errors_tell_where_and_what() {
        assert_eq!(
            fault("and($1\n  foo($2))"),
            "line 2, column 3: expected an operator, found `foo`"
        );
        assert_eq!(fault("and($1"), "line 1, column 7: expected a program, found the end");
        assert_eq!(fault("and()"), "line 1, column 5: expected an argument, found `)`");
        assert_eq!(fault("$1 $2"), "line 1, column 4: expected the end, found `$`");
        assert_eq!(
            fault("or(not($1 $2))"),
            "line 1, column 4: vertex 1: not takes 1 argument, found 2"
        );
        assert_eq!(fault("$0"), "line 1, column 1: expected an argument from $1 on, found `$0`");
        assert_eq!(fault("1e999"), "line 1, column 1: expected a finite number, found `1e999`");
        assert_eq!(
            fault("enum:\"open"),
            "line 1, column 1: expected a closing quote, found the end"
        );
        assert!(fault(&"not(".repeat(100_000)).contains("expected at most 256 levels"));
    }
}
