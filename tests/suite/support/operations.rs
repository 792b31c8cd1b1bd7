//! What the API document lists, and something to send to each of it.

use super::app::{PASSWORD, TestApp};
use portcullis::{
    api,
    audit::chain::{self, Memory},
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::sync::LazyLock;

pub struct Operation {
    pub method: Method,
    pub path: String,
    pub value: Value,
}

pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(api::document()).unwrap());
    &DOCUMENT
}

pub fn operations() -> Vec<Operation> {
    let paths = document()["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, value)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            value: value.clone(),
        })
    });
    all.collect()
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// With something in place of every parameter.
    pub fn url(&self) -> String {
        let name = if self.path.starts_with("/go/") { "page.css" } else { "auditor" };
        let path = self
            .path
            .replace("{file}", "index.html")
            .replace("{page}", "register")
            .replace("{provider}", "corp")
            .replace("{source}", "hr")
            .replace("{name}", name);
        path.replace("{id}", "01900000-0000-7000-8000-000000000000").replace("{key}", "01900000-0000-7000-8000-000000000001")
    }

    pub fn is_public(&self) -> bool {
        self.value["security"].as_array().unwrap().contains(&json!({}))
    }

    /// Whether this security scheme opens it.
    pub fn takes(&self, scheme: &str) -> bool {
        self.value["security"].as_array().unwrap().iter().any(|schemes| schemes.get(scheme).is_some())
    }

    /// The permission that it needs.
    pub fn permission(&self) -> Option<&str> {
        self.value["description"].as_str()?.split("Needs the permission `").nth(1)?.split('`').next()
    }

    /// Whether it needs a proof of a moment ago.
    pub fn is_fresh(&self) -> bool {
        self.value["description"].as_str().is_some_and(|about| about.contains("has shown who they are a moment ago"))
    }

    pub fn has_body(&self) -> bool {
        self.value.get("requestBody").is_some()
    }

    /// What the document says of this status.
    pub fn response(&self, document: &Value, status: u16) -> Option<Value> {
        self.value["responses"].get(status.to_string()).map(|response| resolve(document, response))
    }

    /// Names of the parameters in this place.
    pub fn parameters(&self, place: &str) -> Vec<String> {
        let parameters = self.value["parameters"].as_array().into_iter().flatten();
        parameters.filter(|parameter| parameter["in"] == place).map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A body with something of the right kind in every field.
    pub fn body(&self) -> Option<Value> {
        let schema = self.value.pointer("/requestBody/content/application~1json/schema")?;
        Some(sample(document(), schema))
    }
}

/// What stands where a reference leads.
pub fn resolve(document: &Value, value: &Value) -> Value {
    let reference = value["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
    reference.map_or(value, |pointer| document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is missing"))).clone()
}

fn sample(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return sample(document, document.pointer(reference.strip_prefix('#').unwrap()).unwrap());
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(one) = schema[choice].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null")) {
            return sample(document, one);
        }
    }
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].as_array()?.iter().filter_map(Value::as_str).find(|kind| *kind != "null"));
    match (kind.unwrap_or_else(|| panic!("no type: {schema}")), schema["format"].as_str()) {
        ("object", _) => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            Value::Object(properties.map(|(name, schema)| (name.clone(), sample(document, schema))).collect())
        }
        ("array", _) => json!([sample(document, &schema["items"])]),
        ("boolean", _) => json!(true),
        ("integer" | "number", _) => json!(1),
        ("string", Some("uuid")) => json!("01900000-0000-7000-8000-000000000000"),
        ("string", Some("date-time")) => json!("2100-01-01T00:00:00Z"),
        ("string", Some("password")) => json!(PASSWORD),
        ("string", _) => schema.get("example").cloned().unwrap_or_else(|| json!("x")),
        (other, _) => panic!("a sample of {other}"),
    }
}

/// Where the texts in a body are: JSON pointers, and the same as refusals name them.
pub fn texts(body: &Value) -> Vec<(String, String)> {
    fn walk(value: &Value, pointer: &str, field: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::String(_) => found.push((pointer.to_owned(), field.to_owned())),
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    walk(item, &format!("{pointer}/{at}"), &format!("{field}[{at}]"), found);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let within = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
                    walk(member, &format!("{pointer}/{name}"), &within, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(body, "", "", &mut found);
    found
}

/// Everything that is in the database, as one text: equal when nothing changed. Marks of use are left out, and signals of the past: jobs write
/// them, whoever calls. What was recorded before is chained first, lest a job does it in between; what is recorded in between shows.
pub async fn fingerprint(app: &TestApp) -> String {
    let pool = &app.database.pool;
    chain::append(pool, &app.state.keyring, &app.clock, &Memory::default()).await.unwrap();
    let tables =
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('_sqlx_migrations', 'alert_signals') ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let mut all = Vec::new();
    for table in tables {
        let rows = format!(
            "SELECT coalesce(string_agg((to_jsonb(t) - 'last_seen_at' - 'idle_expires_at')::text, ',' ORDER BY t::text), 'none') FROM {table} t"
        );
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(pool).await.unwrap();
        all.push(format!("{table}: {rows}"));
    }
    all.join("\n")
}
