//! What answers show is listed. Types that hold secrets cannot be written into an answer, every answer in the API document lists its
//! fields, and what the service answers has no others. Practice 15.excessive-data.

use crate::support::{
    app::TestApp,
    operations::{Operation, document, operations, resolve},
    provider::Provider,
    world::{AsItWas, Kind, World},
};
use portcullis::{
    audit::{self, Entry, Event, Origin},
    platform::keyring::signing::{Algorithm, SigningKey},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use syn::{
    Attribute, Expr, Fields, Type,
    parse::Parser,
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// What is secret by its type. All but the last one say that it is there and not what it is, where they are printed.
const SECRETS: [&str; 6] = ["SecretString", "SecretBox", "KeyBytes", "StoredHash", "SigningKey", "Zeroizing"];

/// Types with a secret that are written down all the same: sealed, in the row of what is finished later.
const SEALED: [(&str, &str); 3] = [
    ("StoredHash", "the hash that was verified, in a sign-in that waits for its second factor"),
    ("Basis", "holds that hash"),
    ("Waiting", "the sign-in that waits"),
];

/// Answers whose purpose is to hand their owner a secret, once.
const HANDED_OVER: [(&str, &str); 11] = [
    ("CsrfToken", "the session's own token, to be sent back with each unsafe call"),
    ("FactorAdded", "the first recovery codes"),
    ("PasskeyAdded", "the first recovery codes"),
    ("PasskeyCreation", "names the ceremony that the browser finishes"),
    ("PasskeyRequest", "names the ceremony that the browser finishes"),
    ("RecoveryCodes", "the new recovery codes"),
    ("Renewed", "what carries the session from now on"),
    ("SecondFactorAwaited", "names the sign-in that the second factor finishes"),
    ("SignedInAnswer", "the CSRF token of the new session"),
    ("Tokens", "the tokens of the new session"),
    ("TotpEnrolment", "the seed, for the authenticator app"),
];

/// Words in the names of fields that hold something to keep secret.
const SECRET_WORDS: [&str; 8] = ["token", "tokens", "secret", "password", "codes", "seed", "otpauth", "hash"];

/// Names with such a word of what is no secret.
const HARMLESS: [&str; 4] = ["has_password", "recovery_codes_are_few", "recovery_codes_left", "token_type"];

#[derive(Default)]
struct Declared {
    derives: BTreeSet<String>,
    /// Names of types in its fields.
    holds: BTreeSet<String>,
    /// Names of fields.
    fields: BTreeSet<String>,
    file: String,
}

/// Every type in `src`, and which traits are written out for which.
#[derive(Default)]
struct Types {
    declared: BTreeMap<(String, String), Declared>,
    written_out: BTreeSet<(String, String)>,
    file: String,
}

struct Names<'n>(&'n mut BTreeSet<String>);

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        self.0.insert(segment.ident.to_string());
        visit::visit_path_segment(self, segment);
    }
}

fn derives(attributes: &[Attribute]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let paths = attribute.parse_args_with(Punctuated::<syn::Path, syn::Token![,]>::parse_terminated).unwrap();
        found.extend(paths.iter().map(|path| path.segments.last().unwrap().ident.to_string()));
    }
    found
}

impl Types {
    fn read() -> Self {
        let mut types = Self::default();
        for (path, text) in sources() {
            types.file = path;
            types.visit_file(&syn::parse_file(&text).unwrap());
        }
        types
    }

