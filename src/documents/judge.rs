//! The check on the object. It stands by itself: it knows nothing of what the route asked for, and refuses what the route let through.
//! Each decision is logged with the policies that made it, under the request's id; an answer says nothing of them.
//! Practices 10.object-level, 10.layered, 10.step-up. Attacks: `tests/suite/attacks/s10_access_control/others_documents.rs`.

use crate::{
    access::policy::{Action, Asker, Decision, Object},
    documents::Document,
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A document that nobody has been let at yet.
#[derive(Debug)]
pub struct Unjudged(pub(super) Document);

impl Unjudged {
    /// Its id, which only names a place in a list.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.0.id
    }
}

/// Why somebody is not let at a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// They may not know that it is there.
    Hidden,
    /// They may read it, but not do this.
    Forbidden,
    /// With a second factor they may.
    NeedsSecondFactor,
}

/// Who asks; decides one document after the other.
pub struct Judge {
    /// Who asks, and how.
    pub asker: Asker,
    /// The same with a second factor, where they could show one.
    pub with_second_factor: Option<Asker>,
}

/// The check that goes along with one: who cannot read a document does nothing else to it, and is not shown it by changing it. What is
/// filed is one's own words.
fn beside(action: Action) -> Option<Action> {
    (!matches!(action, Action::Read | Action::File)).then_some(Action::Read)
}

fn allows(asker: &Asker, action: Action, object: &Object) -> Decision {
    let decision = asker.may(action, object);
    match beside(action).filter(|_| decision.is_allowed).map(|beside| asker.may(beside, object)) {
        Some(refused) if !refused.is_allowed => refused,
        _ => decision,
    }
}

impl Judge {
    /// Lets somebody at a document that was found, to do this.
    ///
    /// # Errors
    /// [`Refusal`]; one that is not there looks like one that is hidden.
    pub fn admit(&self, action: Action, found: Option<Unjudged>) -> Result<Document, Refusal> {
        let Unjudged(document) = found.ok_or(Refusal::Hidden)?;
        self.check(action, &document)?;
        Ok(document)
    }

    /// Whether this may be done to a document that somebody was let at, or that is to be.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, action: Action, document: &Document) -> Result<(), Refusal> {
        let object = document.object();
        let decision = allows(&self.asker, action, &object);
        let outcome = if decision.is_allowed { "allow" } else { "deny" };
        tracing::info!(policy.action = action.name(), policy.object = %object.id, policy.outcome = outcome, policy.ids = ?decision.policies, "policy decision");
        if decision.is_allowed {
            return Ok(());
        }
        if self.with_second_factor.as_ref().is_some_and(|asker| allows(asker, action, &object).is_allowed) {
            return Err(Refusal::NeedsSecondFactor);
        }
        // what is to be was written by who asks; what was deleted is there for those only who may restore it
        let is_seen = action == Action::File || document.deleted_at.is_none() && self.asker.may(Action::Read, &object).is_allowed;
        Err(if is_seen { Refusal::Forbidden } else { Refusal::Hidden })
    }

    /// Those of a list that this may be done to, in their order.
    #[must_use]
    pub fn select(&self, action: Action, found: Vec<Unjudged>) -> Vec<Document> {
        let (considered, mut policies) = (found.len(), BTreeSet::new());
        let mut allowed = Vec::new();
        for Unjudged(document) in found {
            let decision = allows(&self.asker, action, &document.object());
            policies.extend(decision.policies);
            if decision.is_allowed {
                allowed.push(document);
            }
        }
        tracing::info!(policy.action = action.name(), policy.considered = considered, policy.allowed = allowed.len(), policy.ids = ?policies, "policy decisions of a list");
        allowed
    }
}
