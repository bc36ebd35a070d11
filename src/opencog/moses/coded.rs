//! Ensembles in few bytes: packed programs, one codebook for their constants.

use super::codebook::{Code, Codebook, ConstantCodec};
use super::ensemble::{Ensemble, Measure};
use super::evaluate::{Answer, Binding, EvaluateError, evaluate};
use super::names::Names;
use super::pack::{Limits, PackError, pack, unpack};
use super::score::{Fitness, score_answers};
use super::table::Table;
use super::tree::{Program, Tree};

/// By what share a program's errors may change before a constant is kept as it is, where nothing
/// else is asked for.
pub const TOLERANCE: f64 = 1e-9;

/// What becomes of a constant that is no level of the codebook.
#[derive(Debug, Clone, Copy)]
pub enum Rounding<'a> {
    /// It is kept as it is, beside the levels: nothing is lost.
    Keep,
    /// It becomes the nearest level.
    Nearest,
    /// It becomes the level with which the program says most nearly the same of the rows of a
    /// table; the nearest where the program cannot be evaluated on it.
    Calibrated {
        /// The table.
        table: &'a Table,
        /// By what share a program's errors may change. A constant that would change them more is
        /// kept as it is: none is where this is infinite.
        tolerance: f64,
    },
}

/// An ensemble in its coded form.
#[derive(Debug, Clone, PartialEq)]
pub struct CodedEnsemble {
    names: Names,
    book: Codebook,
    /// The programs, one after another.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
    measures: Vec<Measure>,
    demes: Vec<String>,
    behaviors: Vec<Vec<f64>>,
}

/// Parts that make no ensemble.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodedError {
    /// A program that cannot be unpacked.
    #[error("program {program}: {error}")]
    Program {
        /// Which, from 0.
        program: usize,
        /// Why.
        error: PackError,
    },
    /// Ends of programs that are not ascending, or go beyond the bytes or stop before their end.
    #[error("program {0}: expected an end after the one before, within the bytes")]
    Ends(usize),
    /// A measure that has another number of values than there are programs.
    #[error("measure {measure}: expected {programs} values, found {values}")]
    Measure {
        /// Which, from 0.
        measure: usize,
        /// The number of programs.
        programs: usize,
        /// The number of values.
        values: usize,
    },
}

/// How often what was coded is coded again at most, until nothing changes.
const MOST_ROUNDS: usize = 16;

impl CodedEnsemble {
    /// Codes an ensemble. What it gave is coded so again, by the same codes: what is coded is coded
    /// again until nothing changes.
    pub fn encode(ensemble: &Ensemble, codec: ConstantCodec, rounding: Rounding) -> CodedEnsemble {
        let mut coded = CodedEnsemble::encode_once(ensemble, codec, rounding);
        let mut decoded = coded.decode();
        if decoded.programs == ensemble.programs {
            return coded;
        }
        for _ in 0..MOST_ROUNDS {
            coded = CodedEnsemble::encode_once(&decoded, codec, rounding);
            let again = coded.decode();
            if again.programs == decoded.programs {
                break;
            }
            decoded = again;
        }
        coded
    }

    fn encode_once(ensemble: &Ensemble, codec: ConstantCodec, rounding: Rounding) -> CodedEnsemble {
        let constants: Vec<f64> = ensemble.programs.iter().flat_map(Tree::constants).collect();
        let mut book = Codebook::new(codec, &constants);
        let binding = match rounding {
            Rounding::Calibrated { table, .. } => Binding::new(&ensemble.names, table).ok(),
            Rounding::Keep | Rounding::Nearest => None,
        };
        let mut code = |program: &Program| match (rounding, &binding) {
            (Rounding::Keep, _) => program.map(|value| book.lossless(value)),
            (Rounding::Calibrated { table, tolerance }, Some(binding)) => {
                Calibration::of(program, binding, table).coded(&mut book, tolerance)
            }
            _ => program.map(|value| Code::Level(book.nearest(value))),
        };
        let trees: Vec<Tree<Code>> = ensemble.programs.iter().map(&mut code).collect();
        let measures = ensemble.measures.clone();
        let coded = CodedEnsemble::of_trees(ensemble.names.clone(), book, &trees);
        let (demes, behaviors) = (ensemble.demes.clone(), ensemble.behaviors.clone());
        CodedEnsemble { measures, demes, behaviors, ..coded }
    }

    /// An ensemble of coded programs, as evolution finds them.
    pub fn of_trees(names: Names, book: Codebook, trees: &[Tree<Code>]) -> CodedEnsemble {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for tree in trees {
            bytes.extend(pack(tree, &book));
            ends.push(bytes.len() as u32);
        }
        let (measures, demes, behaviors) = (Vec::new(), Vec::new(), Vec::new());
        CodedEnsemble { names, book, bytes, ends, measures, demes, behaviors }
    }