    fn note<'f>(&mut self, name: &syn::Ident, attributes: &[Attribute], all: impl Iterator<Item = &'f Fields>) {
        let mut declared = Declared { derives: derives(attributes), file: self.file.clone(), ..Declared::default() };
        for field in all.flat_map(Fields::iter) {
            declared.fields.extend(field.ident.as_ref().map(ToString::to_string));
            Names(&mut declared.holds).visit_type(&field.ty);
        }
        self.declared.insert((name.to_string(), self.file.clone()), declared);
    }

    /// Types of this name that the file of `by` may mean: its own one, else any.
    fn meant<'t>(&'t self, name: &str, by: &Declared) -> Vec<&'t (String, String)> {
        let own = (name.to_owned(), by.file.clone());
        let all: Vec<_> = self.declared.keys().filter(|(known, _)| known == name).collect();
        if self.declared.contains_key(&own) { all.into_iter().filter(|key| **key == own).collect() } else { all }
    }

    /// Those that hold one of `roots`, themselves or in another one.
    fn holding(&self, roots: &[&str]) -> BTreeSet<(String, String)> {
        let mut found: BTreeSet<(String, String)> = self.declared.keys().filter(|(name, _)| roots.contains(&name.as_str())).cloned().collect();
        loop {
            let more: Vec<_> = self
                .declared
                .iter()
                .filter(|(key, _)| !found.contains(*key))
                .filter(|(_, declared)| {
                    declared.holds.iter().any(|name| {
                        let meant = self.meant(name, declared);
                        if meant.is_empty() { roots.contains(&name.as_str()) } else { meant.into_iter().any(|key| found.contains(key)) }
                    })
                })
                .map(|(key, _)| key.clone())
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    fn does(&self, key: &(String, String), name: &str) -> bool {
        self.declared[key].derives.contains(name) || self.written_out.contains(&(name.to_owned(), key.0.clone()))
    }
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.note(&item.ident, &item.attrs, std::iter::once(&item.fields));
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.note(&item.ident, &item.attrs, item.variants.iter().map(|variant| &variant.fields));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let (Some((_, path, _)), Type::Path(of)) = (&item.trait_, &*item.self_ty) {
            let last = |path: &syn::Path| path.segments.last().unwrap().ident.to_string();
            self.written_out.insert((last(path), last(&of.path)));
        }
        visit::visit_item_impl(self, item);
    }
}

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("src"), &mut found);
    found
}

