//! What the constructors of links demand of what these hold: a row for each type, as each
//! generation has it.

use super::super::destination::Target;

/// What links of a type, and of those derived from it, must be.
pub(super) struct Row {
    /// The type; after `=`, of this alone.
    pub of: &'static str,
    /// The forms of which they have one, in AtomSpace 5.0; all, if there are none.
    old: &'static [Form],
    /// Those in AtomSpace of 2026.
    new: &'static [Form],
}

impl Row {
    pub fn forms(&self, target: Target) -> &'static [Form] {
        match target {
            Target::AtomSpace5_0 => self.old,
            Target::AtomSpace2026 => self.new,
        }
    }
}

/// How many atoms a link holds, and of which types: those of a list and those derived from them, or
/// one alone after `=`. Any may be where there is no list.
pub(super) struct Form {
    pub least: usize,
    pub most: usize,
    pub first: Option<Types>,
    pub second: Option<Types>,
    /// All but the first.
    pub rest: Option<Types>,
    pub all: Option<Types>,
    pub not_first: Types,
    pub none: Types,
}

type Types = &'static [&'static str];

impl Form {
    const fn first(self, types: Types) -> Form {
        Form { first: Some(types), ..self }
    }

    const fn second(self, types: Types) -> Form {
        Form { second: Some(types), ..self }
    }

    const fn rest(self, types: Types) -> Form {
        Form { rest: Some(types), ..self }
    }

    const fn all(self, types: Types) -> Form {
        Form { all: Some(types), ..self }
    }

    const fn not_first(self, types: Types) -> Form {
        Form { not_first: types, ..self }
    }

    const fn none(self, types: Types) -> Form {
        Form { none: types, ..self }
    }
}

const fn of(least: usize, most: usize) -> Form {
    let (first, second, rest, all) = (None, None, None, None);
    Form { least, most, first, second, rest, all, not_first: &[], none: &[] }
}

const ANY: usize = usize::MAX;

/// What no link is.
const NEVER: Form = of(ANY, 0);

const fn both(of: &'static str, forms: &'static [Form]) -> Row {
    Row { of, old: forms, new: forms }
}

const fn old(of: &'static str, forms: &'static [Form]) -> Row {
    Row { of, old: forms, new: &[] }
}

const fn new(of: &'static str, forms: &'static [Form]) -> Row {
    Row { of, old: &[], new: forms }
}

const fn each(of: &'static str, old: &'static [Form], new: &'static [Form]) -> Row {
    Row { of, old, new }
}

