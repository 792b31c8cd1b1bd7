//! May you do this to that: rules on attributes of who acts, of the object, and of the circumstances, in Cedar, in `policies/`. The second of
//! two independent layers: a permission lets somebody call a route, a policy lets them at one object. Nothing is allowed that no policy
//! permits, and whatever keeps the engine from a clean answer is a refusal (OWASP ASVS 5.0 8.2.1, 8.3.1).
//! Practices 1.abac, 10.policy-engine, 10.deny-default, 10.layered. Attacks: `tests/suite/attacks/s10_access_control/`.

pub mod cases;
mod question;

pub use question::{Action, Circumstances, Object, Subject};

use cedar_policy::{Authorizer, Context, Entities, EntityUid, Policy, PolicyId, PolicySet, Request, Response, Schema, ValidationMode, Validator};
use question::Unaskable;
use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

macro_rules! built_in {
    ($($file:literal),*) => {
        /// The policies that this binary brings along, by file.
        const BUILT_IN: &[(&str, &str)] = &[$(($file, include_str!(concat!("../../../policies/", $file)))),*];
    };
}

built_in!("classification.cedar", "department.cedar", "ownership.cedar", "sharing.cedar", "surroundings.cedar");

/// What policies may speak of: it belongs to the code, which makes the entities.
const SCHEMA: &str = include_str!("../../../policies/schema.cedarschema");

/// Most bytes of a policy file.
const MAX_FILE: u64 = 256 << 10;

/// Why there are no policies to decide by.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The folder or a file cannot be read.
    #[error("cannot read {0}: {1}")]
    Unreadable(String, std::io::Error),
    /// The folder has no policy in it: a wrong path more likely than a wish.
    #[error("{0} holds no policy")]
    Empty(String),
    /// A file does not say what Cedar understands, or what the schema knows.
    #[error("{0}: {1}")]
    Wrong(String, String),
}

/// The policies in force, checked against the schema. A handle: cheap to clone.
#[derive(Clone)]
pub struct Policies {
    schema: Arc<Schema>,
    set: Arc<PolicySet>,
}

/// What was decided, and by which policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// The policies that decided, by their ids; none: no policy permits it, or the engine failed.
    pub policies: BTreeSet<String>,
}

impl Policies {
    /// Those that this binary brings along.
    ///
    /// # Errors
    /// [`PolicyError::Wrong`]; a test keeps that from happening.
    pub fn built_in() -> Result<Self, PolicyError> {
        Self::parse(BUILT_IN)
    }

    /// Those of a folder, instead: every `.cedar` file in it. Hidden entries are passed over, as a mounted ConfigMap has some.
    ///
    /// # Errors
    /// [`PolicyError`]: also for what somebody may believe to be read, and is not.
    pub fn read(folder: &Path) -> Result<Self, PolicyError> {
        let unreadable = |path: &Path| {
            let path = path.display().to_string();
            move |error| PolicyError::Unreadable(path, error)
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // a copy of the schema is fine, another one would count for nothing
            let is_schema = name == "schema.cedarschema" && fs::read(&path).is_ok_and(|copy| copy == SCHEMA.as_bytes());
            if name.starts_with('.') || name == cases::FILE || is_schema {
                continue;
            }
            let about = fs::metadata(&path).map_err(unreadable(&path))?;
            if !about.is_file() || about.len() > MAX_FILE || !name.ends_with(".cedar") {
                return Err(PolicyError::Wrong(path.display().to_string(), format!("is no `.cedar` file of at most {MAX_FILE} bytes")));
            }
            files.push((name, fs::read_to_string(&path).map_err(unreadable(&path))?));
        }
        // the order in which the file system names them is no order
        files.sort();
        let policies = Self::parse(&files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())?;
        if policies.ids().is_empty() { Err(PolicyError::Empty(folder.display().to_string())) } else { Ok(policies) }
    }