#[test]
fn no_type_that_holds_a_secret_can_be_written_into_an_answer_or_printed() {
    let types = Types::read();
    let secret = types.holding(&SECRETS);
    let names: BTreeSet<&str> = secret.iter().map(|(name, _)| name.as_str()).collect();
    for expected in ["Password", "SecretToken", "KeyBytes", "Keyring", "State", "Issued", "Added", "ChangePassword"] {
        assert!(names.contains(expected), "{expected} is not among {names:?}");
    }
    let is_sealed = |name: &str| SEALED.iter().any(|(sealed, _)| *sealed == name);
    let mut faults: Vec<String> = Vec::new();
    for key @ (name, file) in &secret {
        if types.does(key, "Serialize") && !is_sealed(name) {
            faults.push(format!("{file}: {name} holds a secret and implements Serialize"));
        }
        if types.does(key, "ToSchema") && types.does(key, "Serialize") {
            faults.push(format!("{file}: {name} holds a secret and is an answer"));
        }
        if types.does(key, "Display") {
            faults.push(format!("{file}: {name} holds a secret and implements Display"));
        }
    }
    let printing = types.holding(&["Zeroizing"]);
    for key @ (name, file) in types.declared.keys().filter(|key| printing.contains(*key) || SECRETS.contains(&key.0.as_str())) {
        if types.declared[key].derives.contains("Debug") {
            faults.push(format!("{file}: {name} would print what it holds"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (name, _) in SEALED {
        assert!(names.contains(name), "{name} holds no secret any more");
    }
}

#[test]
fn what_is_handed_to_its_owner_once_is_on_a_short_list() {
    let types = Types::read();
    let says_secret = |field: &str| field.split('_').any(|word| SECRET_WORDS.contains(&word)) && !HARMLESS.contains(&field);
    let answers = types.declared.iter().filter(|(key, _)| types.does(key, "Serialize") && types.does(key, "ToSchema"));
    let giving: BTreeSet<&str> =
        answers.filter(|(_, declared)| declared.fields.iter().any(|field| says_secret(field))).map(|((name, _), _)| name.as_str()).collect();
    assert_eq!(giving, HANDED_OVER.iter().map(|(name, _)| *name).collect());
}

/// The schemas of what is answered in JSON when it is done, by operation and status.
fn answers(operation: &Operation) -> Vec<(String, Value)> {
    let responses = operation.value["responses"].as_object().unwrap();
    let done = responses.iter().filter(|(status, _)| status.starts_with('2'));
    done.flat_map(|(status, response)| {
        let contents = resolve(document(), response)["content"].as_object().cloned().unwrap_or_default();
        contents.into_iter().filter(|(kind, _)| kind.contains("json")).map(|(_, content)| (status.clone(), content["schema"].clone()))
    })
    .collect()
}

/// What is free in a schema: objects that do not list their fields.
fn free(schema: &Value, place: &str, seen: &mut BTreeSet<String>, faults: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        if seen.insert(reference.to_owned()) {
            free(&resolve(document(), schema), reference, seen, faults);
        }
        return;
    }
    let mut parts = 0;
    for choice in ["oneOf", "anyOf"] {
        for one in schema[choice].as_array().into_iter().flatten() {
            parts += 1;
            free(one, place, seen, faults);
        }
    }
    if parts > 0 {
        return;
    }
    let types: Vec<&str> =
        schema["type"].as_str().into_iter().chain(schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str)).collect();
    for kind in types {
        match kind {
            "object" => {
                let properties = schema["properties"].as_object().filter(|properties| !properties.is_empty());
                if properties.is_none() || !matches!(schema.get("additionalProperties"), None | Some(Value::Bool(false))) {
                    faults.push(format!("{place} does not list its fields"));
                }
                properties.into_iter().flatten().for_each(|(name, of)| free(of, &format!("{place}/{name}"), seen, faults));
            }
            "array" => free(&schema["items"], &format!("{place}/items"), seen, faults),
            "string" | "integer" | "number" | "boolean" | "null" => {}
            other => faults.push(format!("{place}: {other}")),
        }
    }
    if schema["type"].is_null() {
        faults.push(format!("{place} may be anything"));
    }
}

/// Written at build time from the code, open to everybody, and as OpenAPI describes it: nothing of it comes from anybody's data.
const IS_A_DOCUMENT: &str = "GET /openapi.json";

#[test]
fn every_answer_lists_its_fields() {
    let (mut faults, mut seen, mut looked_at) = (Vec::new(), BTreeSet::new(), 0);
    for operation in operations().iter().filter(|operation| operation.name() != IS_A_DOCUMENT) {
        for (status, schema) in answers(operation) {
            looked_at += 1;
            free(&schema, &format!("{} {status}", operation.name()), &mut seen, &mut faults);
        }
    }
    free(&json!({ "$ref": "#/components/schemas/ErrorEnvelope" }), "refusals", &mut seen, &mut faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(looked_at > 40 && seen.len() > 30, "{looked_at} answers, {seen:?}");
}

/// What an answer has that its schema does not list, and what it lacks.
fn beyond(value: &Value, schema: &Value, place: &str) -> Vec<String> {
    if schema.get("$ref").is_some() {
        return beyond(value, &resolve(document(), schema), place);
    }
    if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let all: Vec<Vec<String>> = choices.iter().map(|one| beyond(value, one, place)).collect();
        return if all.iter().any(Vec::is_empty) { Vec::new() } else { all.into_iter().min_by_key(Vec::len).unwrap_or_default() };
    }
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let may_be = |kind: &str| schema["type"] == kind || schema["type"].as_array().is_some_and(|types| types.iter().any(|one| one == kind));
    if !may_be(is) {
        return vec![format!("{place} is of type {is}, not {}", schema["type"])];
    }
    let mut faults = Vec::new();
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match schema["properties"].get(name) {
                    Some(listed) => faults.extend(beyond(value, listed, &format!("{place}.{name}"))),
                    None => faults.push(format!("{place}.{name} is not listed")),
                }
            }
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            faults.extend(required.filter(|name| !fields.contains_key(*name)).map(|name| format!("{place}.{name} is missing")));
        }
        Value::Array(items) => items.iter().for_each(|item| faults.extend(beyond(item, &schema["items"], &format!("{place}[]")))),
        Value::String(text) if schema["enum"].is_array() && !schema["enum"].as_array().unwrap().contains(value) => {
            faults.push(format!("{place} is {text}, which is not listed"));
        }
        _ => {}
    }
    faults
}