    /// An ensemble that was stored; every program is checked.
    pub fn from_parts(
        names: Names,
        book: Codebook,
        bytes: Vec<u8>,
        ends: Vec<u32>,
        measures: Vec<Measure>,
    ) -> Result<CodedEnsemble, CodedError> {
        let mut start = 0;
        for (program, end) in ends.iter().enumerate() {
            if *end <= start || *end as usize > bytes.len() {
                return Err(CodedError::Ends(program));
            }
            start = *end;
        }
        if start as usize != bytes.len() {
            return Err(CodedError::Ends(ends.len()));
        }
        for (measure, Measure { values, .. }) in measures.iter().enumerate() {
            if values.len() != ends.len() {
                let (programs, values) = (ends.len(), values.len());
                return Err(CodedError::Measure { measure, programs, values });
            }
        }
        let (demes, behaviors) = (Vec::new(), Vec::new());
        let ensemble = CodedEnsemble { names, book, bytes, ends, measures, demes, behaviors };
        for program in 0..ensemble.len() {
            let fault = |error| CodedError::Program { program, error };
            unpack(ensemble.packed(program), &ensemble.limits()).map_err(fault)?;
        }
        Ok(ensemble)
    }

    /// The number of programs.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What their constants stand for.
    pub fn book(&self) -> &Codebook {
        &self.book
    }

    /// What is measured of them.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// The bytes of all programs, one after another.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each program ends in [`bytes`](Self::bytes).
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The bytes of a program.
    ///
    /// # Panics
    ///
    /// Where there are no more than `program` programs.
    pub fn packed(&self, program: usize) -> &[u8] {
        let start = if program == 0 { 0 } else { self.ends[program - 1] as usize };
        &self.bytes[start..self.ends[program] as usize]
    }

    /// A program, its constants still codes.
    ///
    /// # Panics
    ///
    /// Where there are no more than `program` programs.
    pub fn tree(&self, program: usize) -> Tree<Code> {
        // They were packed here, or checked.
        let unpacked = unpack(self.packed(program), &self.limits());
        unpacked.unwrap_or_else(|fault| unreachable!("{fault}"))
    }

    /// The ensemble with numbers for constants.
    pub fn decode(&self) -> Ensemble {
        let program = |i| self.tree(i).map(|code| self.book.value(code));
        Ensemble {
            names: self.names.clone(),
            programs: (0..self.len()).map(program).collect(),
            measures: self.measures.clone(),
            demes: self.demes.clone(),
            behaviors: self.behaviors.clone(),
        }
    }

    /// The deme of each program, where any has one.
    pub fn demes(&self) -> &[String] {
        &self.demes
    }

    /// The score of each program on each row, where any has them.
    pub fn behaviors(&self) -> &[Vec<f64>] {
        &self.behaviors
    }

    /// With the demes and behavioral scores that were stored, of each program or of none.
    pub(super) fn with_notes(
        self,
        demes: Vec<String>,
        behaviors: Vec<Vec<f64>>,
    ) -> Option<CodedEnsemble> {
        let is_right = |count: usize| count == 0 || count == self.len();
        let are_right = is_right(demes.len()) && is_right(behaviors.len());
        are_right.then_some(CodedEnsemble { demes, behaviors, ..self })
    }

    /// How many constants are levels, and how many are kept as they are.
    pub fn constants(&self) -> (usize, usize) {
        let codes: Vec<Code> =
            (0..self.len()).flat_map(|i| self.tree(i).constants().collect::<Vec<_>>()).collect();
        let exact = codes.iter().filter(|code| matches!(code, Code::Exact(_))).count();
        (codes.len() - exact, exact)
    }

    fn limits(&self) -> Limits<'_> {
        let (arguments, words) = (self.names.arguments().len(), self.names.words().len());
        Limits { book: &self.book, arguments, words }
    }
}

/// How many levels on either side of the nearest are looked at.
const REACH: usize = 2;

/// A program whose constants are being coded, by what it says of a table.
struct Calibration<'a> {
    program: &'a Program,
    binding: &'a Binding<'a>,
    table: &'a Table,
    wanted: Vec<Result<Answer<'a>, EvaluateError>>,
    /// Its constants, those coded so far as their codes have them.
    values: Vec<f64>,
}