    /// Policies from texts, each with the name of its file. Each policy has a name of its own in `@id("…")`, which the log tells. None at all
    /// is a set by which everything is refused.
    ///
    /// # Errors
    /// [`PolicyError::Wrong`]: also for a policy that could never apply, since whoever wrote it believes that it does.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, PolicyError> {
        let wrong = |file: &str, reason: &dyn std::fmt::Display| PolicyError::Wrong(file.to_owned(), reason.to_string());
        let (schema, mut warnings) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| wrong("the schema", &error))?;
        if let Some(warning) = warnings.next() {
            return Err(wrong("the schema", &warning));
        }
        let mut set = PolicySet::new();
        for (file, text) in files {
            let parsed: PolicySet = text.parse().map_err(|error: cedar_policy::ParseErrors| wrong(file, &whole(&error)))?;
            if parsed.templates().next().is_some() {
                return Err(wrong(file, &"holds a template, which nobody links"));
            }
            for policy in parsed.policies() {
                set.add(named(policy).ok_or_else(|| wrong(file, &"holds a policy without @id(\"…\")"))?).map_err(|error| wrong(file, &error))?;
            }
        }
        let validated = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        if !validated.validation_passed_without_warnings() {
            let faults: Vec<String> =
                validated.validation_errors().map(ToString::to_string).chain(validated.validation_warnings().map(ToString::to_string)).collect();
            return Err(wrong("the policies", &faults.join("; ")));
        }
        Ok(Self { schema: Arc::new(schema), set: Arc::new(set) })
    }

    /// The ids of all policies.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<String> {
        self.set.policies().map(|policy| policy.id().to_string()).collect()
    }

    /// Somebody who asks, for one decision after the other.
    #[must_use]
    pub fn asker(&self, subject: &Subject, circumstances: Circumstances) -> Asker {
        let asked = || -> Result<Asked, Unaskable> {
            // the schema adds the actions, and what belongs to what among them
            let entities = Entities::from_entities(subject.entities()?, Some(&self.schema))?;
            Ok(Asked { principal: subject.uid()?, context: circumstances.context()?, entities })
        };
        let asked = asked().inspect_err(|error| failed(&"nobody can ask", error)).ok();
        Asker { policies: self.clone(), asked }
    }
}

/// Who asks, and how.
pub struct Asker {
    policies: Policies,
    /// `None`: there is nobody who could, and everything is refused.
    asked: Option<Asked>,
}

/// The same in Cedar's words.
struct Asked {
    principal: EntityUid,
    context: Context,
    entities: Entities,
}

impl Asker {
    /// Decides. A policy that fails on the way would be left out by the engine, a `forbid` too: here its failure refuses.
    #[must_use]
    pub fn may(&self, action: Action, object: &Object) -> Decision {
        let refused = Decision { is_allowed: false, policies: BTreeSet::new() };
        let Some(asked) = &self.asked else { return refused };
        let answer = match self.policies.answer(asked, action, object) {
            Ok(answer) => answer,
            Err(error) => {
                failed(&action.name(), &error);
                return refused;
            }
        };
        let errors: Vec<String> = answer.diagnostics().errors().map(ToString::to_string).collect();
        if !errors.is_empty() {
            failed(&action.name(), &errors.join("; "));
            return refused;
        }
        let policies = answer.diagnostics().reason().map(ToString::to_string).collect();
        Decision { is_allowed: answer.decision() == cedar_policy::Decision::Allow, policies }
    }
}

impl Policies {
    fn answer(&self, Asked { principal, context, entities }: &Asked, action: Action, object: &Object) -> Result<Response, Unaskable> {
        let request = Request::new(principal.clone(), action.uid()?, object.uid()?, context.clone(), Some(&self.schema))?;
        let entities = entities.clone().add_entities([object.entity()?], Some(&self.schema))?;
        Ok(Authorizer::new().is_authorized(&request, &self.set, &entities))
    }
}

/// Each error names its policy.
fn failed(about: &dyn std::fmt::Display, error: &dyn std::fmt::Display) {
    tracing::error!(policy.action = %about, %error, "a policy decision failed and was a refusal");
    metrics::counter!("portcullis_policy_failures_total").increment(1);
}

/// Under the name that its author gave it, instead of its number in the file.
fn named(policy: &Policy) -> Option<Policy> {
    policy.annotation("id").filter(|id| !id.is_empty()).map(|id| policy.new_id(PolicyId::new(id)))
}

/// All that is wrong, with what the parser expected.
fn whole(errors: &cedar_policy::ParseErrors) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_file_is_built_in_and_fits_the_schema() {
        let there: BTreeSet<String> = fs::read_dir("policies")
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".cedar"))
            .collect();
        assert_eq!(there, BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect());
        assert!(Policies::built_in().unwrap().ids().len() >= 9);
        for (name, text) in BUILT_IN {
            assert!(text.starts_with("// ") && text.contains("practice"), "{name} says which practice it shows");
        }
    }
}
