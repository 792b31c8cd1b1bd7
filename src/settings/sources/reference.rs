//! How a setting says where its secret is.

use std::{mem::discriminant, path::PathBuf};

/// What Vault is opened with cannot be kept in a manager.
pub(super) const OPENS_MANAGERS: [&str; 2] = ["PORTCULLIS_VAULT_TOKEN", "PORTCULLIS_VAULT_SECRET_ID"];

/// The longest name of a document or field, in bytes: that of an AWS secret's.
const LONGEST: usize = 2048;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::settings) enum Reference {
    /// In this file, all of it.
    File(PathBuf),
    /// In this field of a document of Vault's key-value store, version 2.
    Vault {
        /// As its HTTP API names the document, below `/v1/`.
        path: String,
        /// The field.
        field: String,
    },
    /// In AWS Secrets Manager: the whole secret, or one key of it.
    Aws {
        /// Its name or ARN.
        id: String,
        /// The key in its JSON object.
        key: Option<String>,
    },
}

impl Reference {
    /// Reads a setting's value; `None`: it is the secret itself.
    ///
    /// # Errors
    /// When it begins like a reference and is none. The reason does not show it: it may be a secret that happens to begin so.
    pub(in crate::settings) fn parse(text: &str) -> Option<Result<Self, &'static str>> {
        if let Some(rest) = text.strip_prefix("vault:") {
            const FORM: &str = "must be vault:mount/path#field; a secret that begins like this is set by its file";
            return Some(vault(rest).ok_or(FORM));
        }
        let rest = text.strip_prefix("aws:")?;
        Some(aws(rest).ok_or("must be aws:id or aws:id#key; a secret that begins like this is set by its file"))
    }

    /// Whether one answer has both.
    pub(super) fn is_same_document(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Vault { path: a, .. }, Self::Vault { path: b, .. }) | (Self::Aws { id: a, .. }, Self::Aws { id: b, .. }) => a == b,
            _ => false,
        }
    }

    /// Whether the same one keeps both.
    pub(super) fn is_same_manager(&self, other: &Self) -> bool {
        discriminant(self) == discriminant(other)
    }
}

fn vault(rest: &str) -> Option<Reference> {
    let (document, field) = rest.split_once('#')?;
    let (mount, path) = document.split_once('/')?;
    // what would lead to another place of the API is no name
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~+=@:".contains(c));
    let is_fine = document.len() <= LONGEST && document.split('/').all(is_segment) && is_name(field);
    is_fine.then(|| Reference::Vault { path: format!("{mount}/data/{path}"), field: field.to_owned() })
}

fn aws(rest: &str) -> Option<Reference> {
    let (id, key) = rest.split_once('#').map_or((rest, None), |(id, key)| (id, Some(key)));
    let is_id = is_name(id) && id.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@:-".contains(c));
    (is_id && key.is_none_or(is_name)).then(|| Reference::Aws { id: id.to_owned(), key: key.map(str::to_owned) })
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn what_begins_like_a_reference_is_one_or_nothing() {
        let parsed = |text| Reference::parse(text);
        let vault = |path: &str, field: &str| Some(Ok(Reference::Vault { path: path.into(), field: field.into() }));
        let aws = |id: &str, key: Option<&str>| Some(Ok(Reference::Aws { id: id.into(), key: key.map(Into::into) }));
        assert_eq!(parsed("vault:secret/portcullis#database_url"), vault("secret/data/portcullis", "database_url"));
        assert_eq!(parsed("vault:kv/teams/eu/api#a b#c"), vault("kv/data/teams/eu/api", "a b#c"));
        assert_eq!(parsed("aws:prod/portcullis"), aws("prod/portcullis", None));
        assert_eq!(
            parsed("aws:arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/x-AbCdEf#key"),
            aws("arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/x-AbCdEf", Some("key"))
        );
        for text in ["", "postgres://vault:x@h/p", "Vault:secret/a#b", "awsome", " vault:a/b#c", "{\"aws:\":1}"] {
            assert_eq!(parsed(text), None, "{text}");
        }
        for text in [
            "vault:",
            "vault:secret",
            "vault:secret/a",
            "vault:secret#b",
            "vault:/a#b",
            "vault:secret/a#",
            "vault:secret/../sys/mounts#b",
            "vault:secret//a#b",
            "vault:secret/a?version=1#b",
            "vault:secret/a%2f..#b",
            "vault:secret/a b#c",
            "vault:secret/a#b\n",
            "aws:",
            "aws:#a",
            "aws:a#",
            "aws:a b",
        ] {
            assert!(matches!(parsed(text), Some(Err(_))), "{text}");
        }
    }
}