impl<'a> Calibration<'a> {
    fn of(program: &'a Program, binding: &'a Binding<'a>, table: &'a Table) -> Calibration<'a> {
        let wanted = evaluate(program, binding, |value| value);
        let values = program.constants().collect();
        Calibration { program, binding, table, wanted, values }
    }

    /// Codes the constants from left to right, each at the level with which the program says most
    /// nearly the same of all rows, those before it coded and those after it as they were. One
    /// that then changes the score by more than `tolerance`, a share of it, is kept.
    fn coded(mut self, book: &mut Codebook, tolerance: f64) -> Tree<Code> {
        let score = |said: &[_]| score_answers(said, self.table, Fitness::Errors);
        let wanted = score(&self.wanted);
        let mut codes = Vec::with_capacity(self.values.len());
        for at in 0..self.values.len() {
            let value = self.values[at];
            let level = self.best_level(at, book);
            self.values[at] = book.levels()[usize::from(level)];
            let is_near = match (&wanted, score(&self.said())) {
                _ if tolerance == f64::INFINITY => true,
                (Ok(wanted), Ok(score)) if wanted.is_finite() => {
                    *wanted == score || (wanted - score).abs() / wanted.abs() <= tolerance
                }
                // No score tells such programs apart, but what they say does.
                _ => difference(&self.wanted, &self.said()) == 0.0,
            };
            if is_near {
                codes.push(Code::Level(level));
            } else {
                self.values[at] = value;
                codes.push(book.lossless(value));
            }
        }
        let mut codes = codes.into_iter();
        self.program.map(|value| codes.next().unwrap_or_else(|| Code::Level(book.nearest(value))))
    }

    fn best_level(&mut self, at: usize, book: &Codebook) -> u8 {
        let nearest = usize::from(book.nearest(self.values[at]));
        if book.levels()[nearest] == self.values[at] {
            return nearest as u8;
        }
        let near = nearest.saturating_sub(REACH)..=(nearest + REACH).min(book.levels().len() - 1);
        let costs = near.map(|level| {
            self.values[at] = book.levels()[level];
            // Of equal ones, the nearest to where it was.
            (difference(&self.wanted, &self.said()), level.abs_diff(nearest), level)
        });
        let best = costs.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        best.map_or(nearest, |(_, _, level)| level) as u8
    }

    /// What the program says with its constants as they are now.
    fn said(&self) -> Vec<Result<Answer<'a>, EvaluateError>> {
        let mut values = self.values.iter();
        let program = self.program.map(|value| values.next().copied().unwrap_or(value));
        evaluate(&program, self.binding, |value| value)
    }
}

