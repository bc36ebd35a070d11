//! The types that modules of OpenCog declare: what they are, and which AtomSpace knows them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::export::Target;
use super::type_script::{self, ScriptError};
use super::types::Kind;

/// What things of a type are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sort {
    /// Atoms with a name, or with an outgoing set.
    Atom(Kind),
    /// Values.
    Value,
    /// Anything else, as what types of atoms have in common.
    Other,
}

/// Which AtomSpaces know a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// AtomSpace itself, in both generations or in one.
    Own(Option<Target>),
    /// These modules, where they are loaded.
    Modules(Vec<Box<str>>),
    /// A type script that the user named.
    Given,
}

/// One declaration of a type; where the generations of AtomSpace differ, there is one of each.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declaration {
    parents: Vec<Box<str>>,
    origin: Origin,
}

impl Declaration {
    fn is_of(&self, target: Target) -> bool {
        !matches!(self.origin, Origin::Own(Some(only)) if only != target)
    }
}

/// A declared type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declared {
    /// The long name.
    pub name: Box<str>,
    pub sort: Sort,
    declarations: Vec<Declaration>,
}

impl Declared {
    /// Whether AtomSpace itself declares it.
    fn is_own(&self) -> bool {
        self.declarations.iter().any(|declaration| matches!(declaration.origin, Origin::Own(_)))
    }

    /// Whether it is declared with just these parents.
    fn has_parents(&self, parents: &[String]) -> bool {
        let of = |declaration: &Declaration| {
            let own = declaration.parents.iter().map(|name| &**name);
            own.eq(parents.iter().map(String::as_str))
        };
        self.declarations.iter().any(of)
    }
}

/// The declared types, found by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declarations {
    types: Vec<Declared>,
    /// By long and by short name.
    by_name: HashMap<(Box<str>, Sort), usize>,
    /// All modules that declare types, without AtomSpace itself.
    modules: Vec<Box<str>>,
}

static BUILTIN: LazyLock<Arc<Declarations>> =
    LazyLock::new(|| Arc::new(Declarations::of_table(include_str!("known_types.tsv"))));

/// Those of all modules of OpenCog.
impl Default for Declarations {
    fn default() -> Declarations {
        (**Declarations::builtin()).clone()
    }
}

