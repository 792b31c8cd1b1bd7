//! The house rules that a compiler does not hold: imports run downwards, SQL and the web framework stay in their rooms, every file
//! says what it is for, and what it says about tests and practices exists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use syn::visit::Visit;

/// Each part of the house and what it may use; platform is open to all, but `access` has no need of it.
const MAY_USE: [(&str, &[&str]); 20] = [
    ("platform", &[]),
    ("access", &[]),
    ("audit", &[]),
    ("accounts", &[]),
    ("credentials", &["accounts"]),
    ("sessions", &["access", "accounts", "audit", "credentials"]),
    ("documents", &["access", "accounts"]),
    ("webhooks", &["accounts", "audit"]),
    ("pages", &[]),
    ("settings", &["audit", "credentials", "sessions", "webhooks"]),
    ("letters", &["accounts", "audit", "credentials", "settings"]),
    ("error", &[]),
    ("state", &["access", "audit", "credentials", "sessions", "settings", "webhooks"]),
    ("edge", &["access", "accounts", "audit", "credentials", "error", "sessions", "settings", "state"]),
    (
        "api",
        &[
            "access",
            "accounts",
            "audit",
            "credentials",
            "documents",
            "edge",
            "error",
            "letters",
            "pages",
            "sessions",
            "settings",
            "state",
            "webhooks",
        ],
    ),
    ("jobs", &["access", "accounts", "audit", "credentials", "documents", "edge", "letters", "sessions", "state", "webhooks"]),
    ("server", &["api", "edge", "error", "jobs", "settings", "state"]),
    ("cli", &["access", "accounts", "api", "audit", "credentials", "letters", "server", "sessions", "settings", "state"]),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// Rooms that may know the web framework.
const WEB: [&str; 5] = ["api", "edge", "error", "main", "server"];

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let named = |(path, text): (PathBuf, String)| {
        let first = path.components().nth(1).unwrap().as_os_str().to_string_lossy();
        Source { room: first.trim_end_matches(".rs").to_owned(), path, text }
    };
    crate::support::sources::sources().into_iter().map(named).collect()
}

#[derive(Default)]
struct Uses {
    rooms: BTreeSet<String>,
    crates: BTreeSet<String>,
    has_sql: bool,
}

impl Uses {
    fn of(text: &str) -> Self {
        let mut uses = Self::default();
        uses.visit_file(&syn::parse_file(text).unwrap());
        uses
    }

    fn note(&mut self, first: &str, second: Option<String>) {
        match (first, second) {
            ("crate" | "portcullis", Some(room)) => _ = self.rooms.insert(room),
            (other, _) => _ = self.crates.insert(other.to_owned()),
        }
    }

    fn note_tree(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) if path.ident == "crate" || path.ident == "portcullis" => match &*path.tree {
                syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.rooms.extend(first_name(item))),
                one => self.rooms.extend(first_name(one)),
            },
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.note_tree(item)),
            other => self.crates.extend(first_name(other)),
        }
    }
}

fn first_name(tree: &syn::UseTree) -> Option<String> {
    match tree {
        syn::UseTree::Path(path) => Some(path.ident.to_string()),
        syn::UseTree::Name(name) => Some(name.ident.to_string()),
        syn::UseTree::Rename(rename) => Some(rename.ident.to_string()),
        syn::UseTree::Group(_) | syn::UseTree::Glob(_) => None,
    }
}