/// After each row is the file that it was read from, in `opencog/atoms` of both generations;
/// commits are those of the table of types.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // What only others are derived from.
    both("=FreeLink", &[NEVER]), // FreeLink.cc
    both("=UniqueLink", &[NEVER]), // UniqueLink.cc
    both("=FunctionLink", &[NEVER]), // FunctionLink.cc
    both("=NumericFunctionLink", &[NEVER]), // NumericFunctionLink.cc
    both("=PrenexLink", &[NEVER]), // PrenexLink.cc
    both("=JoinLink", &[NEVER]), // JoinLink.cc
    // What no AtomSpace holds: the first is refused, the second is run instead.
    both("ValueShimLink", &[NEVER]), // ValueShimLink.cc
    new("TriggerLink", &[NEVER]), // TriggerLink.cc
    // Names of things.
    both("UniqueLink", &[of(1, ANY)]), // UniqueLink.cc
    both("StateLink", &[of(2, 2)]), // StateLink.cc
    both("DefineLink", &[of(2, 2).first(DEFINED)]), // DefineLink.cc
    new("PipeLink", &[of(2, 2).first(&["NameNode"])]), // PipeLink.cc
    both("TypedAtomLink",
        &[of(2, 2).not_first(VARIABLES).second(TYPES_OF_ATOMS)]), // TypedAtomLink.cc
    // Variables and scopes.
    // A reader of text finds no definition of a type yet.
    both("TypedVariableLink",
        &[TYPED.second(TYPES_OF_VARIABLES).none(DEFINED)]), // TypedVariableLink.cc
    both("VariableList", &[of(0, ANY).all(DECLARATIONS)]), // VariableList.cc
    both("VariableSet", &[of(0, ANY).all(DECLARATIONS)]), // VariableSet.cc
    both("ScopeLink", &[of(1, ANY)]), // ScopeLink.cc
    both("PutLink", &[of(2, 3)]), // PutLink.cc
    both("VardeclOfLink", &[of(1, 2).first(&["PrenexLink"])]), // VardeclOfLink.cc
    both("=VardeclOfLink", &[of(1, 1)]), // VardeclOfLink.cc
    both("ConclusionOfLink",
        &[of(1, 2).first(&["RuleLink"]).second(&["NumberNode"])]), // ConclusionOfLink.cc
    both("PremiseOfLink", &[of(1, 2).second(&["NumberNode"])]), // PremiseOfLink.cc
    // Queries.
    both("QueryLink", &[of(2, ANY)]), // QueryLink.cc
    both("GetLink", &[of(1, 2)]), // GetLink.cc
    both("MeetLink", &[of(1, 2)]), // MeetLink.cc
    both("SatisfactionLink", &[of(1, 2)]), // SatisfactionLink.cc
    both("DualLink", &[of(1, 1)]), // DualLink.cc
    each("JoinLink", &[JOIN.all(CLAUSES), JOIN.first(JOINED).rest(CLAUSES)],
        &[JOIN.all(CLAUSES_2026), JOIN.first(JOINED).rest(CLAUSES_2026)]), // JoinLink.cc
    new("ExclusiveLink", &[of(1, ANY)]), // ExclusiveLink.cc
    // What is run.
    both("ExecutionOutputLink", &[of(2, 2).first(PROCEDURES)]), // ExecutionOutputLink.cc
    both("DontExecLink", &[of(1, 1)]), // DontExecLink.cc
    both("PureExecLink", &[of(1, ANY)]), // PureExecLink.cc
    each("ExecuteThreadedLink",
        &[of(1, ANY).first(&["=SetLink"]), of(2, ANY).first(&["NumberNode"]).second(&["=SetLink"])],
        &[of(1, ANY).not_first(&["NumberNode"]), of(2, ANY)]), // ExecuteThreadedLink.cc
    both("SleepLink", &[of(1, 1)]), // SleepLink.cc
    both("TimeLink", &[of(0, 0)]), // TimeLink.cc
    both("CondLink", &[of(1, ANY)]), // CondLink.cc
    // A reader of text finds no definition of a procedure yet.
    both("FilterLink", &[of(2, 2).not_first(&["DefinedProcedureNode"])]), // FilterLink.cc
    // Collections and values.
    both("CollectionOfLink", &[of(1, 1), of(2, 2).first(&["TypeNode"])]), // CollectionOfLink.cc
    both("IncomingOfLink", &[of(1, 2)]), // IncomingOfLink.cc
    both("LinkSignatureLink", &[of(1, ANY).first(&["TypeNode"])]), // LinkSignatureLink.cc
    old("FormulaPredicateLink", &[of(2, 3)]), // FormulaPredicateLink.cc
    old("NumberOfLink", &[of(1, 1)]), // NumberOfLink.cc
    // A list of executable atoms too, which is not told from others here.
    old("=PromiseLink", &[
        of(1, ANY).all(EXECUTABLE),
        of(1, ANY).first(&["=TypeNode"]).rest(EXECUTABLE),
    ]), // PromiseLink.cc
    old("SetTVLink", &[of(2, ANY)]), // SetTVLink.cc
    each("SetValueLink", &[of(3, 4)], &[of(2, 4)]), // SetValueLink.cc
    new("IncrementValueLink", &[of(3, 3)]), // IncrementValueLink.cc
    new("AtomSpaceOfLink", &[of(1, 1)]), // AtomSpaceOfLink.cc
    new("DrainLink", &[of(1, ANY).all(EXECUTABLE_2026)]), // DrainLink.cc
    old("StringOfLink", &[
        of(2, 2).first(&["TypeNode"]).second(&["Node"]),
        of(2, 2).first(&["TypeNode"]).second(EXECUTABLE),
        of(2, 2).first(EXECUTABLE).second(&["Node"]),
        of(2, 2).first(EXECUTABLE).second(EXECUTABLE),
    ]), // StringOfLink.cc
    both("ValueOfLink", &[of(1, ANY)]), // ValueOfLink.cc
    both("StreamValueOfLink", &[of(2, 2)]), // StreamValueOfLink.cc
    new("SexprColumn", &[of(1, 1)]), // SexprColumn.cc
    // Text of another language: the readers take it for a name where there is nothing in it.
    both("SexprAst", &[of(1, ANY)]), // SexprAST.cc
    old("DatalogAst", &[of(1, 1).first(&["Node"])]), // DatalogAST.cc
    // Numbers.
    both("AccumulateLink", &[of(1, 1)]), // AccumulateLink.cc
    both("DecimateLink", &[of(2, 2)]), // DecimateLink.cc
    both("ElementOfLink", &[of(2, 2)]), // ElementOfLink.cc
    both("FloorLink", &[of(1, 1)]), // NumericFunctionLink.cc
    both("HeavisideLink", &[of(1, 1)]), // NumericFunctionLink.cc
    both("Log2Link", &[of(1, 1)]), // NumericFunctionLink.cc
    both("PowLink", &[of(2, 2)]), // NumericFunctionLink.cc
    both("RandomNumberLink", &[of(2, 2)]), // NumericFunctionLink.cc
    both("SineLink", &[of(1, 1)]), // NumericFunctionLink.cc
    new("CosineLink", &[of(1, 1)]), // NumericFunctionLink.cc
    new("TanLink", &[of(1, 1)]), // NumericFunctionLink.cc
    new("ExpLink", &[of(1, 1)]), // NumericFunctionLink.cc
    // What is asked of all that takes something of a kind.
    old("CrispInputLink", &[of(0, ANY).all(EVALUATABLE)]), // Checkers.cc
    new("CrispInputSig", &[of(0, ANY).all(EVALUATABLE)]), // Checkers.cc
    old("BooleanInputLink", &[of(0, ANY).all(BOOLEAN)]), // Checkers.cc
    new("BooleanInputSig", &[of(0, ANY).all(BOOLEAN)]), // Checkers.cc
    old("NumericInputLink", &[of(0, ANY).all(NUMERIC)]), // Checkers.cc
    new("NumericInputSig", &[of(0, ANY).all(NUMERIC)]), // Checkers.cc
    old("TypeInputLink", &[of(0, ANY).all(TYPES)]), // Checkers.cc
    new("TypeInputSig", &[of(0, ANY).all(TYPES)]), // Checkers.cc
    // A reader of text finds no definition of a type yet.
    both("TypeChoice", &[of(0, ANY).none(DEFINED)]), // TypeChoice.cc
    both("TypeIntersectionLink", &[of(0, ANY).all(INTERSECTED)]), // TypeIntersectionLink.cc
];