impl Declarations {
    /// Those of all modules of OpenCog.
    pub fn builtin() -> &'static Arc<Declarations> {
        &BUILTIN
    }

    fn of_table(table: &str) -> Declarations {
        let (types, by_name, modules) = (Vec::new(), HashMap::new(), Vec::new());
        let mut all = Declarations { types, by_name, modules };
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let mut columns = line.split('\t');
            let mut column = || columns.next().unwrap_or_default();
            let (name, short, sort) = (column(), column(), sort_named(column()));
            let parents = column().split(',').filter(|name| !name.is_empty()).map(Into::into);
            let parents = parents.collect();
            let origin = all.origin(column());
            all.declare(name, short, sort, Declaration { parents, origin });
        }
        all
    }

    fn origin(&mut self, modules: &str) -> Origin {
        match modules {
            "atomspace" => Origin::Own(None),
            "atomspace-5.0" => Origin::Own(Some(Target::AtomSpace5_0)),
            "atomspace-2026" => Origin::Own(Some(Target::AtomSpace2026)),
            modules => {
                let modules: Vec<Box<str>> = modules.split(',').map(Into::into).collect();
                let new: Vec<_> =
                    modules.iter().filter(|of| !self.modules.contains(of)).cloned().collect();
                self.modules.extend(new);
                Origin::Modules(modules)
            }
        }
    }

    /// Adds the types of a type script (`atom_types.script`), each of which a parent that is known
    /// tells the sort of; one without a parent, as `TOP_TYPE`, is no atom's. A type of the same name
    /// and sort is this one from now on, unless it is AtomSpace's own with these parents.
    ///
    /// # Errors
    /// A line declares no type, or one whose parents are not known.
    pub fn add_script(&mut self, script: &str) -> Result<(), ScriptError> {
        for line in type_script::lines(script)? {
            let sort = self.sort_of(&line)?;
            let type_script::Line { name, short, parents, .. } = line;
            let known = self.find(&name, sort).filter(|known| *known.name == *name);
            if known.is_some_and(|known| known.is_own() && known.has_parents(&parents)) {
                continue;
            }
            let parents = parents.into_iter().map(Into::into).collect();
            let declaration = Declaration { parents, origin: Origin::Given };
            self.by_name.remove(&(name.as_str().into(), sort));
            self.declare(&name, &short, sort, declaration);
        }
        Ok(())
    }

    /// The sort of a type: the one that AtomSpace gives it, else that of its parents.
    fn sort_of(&self, of: &type_script::Line) -> Result<Sort, ScriptError> {
        let type_script::Line { line, name, short, parents } = of;
        let own = self.of_any_sort(name).filter(|own| *own.name == **name && own.is_own());
        if let Some(sort) = own.map(|own| own.sort).or_else(|| self.sort_by_parents(parents)) {
            return Ok(sort);
        }
        let fault = match parents.is_empty() {
            // Nodes and links have a parent.
            true if short.is_empty() => return Ok(Sort::Other),
            true => format!("expected `TYPE <- PARENT`, found {name} without a parent"),
            false => format!(
                "expected a parent of {name} that is declared before it, found {}",
                parents.join(", ")
            ),
        };
        Err(ScriptError { line: *line, fault })
    }

    fn sort_by_parents(&self, parents: &[String]) -> Option<Sort> {
        let sorts = [Sort::Atom(Kind::Node), Sort::Atom(Kind::Link), Sort::Value, Sort::Other];
        let has = |sort: &Sort| parents.iter().any(|parent| self.find(parent, *sort).is_some());
        sorts.into_iter().find(has)
    }

    fn declare(&mut self, name: &str, short: &str, sort: Sort, declaration: Declaration) {
        let key = (Box::from(name), sort);
        let is_own = |at: &&usize| *self.types[**at].name == *name;
        match self.by_name.get(&key).filter(is_own) {
            Some(&at) => self.types[at].declarations.push(declaration),
            None => {
                let at = self.types.len();
                let declarations = vec![declaration];
                self.types.push(Declared { name: name.into(), sort, declarations });
                self.by_name.insert(key, at);
                if !short.is_empty() {
                    // a short name never hides a long one
                    self.by_name.entry((short.into(), sort)).or_insert(at);
                }
            }
        }
    }

    /// The modules whose types a stock AtomSpace does not know.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|name| &**name)
    }

    /// The declared type of this long or short name.
    pub(super) fn find(&self, name: &str, sort: Sort) -> Option<&Declared> {
        self.by_name.get(&(name.into(), sort)).map(|&at| &self.types[at])
    }

    /// The long name of whatever type has this long or short name: of a link, where more have it.
    pub(super) fn long_name(&self, name: &str) -> Option<&str> {
        self.of_any_sort(name).map(|declared| &*declared.name)
    }

    fn of_any_sort(&self, name: &str) -> Option<&Declared> {
        let sorts = [Sort::Atom(Kind::Link), Sort::Atom(Kind::Node), Sort::Value, Sort::Other];
        let found = || sorts.iter().filter_map(|&sort| self.find(name, sort));
        found().find(|declared| &*declared.name == name).or_else(|| found().next())
    }

    /// Whether a type is another one, or one of its kinds, in any AtomSpace.
    pub(super) fn is_a(&self, declared: &Declared, ancestor: &str) -> bool {
        let targets = [Target::AtomSpace5_0, Target::AtomSpace2026];
        targets.iter().any(|&target| self.is_a_in(declared, ancestor, target))
    }

    /// Whether a type is another one, or one of its kinds, in this AtomSpace.
    pub(super) fn is_a_in(&self, declared: &Declared, ancestor: &str, target: Target) -> bool {
        self.ancestors(declared, target).contains(&ancestor)
    }

    /// A type and all that it is derived from in this AtomSpace.
    pub(super) fn ancestors<'a>(&'a self, of: &'a Declared, target: Target) -> Vec<&'a str> {
        let mut names: Vec<&str> = vec![&of.name];
        let mut of = Some(of);
        let mut next = 0;
        while next < names.len() {
            let declarations = of.map_or(&[][..], |of| &of.declarations);
            let of_target = declarations.iter().filter(|declaration| declaration.is_of(target));
            for parent in of_target.flat_map(|declaration| &declaration.parents) {
                if !names.contains(&&**parent) {
                    names.push(parent);
                }
            }
            next += 1;
            let name = names.get(next);
            of = name.and_then(|name| self.of_any_sort(name).filter(|of| *of.name == **name));
        }
        names
    }

    /// Whether an AtomSpace of this generation, with these modules, knows a type.
    pub(super) fn is_known(&self, declared: &Declared, target: Target, modules: &[String]) -> bool {
        declared.declarations.iter().any(|declaration| match &declaration.origin {
            Origin::Own(only) => only.is_none_or(|only| only == target),
            Origin::Modules(of) => of.iter().any(|of| modules.iter().any(|name| **name == **of)),
            Origin::Given => true,
        })
    }

    /// Whether whatever has this name is known there.
    pub(super) fn is_name_known(&self, name: &str, target: Target, modules: &[String]) -> bool {
        let declared = self.of_any_sort(name);
        declared.is_some_and(|declared| self.is_known(declared, target, modules))
    }
}