impl<'ast> Visit<'ast> for Uses {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note_tree(&item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut names = path.segments.iter().map(|segment| segment.ident.to_string());
        if let Some(first) = names.next() {
            self.note(&first, names.next());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        self.has_sql |= found.path.segments.last().is_some_and(|segment| segment.ident.to_string().starts_with("query"));
        syn::visit::visit_macro(self, found);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func {
            let names: Vec<String> = function.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.has_sql |= names.first().is_some_and(|name| name == "sqlx") && names.last().is_some_and(|name| name.starts_with("query"));
        }
        syn::visit::visit_expr_call(self, call);
    }
}

#[test]
fn imports_run_downwards_only() {
    for source in sources() {
        let (_, allowed) = MAY_USE.iter().find(|(room, _)| *room == source.room).unwrap_or_else(|| panic!("{} is no room", source.room));
        for used in Uses::of(&source.text).rooms.into_iter().filter(|used| MAY_USE.iter().any(|(room, _)| room == used)) {
            let is_fine = used == source.room || (used == "platform" && source.room != "access") || allowed.contains(&used.as_str());
            assert!(is_fine, "{} uses crate::{used}", source.path.display());
        }
    }
}

#[test]
fn the_web_framework_and_sql_stay_in_their_rooms() {
    for source in sources() {
        let uses = Uses::of(&source.text);
        let path = source.path.display();
        assert!(WEB.contains(&source.room.as_str()) || !uses.crates.iter().any(|name| name.starts_with("actix")), "{path} uses actix");
        let file = source.path.file_name().unwrap().to_str().unwrap();
        let may_query = file == "store.rs" || source.room == "platform" && ["db.rs", "outbox.rs", "local_postgres.rs"].contains(&file);
        assert!(may_query || !uses.has_sql, "{path} has SQL");
    }
}

#[test]
fn every_file_says_what_it_is_for_and_names_what_exists() {
    let practices: toml::Table = fs::read_to_string("docs/practices.toml").unwrap().parse().unwrap();
    let named_test = regex::Regex::new(r"`(tests/suite/[^`]*)`").unwrap();
    let named_practice = regex::Regex::new(r"\b(\d{1,2}\.[a-z][a-z0-9-]+)\b").unwrap();
    for source in sources() {
        let path = source.path.display();
        assert!(source.text.starts_with("//!"), "{path} does not say what it is for");
        let about: String = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        for test in named_test.captures_iter(&about) {
            assert!(Path::new(&test[1]).exists(), "{path} names {} which does not exist", &test[1]);
        }
        for practice in named_practice.captures_iter(&about) {
            assert!(practices.contains_key(&practice[1]), "{path} names practice {} which does not exist", &practice[1]);
        }
        assert!(source.text.lines().count() <= 400, "{path} has grown past comfort");
    }
}

/// What a handler may take: its guard, the state, the session, and what was validated. A bare `Json`, `Query`, `Path`, `Header`, `Bytes`,
/// `Payload` or `HttpRequest` would be a way around the rules.
const HANDLER_ARGUMENTS: [&str; 9] = ["Anyone", "Data", "Fresh", "May", "Session", "SignedIn", "Valid", "WithCookie", "WithToken"];

#[derive(Default)]
struct Handlers {
    found: usize,
    faults: Vec<String>,
}

impl<'ast> Visit<'ast> for Handlers {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let is_handler = function.attrs.iter().any(|attribute| attribute.path().segments.first().is_some_and(|first| first.ident == "utoipa"));
        if !is_handler {
            return;
        }
        self.found += 1;
        for argument in &function.sig.inputs {
            let syn::FnArg::Typed(argument) = argument else { continue };
            let name = match &*argument.ty {
                syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
                _ => None,
            };
            if !name.as_ref().is_some_and(|name| HANDLER_ARGUMENTS.contains(&name.as_str())) {
                self.faults.push(format!("{} takes {}", function.sig.ident, name.unwrap_or_else(|| "something without a name".into())));
            }
        }
    }
}

#[test]
fn handlers_take_nothing_that_was_not_validated() {
    let mut handlers = Handlers::default();
    for source in sources().iter().filter(|source| source.room == "api") {
        handlers.visit_file(&syn::parse_file(&source.text).unwrap());
    }
    assert!(handlers.found > 40, "{} handlers were looked at", handlers.found);
    assert!(handlers.faults.is_empty(), "{:?}", handlers.faults);
}

/// The image is built elsewhere: what is missing there is missed late.
#[test]
fn what_the_source_includes_is_in_the_image() {
    let (dockerfile, context) = (fs::read_to_string("Dockerfile").unwrap(), fs::read_to_string(".dockerignore").unwrap());
    let mut folders = BTreeSet::from(["migrations".to_owned(), "src".to_owned(), ".sqlx".to_owned()]);
    for Source { path, text, .. } in sources() {
        let above = "../".repeat(path.components().count() - 1);
        let included = text.split('"').filter_map(|part| part.strip_prefix(&above)).filter_map(|rest| rest.split('/').next());
        folders.extend(included.filter(|folder| !folder.is_empty()).map(str::to_owned));
    }
    assert!(folders.contains("policies"), "{folders:?}");
    for folder in folders {
        assert!(dockerfile.contains(&format!("\nCOPY {folder} {folder}\n")), "the Dockerfile does not copy {folder}");
        assert!(context.lines().any(|line| line == format!("!{folder}")), ".dockerignore leaves {folder} out");
    }
    // a target that is found by its name alone keeps cargo from reading the manifest where its file is not
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").unwrap().parse().unwrap();
    for kind in ["test", "bench"] {
        assert!(manifest[kind].as_array().unwrap().iter().all(|target| target.get("path").is_some()), "{kind}");
    }
}
