//! The rooms of the house: a room uses rooms below it, never above. The table is the picture in
//! `ARCHITECTURE.md`; what uses what is read from the sources' own paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

/// A module by its path from the crate's root: `["gguf", "read"]`.
type Module = Vec<String>;

#[test]
fn no_room_uses_one_above_it() {
    let house = House::read();
    let table = rooms();
    let floor = |room: &str| table.iter().position(|other| other == room);
    let mut wrong = Vec::new();
    for (from, to) in house.uses_between(&[]) {
        match (floor(&from), floor(&to)) {
            (Some(above), Some(below)) if above < below => {}
            (Some(_), Some(_)) => wrong.push(format!("{from} uses {to}, which is above it")),
            _ => wrong.push(format!("{from} uses {to}, and the table lacks one of them")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let built: BTreeSet<&str> =
        house.modules.iter().filter_map(|it| Some(&**it.first()?)).collect();
    let drawn: BTreeSet<&str> = table.iter().map(String::as_str).collect();
    assert_eq!(drawn, built, "the rooms in ARCHITECTURE.md, and those in src/");
}

/// Rooms whose modules still use each other in a circle: the list may only become shorter.
const CIRCLES: [&str; 3] =
    ["opencog::atomspace", "opencog::atomspace::companion", "opencog::atomspace::read"];

#[test]
fn no_other_modules_of_a_room_use_each_other_in_a_circle() {
    let house = House::read();
    let mut circles = BTreeMap::new();
    for room in house.modules.iter().filter(|module| !module.is_empty()) {
        let uses = house.uses_between(room);
        let names: BTreeSet<&String> = uses.iter().flat_map(|(a, b)| [a, b]).collect();
        let circle: Vec<&str> =
            names.into_iter().filter(|name| reaches_itself(&uses, name)).map(|it| &**it).collect();
        if !circle.is_empty() {
            circles.insert(room.join("::"), circle.join(", "));
        }
    }
    let rooms: Vec<&str> = circles.keys().map(String::as_str).collect();
    assert_eq!(rooms, CIRCLES, "{circles:#?}");
}

#[test]
fn a_circle_is_found() {
    let uses = |pairs: &[(&str, &str)]| -> BTreeSet<(String, String)> {
        pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    };
    let circle = uses(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]);
    assert!(["a", "b", "c"].iter().all(|name| reaches_itself(&circle, name)));
    assert!(!reaches_itself(&circle, "d"));
    let mut found = Found::default();
    let source = "use super::b::{self, C}; fn f() -> crate::d::E { self::g::h() }
        #[cfg(test)] mod tests { use crate::above::All; }";
    found.visit_file(&syn::parse_file(source).unwrap());
    let paths: Vec<String> = found.paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["super::b", "super::b::C", "crate::d::E", "self::g::h"]);
}

/// The rooms in the order of the picture, from the top floor down.
fn rooms() -> Vec<String> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("src/"));
    let rooms = lines.filter_map(|line| line.split([' ', '/', '.']).next());
    rooms.filter(|room| !["main", "lib"].contains(room)).map(String::from).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether what `name` uses uses it, by any number of steps.
fn reaches_itself(uses: &BTreeSet<(String, String)>, name: &str) -> bool {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut todo = vec![name];
    while let Some(at) = todo.pop() {
        let next = uses.iter().filter(|(from, _)| from == at).map(|(_, to)| to.as_str());
        todo.extend(next.filter(|next| reached.insert(next)));
    }
    reached.contains(name)
}

/// All modules but those of tests, and what each uses.
#[derive(Default)]
struct House {
    modules: BTreeSet<Module>,
    /// Paths as they stand in the source of a module.
    paths: BTreeMap<Module, Vec<Vec<String>>>,
    /// The modules whose items the root gives out under its own name.
    given_out: BTreeMap<String, String>,
}

impl House {
    fn read() -> House {
        let mut house = House::default();
        house.enter(&root().join("src/lib.rs"), Vec::new());
        let given_out = house.paths[&Vec::new()].iter().filter_map(|path| match &path[..] {
            [room, item] => Some((item.clone(), room.clone())),
            _ => None,
        });
        house.given_out = given_out.collect();
        house
    }

    /// Reads the file of a module, and those of the modules in it.
    fn enter(&mut self, file: &Path, module: Module) {
        let source = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let source = syn::parse_file(&source).unwrap();
        let mut found = Found::default();
        found.visit_file(&source);
        let folder = match file.file_name().and_then(|name| name.to_str()) {
            Some("mod.rs" | "lib.rs") => file.parent().unwrap().to_path_buf(),
            _ => file.with_extension(""),
        };
        for name in found.modules {
            let inner = [&module[..], std::slice::from_ref(&name)].concat();
            let flat = folder.join(&name).with_extension("rs");
            let file = if flat.exists() { flat } else { folder.join(&name).join("mod.rs") };
            self.enter(&file, inner);
        }
        self.modules.insert(module.clone());
        self.paths.insert(module, found.paths);
    }

    /// What the modules within a room use of each other: names of `room`'s own modules.
    fn uses_between(&self, room: &[String]) -> BTreeSet<(String, String)> {
        let within = |module: &Module| match module.strip_prefix(room) {
            Some([name, ..]) => Some(name.clone()),
            _ => None,
        };
        let mut uses = BTreeSet::new();
        for (module, paths) in &self.paths {
            let Some(from) = within(module) else { continue };
            let targets = paths.iter().filter_map(|path| within(&self.module_of(module, path)?));
            uses.extend(targets.filter(|to| *to != from).map(|to| (from.clone(), to)));
        }
        uses
    }

    /// The module that a path in `module` leads to; `None` for what is another crate's.
    fn module_of(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let mut at: Module = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => module[..module.len() - 1].to_vec(),
            // A module in this one, as in `pub use plan::Plan`.
            _ => {
                let inner = [&module[..], std::slice::from_ref(first)].concat();
                return self.modules.contains(&inner).then_some(inner);
            }
        };
        for name in rest {
            if name == "super" {
                at.pop();
                continue;
            }
            let inner = [&at[..], std::slice::from_ref(name)].concat();
            match (self.modules.contains(&inner), at.is_empty()) {
                (true, _) => at = inner,
                (false, true) => return Some(vec![self.given_out.get(name)?.clone()]),
                (false, false) => break,
            }
        }
        Some(at)
    }
}

/// What a file says: its modules, and the paths that it uses.
#[derive(Default)]
struct Found {
    modules: Vec<String>,
    paths: Vec<Vec<String>>,
}

impl Found {
    fn add_use(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.add_use(&with(path.ident.to_string()), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|it| self.add_use(before, it)),
            UseTree::Name(name) if name.ident == "self" => self.paths.push(before.to_vec()),
            UseTree::Name(name) => self.paths.push(with(name.ident.to_string())),
            UseTree::Rename(name) => self.paths.push(with(name.ident.to_string())),
            UseTree::Glob(_) => self.paths.push(before.to_vec()),
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        match module.content {
            None => self.modules.push(module.ident.to_string()),
            Some(_) => visit::visit_item_mod(self, module),
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if let [first, _, ..] = &names[..]
            && ["crate", "self", "super"].contains(&first.as_str())
        {
            self.paths.push(names);
        }
        visit::visit_path(self, path);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|it| it.is_ident("test"))
}