fn sort_named(name: &str) -> Sort {
    match name {
        "node" => Sort::Atom(Kind::Node),
        "link" => Sort::Atom(Kind::Link),
        "value" => Sort::Value,
        _ => Sort::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: Sort = Sort::Atom(Kind::Node);
    const LINK: Sort = Sort::Atom(Kind::Link);
    const BOTH: [Target; 2] = [Target::AtomSpace5_0, Target::AtomSpace2026];

    #[test]
    fn the_table_has_what_was_declared() {
        let all = Declarations::builtin();
        let count = |sort| all.types.iter().filter(|declared| declared.sort == sort).count();
        assert_eq!((count(NODE), count(LINK), count(Sort::Value)), (122, 306, 33));
        assert!(all.find("Similarity", NODE).is_none());
        let known = |name, sort, modules: &[&str]| {
            let modules: Vec<String> = modules.iter().map(|name| name.to_string()).collect();
            let declared = all.find(name, sort).unwrap();
            BOTH.map(|target| all.is_known(declared, target, &modules))
        };
        assert_eq!(known("ConceptNode", NODE, &[]), [true, true]);
        assert_eq!(known("BindLink", LINK, &[]), [true, false]);
        assert_eq!(known("NameNode", NODE, &[]), [false, true]);
        assert_eq!(known("GeneNode", NODE, &[]), [false, false]);
        assert_eq!(known("Gene", NODE, &["bioscience"]), [true, true]);
        assert!(all.modules().any(|name| name == "pln"));
    }

    #[test]
    fn kinds_are_inherited() {
        let all = Declarations::builtin();
        let is = |name, ancestor| all.is_a(all.find(name, LINK).unwrap(), ancestor);
        for name in [
            "SetLink",
            "IntensionalSimilarity",
            "ExtensionalSimilarity",
            "IntensionalEquivalence",
            "ExtensionalEquivalence",
            "SimultaneousEquivalence",
            "SymmetricHebbian",
            "LgOr",
            "Cosense",
            "MinedPattern",
        ] {
            assert!(is(name, "UnorderedLink"), "{name}");
        }
        assert!(!is("ListLink", "UnorderedLink"));
        assert!(is("ImplicationScope", "ScopeLink"));
        assert_eq!(&*all.find("ImplicationScope", LINK).unwrap().name, "ImplicationScopeLink");
        let formula = all.find("FormulaStream", Sort::Value).unwrap();
        assert_eq!(BOTH.map(|of| all.is_a_in(formula, "ListValue", of)), [true, false]);
    }

    #[test]
    fn scripts_add_types() {
        let mut all = Declarations::default();
        let script = "// mine\nPAIR_LINK <- UNORDERED_LINK\nTWIN_LINK <- PAIR_LINK, ORDERED_SIG\n\
            MOLE_NODE <- CONCEPT_NODE \"MoleN\" // a mole\nMY_STREAM <- FLOAT_VALUE\n";
        all.add_script(script).unwrap();
        let twin = all.find("Twin", LINK).unwrap();
        assert!(all.is_a(twin, "UnorderedLink") && &*twin.name == "TwinLink");
        assert!(all.is_known(twin, Target::AtomSpace2026, &[]));
        assert!(all.find("MoleN", NODE).is_some() && all.find("MyStream", Sort::Value).is_some());
        let fault = all.add_script("\nODD_LINK <- NO_LINK").unwrap_err().to_string();
        assert!(fault.starts_with("line 2: expected a parent of OddLink"), "{fault}");
        assert!(all.add_script("ODD_LINK").unwrap_err().to_string().contains("without a parent"));
        assert!(all.add_script("{").unwrap_err().to_string().starts_with("line 1"));
    }

    #[test]
    fn a_script_may_declare_all_types_from_the_first_on() {
        let mut all = Declarations::default();
        let script = "NOTYPE\n\nTOP_TYPE\nVALUE <- TOP_TYPE\nFLOAT_VALUE <- VALUE\nATOM <- VALUE\n\
            NODE <- ATOM\nLINK <- ATOM\nCONCEPT_NODE <- NODE\nFUZZY_NODE <- CONCEPT_NODE\n\
            UNORDERED_LINK <- LINK\nSET_LINK <- UNORDERED_LINK\nBAG_LINK <- SET_LINK\n";
        all.add_script(script).unwrap();
        let value = all.find("FloatValue", Sort::Value).unwrap();
        assert!(all.is_a(value, "TopType") && all.find("FloatValue", Sort::Other).is_none());
        assert!(all.is_a(all.find("Fuzzy", NODE).unwrap(), "Node"));
        assert!(all.is_a(all.find("Bag", LINK).unwrap(), "UnorderedLink"));
        assert!(all.find("Node", Sort::Other).is_none() && all.find("Link", Sort::Other).is_none());
    }

    #[test]
    fn a_script_of_one_generation_tells_the_other_nothing_new() {
        let mut all = Declarations::default();
        let known = |all: &Declarations, name| {
            let declared = all.find(name, LINK).unwrap();
            BOTH.map(|target| all.is_known(declared, target, &[]))
        };
        let parents = all.find("BindLink", LINK).unwrap().declarations[0].parents.join(",");
        assert_eq!(parents, "QueryLink");
        all.add_script("BIND_LINK <- QUERY_LINK").unwrap();
        assert_eq!(known(&all, "BindLink"), [true, false]);
        all.add_script("BIND_LINK <- SCOPE_LINK").unwrap();
        assert_eq!(known(&all, "BindLink"), [true, true]);
    }
}
