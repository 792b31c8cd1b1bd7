//! What answers show is listed. Types that hold secrets cannot be written into an answer, every answer in the API document lists its
//! fields, and what the service answers has no others. Practice 15.excessive-data.

use crate::support::{
    operations::{Operation, document, operations, resolve},
    provider::Provider,
    sources::sources,
    world::{AsItWas, Kind, World},
};
use portcullis::platform::keyring::signing::{Algorithm, SigningKey};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use syn::{
    Attribute, Fields, Type,
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
const HANDED_OVER: [(&str, &str); 12] = [
    ("CsrfToken", "the session's own token, to be sent back with each unsafe call"),
    ("FactorAdded", "the first recovery codes"),
    ("NewEndpoint", "what webhooks to the new endpoint are verified with"),
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
            types.file = path.display().to_string();
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
    let rare = [
        "POST /v1/auth/login 200",
        "POST /v1/auth/oauth/{provider}/callback 200",
        "POST /v1/auth/oauth/{provider}/callback 201",
        "POST /v1/webhooks/inbound/{source} 200",
    ];
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