#[actix_web::test]
async fn nothing_is_answered_beyond_the_listed_fields() {
    let provider = Provider::start();
    let app = World::service(&provider).await;
    let world = World::of(&app, provider).await;
    let mut as_it_was = AsItWas::keep(&app).await;
    let (mut faults, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut all: Vec<Operation> = operations().into_iter().filter(|operation| operation.name() != IS_A_DOCUMENT).collect();
    all.sort_by_key(|operation| operation.method != reqwest::Method::GET);
    for operation in &all {
        for kind in [Kind::Member, Kind::Administrator] {
            world.prepare(operation).await;
            let request = world.call(world.caller(kind).actor(operation), operation, &world.url(operation));
            let answer = as_it_was.after(&operation.method, request).await;
            let told = answers(operation).into_iter().find(|(status, _)| *status == answer.status.as_str());
            let place = format!("{} {}", operation.name(), answer.status.as_u16());
            match told {
                Some((_, schema)) => {
                    faults.extend(beyond(&answer.json(), &schema, &place));
                    seen.insert(place);
                }
                None if answer.status.is_success() => {
                    let is_json = answer.header("content-type").contains("json");
                    assert!(!is_json, "{place} answers JSON, and the document does not say so: {}", answer.text);
                }
                None => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
    let promised: BTreeSet<String> =
        all.iter().flat_map(|operation| answers(operation).into_iter().map(|(status, _)| format!("{} {status}", operation.name()))).collect();
    // of two answers to one call, the rarer
    let rare = ["POST /v1/auth/login 200", "POST /v1/auth/oauth/{provider}/callback 200", "POST /v1/auth/oauth/{provider}/callback 201"];
    let unseen: Vec<&String> = promised.difference(&seen).filter(|place| !rare.contains(&place.as_str())).collect();
    assert!(unseen.is_empty(), "{unseen:?} were not seen");
}

#[test]
fn a_public_key_shows_its_listed_members_whatever_its_algorithm() {
    let operation = operations().into_iter().find(|operation| operation.path == "/.well-known/jwks.json").unwrap();
    let (_, schema) = answers(&operation).remove(0);
    for algorithm in Algorithm::ALL {
        let key = SigningKey::from_der(algorithm, &algorithm.generate().unwrap()).unwrap();
        let faults = beyond(&json!({ "keys": [key.jwk()] }), &schema, algorithm.name());
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// The fields of every `json!({ … })` that is an event's detail: as an argument or a variable, or made or passed on by a function.
#[derive(Default)]
struct Details {
    /// By name: what functions give whose last word is `json!({ … })`.
    made: BTreeMap<String, Vec<syn::Macro>>,
    /// Methods that pass on what they are given as `detail`, and which argument that is: in this file, or everywhere the one of `Entry`.
    passed_on: BTreeMap<String, usize>,
    fields: BTreeSet<String>,
    unread: Vec<String>,
}

fn is_json(expr: &Expr) -> Option<&syn::Macro> {
    match expr {
        Expr::Macro(found) if found.mac.path.is_ident("json") => Some(&found.mac),
        _ => None,
    }
}

fn is_value(of: &Type) -> bool {
    matches!(of, Type::Path(of) if of.path.segments.last().is_some_and(|last| last.ident == "Value"))
}

impl Details {
    /// Learns what the functions of a file make. Those of all files come before any is read.
    fn know(&mut self, file: &syn::File) {
        struct Makers<'m>(&'m mut BTreeMap<String, Vec<syn::Macro>>);
        impl Makers<'_> {
            fn note(&mut self, signature: &syn::Signature, block: &syn::Block) {
                if let (syn::ReturnType::Type(_, given), Some(syn::Stmt::Expr(last, None))) = (&signature.output, block.stmts.last())
                    && is_value(given)
                    && let Some(found) = is_json(last)
                {
                    self.0.entry(signature.ident.to_string()).or_default().push(found.clone());
                }
            }
        }
        impl<'ast> Visit<'ast> for Makers<'_> {
            fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
                self.note(&item.sig, &item.block);
                visit::visit_item_fn(self, item);
            }

            fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
                self.note(&item.sig, &item.block);
                visit::visit_impl_item_fn(self, item);
            }
        }
        Makers(&mut self.made).visit_file(file);
    }

    /// Reads one file.
    fn look_at(&mut self, file: &syn::File) {
        struct Passing<'p>(&'p mut BTreeMap<String, usize>);
        impl<'ast> Visit<'ast> for Passing<'_> {
            fn visit_signature(&mut self, signature: &'ast syn::Signature) {
                let arguments = signature.inputs.iter().filter_map(|input| match input {
                    syn::FnArg::Typed(typed) => Some(typed),
                    syn::FnArg::Receiver(_) => None,
                });
                let is_detail = |typed: &syn::PatType| matches!(&*typed.pat, syn::Pat::Ident(name) if name.ident == "detail");
                if let Some(at) =
                    arguments.clone().position(is_detail).filter(|at| arguments.clone().nth(*at).is_some_and(|typed| is_value(&typed.ty)))
                {
                    self.0.insert(signature.ident.to_string(), at);
                }
            }
        }
        self.passed_on = BTreeMap::from([("detail".to_owned(), 0)]);
        Passing(&mut self.passed_on).visit_file(file);
        self.visit_file(file);
    }

    /// What is told, where it can be seen.
    fn take(&mut self, told: &Expr) {
        let made = match told {
            Expr::Macro(_) => is_json(told).map(|found| vec![found.clone()]),
            Expr::Call(call) => match &*call.func {
                Expr::Path(name) => name.path.segments.last().and_then(|last| self.made.get(&last.ident.to_string())).cloned(),
                _ => None,
            },
            _ => None,
        };
        match made {
            Some(all) => all.into_iter().for_each(|found| self.read(found)),
            None => self.unread.push("a detail that is neither json!({ … }), nor made by a function that ends so, nor a variable of the name".into()),
        }
    }

    fn read(&mut self, found: syn::Macro) {
        let fields = |input: syn::parse::ParseStream<'_>| {
            let inside;
            syn::braced!(inside in input);
            let mut names = Vec::new();
            while !inside.is_empty() {
                names.push(inside.parse::<syn::LitStr>()?.value());
                inside.parse::<syn::Token![:]>()?;
                // a list or an object, or something to compute
                if inside.peek(syn::token::Bracket) || inside.peek(syn::token::Brace) {
                    inside.step(|cursor| cursor.token_tree().map(|(_, rest)| ((), rest)).ok_or_else(|| cursor.error("a value")))?;
                } else {
                    inside.parse::<Expr>()?;
                }
                if !inside.is_empty() {
                    inside.parse::<syn::Token![,]>()?;
                }
            }
            Ok(names)
        };
        self.fields.extend(fields.parse2(found.tokens).unwrap());
    }
}