/// The sum over rows of squared differences of numbers, 1 for other things that are not the same,
/// and more than any for an overflow that was none.
fn difference(
    wanted: &[Result<Answer, EvaluateError>],
    said: &[Result<Answer, EvaluateError>],
) -> f64 {
    let of_row = |(wanted, said): (&Result<Answer, _>, &Result<Answer, _>)| match (wanted, said) {
        (Ok(Answer::Contin(wanted)), Ok(Answer::Contin(said))) => (wanted - said).powi(2),
        (Ok(wanted), Ok(said)) => f64::from(u8::from(wanted != said)),
        (Err(_), Err(_)) => 0.0,
        _ => f64::INFINITY,
    };
    wanted.iter().zip(said).map(of_row).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_lost_where_constants_are_kept() {
        let text = "-2 +(0.1 *(-7.25 $x))\n-3 0<(+(1e-7 $y))\n0 cond(!$b 1 2 )\n";
        let ensemble = Ensemble::read(text).unwrap();
        for codec in ConstantCodec::all() {
            let coded = CodedEnsemble::encode(&ensemble, codec, Rounding::Keep);
            assert_eq!(coded.decode(), ensemble, "{codec}");
        }
        let palette = CodedEnsemble::encode(&ensemble, ConstantCodec::Palette, Rounding::Keep);
        assert_eq!(palette.constants(), (5, 0));
        assert_eq!(palette.packed(2).len(), 5);
        let lattice = CodedEnsemble::encode(&ensemble, ConstantCodec::Lattice, Rounding::Keep);
        assert_eq!(lattice.constants(), (2, 3));
    }

    proptest! {
        #[test]
        fn what_was_coded_is_coded_so_again(
            constants in proptest::collection::vec(
                prop_oneof![-4.0..4.0f64, (-8..8i32).prop_map(|i| f64::from(i) / 4.0), -1e9..1e9f64],
                1..120,
            ),
        ) {
            let text: String = constants.iter().map(|value| format!("+({value} $1)\n")).collect();
            let ensemble = Ensemble::read(&text).unwrap();
            let table = Table::read("t,x\n1.3,1.0\n0.5,0.25\n2.5,2.0", None, None).unwrap();
            let calibrated = Rounding::Calibrated { table: &table, tolerance: TOLERANCE };
            for codec in ConstantCodec::all() {
                for rounding in [Rounding::Keep, Rounding::Nearest, calibrated] {
                    let coded = CodedEnsemble::encode(&ensemble, codec, rounding);
                    let again = CodedEnsemble::encode(&coded.decode(), codec, rounding);
                    prop_assert_eq!(again.section(), coded.section(), "{} {:?}", codec, rounding);
                }
            }
        }
    }

    #[test]
    fn where_there_is_no_score_what_is_said_decides() {
        // On the second row it overflows.
        let table = Table::read("t,x\n1.3,1.0\n0,0\n2.5,2.0", None, None).unwrap();
        let many: String =
            (0..80).map(|i| format!("\n*({} $x)", 1.0 + 0.01 * f64::from(i))).collect();
        let text = format!("+(/(0.123456 $x) *(1.23457 $x)){many}");
        let ensemble = Ensemble::read(&text).unwrap();
        let rounding = Rounding::Calibrated { table: &table, tolerance: 1e-9 };
        let coded = CodedEnsemble::encode(&ensemble, ConstantCodec::Palette, rounding).decode();
        assert_eq!(coded.programs[0], ensemble.programs[0]);
    }

    #[test]
    fn a_threshold_keeps_its_side_where_it_is_calibrated() {
        // The lattice has 1.25 and 1.5 around 1.3; at 1.25 the second row would change sides.
        let table = Table::read("t,x\n1,1.4\n0,1.28\n1,2.0\n0,1.0", None, None).unwrap();
        let ensemble = Ensemble::read("0<(+(-1.3 $x))").unwrap();
        let wrong = |rounding| {
            let coded = CodedEnsemble::encode(&ensemble, ConstantCodec::Lattice, rounding);
            let coded = coded.decode();
            let binding = Binding::new(&coded.names, &table).unwrap();
            let said = evaluate(&coded.programs[0], &binding, |value| value);
            let expected = [true, false, true, false].map(|b| Ok(Answer::Boolean(b)));
            said.iter().zip(&expected).filter(|(said, expected)| said != expected).count()
        };
        assert_eq!(wrong(Rounding::Nearest), 1);
        assert_eq!(wrong(Rounding::Keep), 0);
        let rounding = |table, tolerance| Rounding::Calibrated { table, tolerance };
        let off = wrong(rounding(&table, f64::INFINITY));
        assert_eq!(off, 1, "no level lies between 1.28 and 1.4");
        assert_eq!(wrong(rounding(&table, 0.0)), 0, "so the constant is kept");
        let wider = Table::read("t,x\n1,1.6\n0,1.28\n1,2.0\n0,1.0", None, None).unwrap();
        let coded = CodedEnsemble::encode(
            &ensemble,
            ConstantCodec::Lattice,
            rounding(&wider, f64::INFINITY),
        );
        assert_eq!(coded.decode().programs[0].constants().next(), Some(-1.5));
    }

    #[test]
    fn parts_are_checked() {
        let ensemble = Ensemble::read("1 $1\n2 $2\n").unwrap();
        let coded = CodedEnsemble::encode(&ensemble, ConstantCodec::Palette, Rounding::Keep);
        let parts = |bytes: &[u8], ends: &[u32], values: usize| {
            let measure = Measure { name: "score".into(), values: vec![0.0; values] };
            let (names, book) = (coded.names.clone(), coded.book.clone());
            CodedEnsemble::from_parts(names, book, bytes.into(), ends.into(), vec![measure])
        };
        let fault = |bytes: &[u8], ends: &[u32], values| parts(bytes, ends, values).unwrap_err();
        assert!(parts(&[0x40, 0x41], &[1, 2], 2).is_ok());
        assert_eq!(fault(&[0x40, 0x41], &[1, 1], 2), CodedError::Ends(1));
        assert_eq!(fault(&[0x40, 0x41], &[1, 3], 2), CodedError::Ends(1));
        assert_eq!(fault(&[0x40, 0x41], &[1], 1), CodedError::Ends(1));
        assert!(fault(&[0x40, 0x41], &[1, 2], 3).to_string().contains("found 3"));
        assert!(fault(&[0x40, 0x42], &[1, 2], 2).to_string().starts_with("program 1: byte 0"));
    }

    proptest! {
        #[test]
        fn foreign_parts_do_not_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..30),
            ends in proptest::collection::vec(0..40u32, 0..5),
        ) {
            let ensemble = Ensemble::read("1 +($1 2)").unwrap();
            let coded = CodedEnsemble::encode(&ensemble, ConstantCodec::Palette, Rounding::Keep);
            let (names, book) = (coded.names, coded.book);
            if let Ok(foreign) = CodedEnsemble::from_parts(names, book, bytes, ends, vec![]) {
                foreign.decode();
            }
        }
    }
}