pub(super) const VARIABLES: Types = &["VariableNode", "GlobNode"];

const DECLARATIONS: Types = &["VariableNode", "GlobNode", "TypedVariableLink"];

const DEFINED: Types =
    &["DefinedProcedureNode", "DefinedSchemaNode", "DefinedPredicateNode", "DefinedTypeNode"];

const TYPES_OF_ATOMS: Types =
    &["TypeNode", "DefinedTypeNode", "TypeChoice", "SignatureLink", "ArrowLink"];

const TYPED: Form = of(2, 2).first(VARIABLES);

const TYPES_OF_VARIABLES: Types = &[
    "TypeNode",
    "TypeChoice",
    "TypeIntersectionLink",
    "VariableNode",
    "SignatureLink",
    "IntervalLink",
    "ArrowLink",
];

const JOIN: Form = of(1, ANY);

const JOINED: Types = &["VariableList", "VariableSet", "TypedVariableLink"];

const CLAUSES: Types = &[
    "=ReplacementLink",
    "=PresentLink",
    "EvaluatableLink",
    "TypeNode",
    "TypeInputLink",
    "TypeOutputLink",
];

const CLAUSES_2026: Types = &[
    "=ReplacementLink",
    "=PresentLink",
    "EvaluatableLink",
    "TypeNode",
    "TypeInputSig",
    "TypeOutputSig",
    "Node",
];