impl<'ast> Visit<'ast> for Details {
    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && name.ident == "detail"
        {
            self.take(&init.expr);
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let is_variable = |expr: &Expr| matches!(expr, Expr::Path(name) if name.path.is_ident("detail"));
        if let Some(told) = self.passed_on.get(&call.method.to_string()).and_then(|at| call.args.get(*at))
            && !is_variable(told)
        {
            self.take(told);
        }
        // what every event of a kind tells is added to its detail
        if call.method == "insert" && is_variable(&call.receiver) {
            let mut names = Literals::default();
            call.args.first().into_iter().for_each(|name| names.visit_expr(name));
            match <[String; 1]>::try_from(names.0) {
                Ok(name) => self.fields.extend(name),
                Err(_) => self.unread.push("a field of a detail by a name that is no literal".into()),
            }
        }
        visit::visit_expr_method_call(self, call);
    }

    /// Functions would pass it on unseen.
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if self.passed_on.contains_key(&item.sig.ident.to_string()) {
            self.unread.push(format!("{}: a function that takes a detail; only methods may", item.sig.ident));
        }
        visit::visit_item_fn(self, item);
    }
}

#[derive(Default)]
struct Literals(Vec<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.push(literal.value());
    }
}

#[actix_web::test]
async fn events_tell_listed_fields_only() {
    let mut details = Details::default();
    let files: Vec<(String, syn::File)> = sources().into_iter().map(|(path, text)| (path, syn::parse_file(&text).unwrap())).collect();
    files.iter().for_each(|(_, file)| details.know(file));
    for (path, file) in &files {
        details.look_at(file);
        assert!(details.unread.is_empty(), "{path}: {:?}", details.unread);
    }
    let listed: BTreeSet<String> = document()["components"]["schemas"]["EventDetail"]["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(details.fields, listed, "src/audit/detail.rs has the list");

    let app = TestApp::start().await;
    let origin = Origin::service();
    for wrong in [json!({ "email": "ada@example.org" }), json!({ "session": "not an id" })] {
        let entry = Entry::new(Event::SignedOut, &origin, None, None).detail(wrong.clone());
        let written = audit::record(&mut app.state.pool.acquire().await.unwrap(), &app.state.keyring, app.clock.now(), entry).await;
        assert!(written.is_err(), "{wrong}");
    }
    assert_eq!(app.count("SELECT count(*) FROM audit_events").await, 0);
    // of another version, or by somebody who can write the table
    let root = app.administrator().await;
    sqlx::query(
        "INSERT INTO audit_events (id, at, event, outcome, detail, sealed, key_version) VALUES (gen_random_uuid(), now(), 'session.ended', 'success', $1, '', 1)",
    )
    .bind(json!({ "session": "01900000-0000-7000-8000-000000000000", "password": "wet gravel" }))
    .execute(&app.database.pool)
    .await
    .unwrap();
    let shown = root.get("/v1/audit/events?event=session.ended").await.json();
    assert_eq!(shown["items"][0]["detail"], json!({ "session": "01900000-0000-7000-8000-000000000000" }));
}