const PROCEDURES: Types = &[
    "FunctionLink",
    "VirtualLink",
    "LambdaLink",
    "RuleLink",
    "ProcedureNode",
    "VariableNode",
    "UnquoteLink",
];

/// The classes of 5.0 whose headers say that they are executable.
pub(super) const EXECUTABLE: Types = &[
    "BoolOpLink",
    "DecimateLink",
    "ElementOfLink",
    "LinkSignatureLink",
    "PromiseLink",
    "FormulaPredicateLink",
    "PatternLink",
    "PureExecLink",
    "ExecuteThreadedLink",
    "PresentLink",
    "DontExecLink",
    "DeleteLink",
    "PutLink",
    "FunctionLink",
    "AbsentLink",
    "RuleLink",
    "JoinLink",
    "ExecutionOutputLink",
];

/// Those of 2026.
pub(super) const EXECUTABLE_2026: Types = &[
    "BoolOpLink",
    "DecimateLink",
    "ElementOfLink",
    "LinkSignatureLink",
    "DrainLink",
    "TransposeColumn",
    "SexprColumn",
    "FloatColumn",
    "LinkColumn",
    "NameNode",
    "DefinedProcedureNode",
    "PatternLink",
    "PresentLink",
    "DeleteLink",
    "ParallelLink",
    "DontExecLink",
    "PureExecLink",
    "ExecuteThreadedLink",
    "PutLink",
    "QuoteLink",
    "FunctionLink",
    "VardeclOfLink",
    "RuleLink",
    "JoinLink",
    "ExecutionOutputLink",
    "EvaluationLink",
    "EvaluatableLink",
];

const EVALUATABLE: Types = &[
    "PutLink",
    "GetLink",
    "VariableNode",
    "GlobNode",
    "DefinedPredicateNode",
    "PredicateNode",
    "ConceptNode",
    "QuoteLink",
    "UnquoteLink",
    "SimilarityLink",
    "MemberLink",
    "DirectlyEvaluatableLink",
    "EvaluatableLink",
    "BooleanOutputSig",
];

const BOOLEAN: Types = &[
    "VariableNode",
    "DefinedProcedureNode",
    "ExecutionOutputLink",
    "BooleanOutputLink",
    "BooleanOutputSig",
];

/// Of a set, all members must be of these too.
pub(super) const NUMERIC: Types = &[
    "=PutLink",
    "SatisfyingLink",
    "=ExecutionOutputLink",
    "=VariableNode",
    "=GlobNode",
    "=NumberNode",
    "BoolOpLink",
    "DefinedProcedureNode",
    "=SetLink",
    "=SchemaNode",
    "=QuoteLink",
    "=UnquoteLink",
    "NumericOutputLink",
    "NumericOutputSig",
];

const TYPES: Types = &["TypeNode", "=IntervalLink", "TypeOutputLink", "TypeOutputSig"];

const INTERSECTED: Types =
    &["=TypeNode", "=TypeInhNode", "=TypeCoInhNode", "=IntervalLink", "TypeChoice"];
