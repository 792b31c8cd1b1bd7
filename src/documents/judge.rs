//! The check on the object. It stands by itself: it knows nothing of what the route asked for, and refuses what the route let through.
//! Each decision is logged with the policies that made it, under the request's id; an answer says nothing of them.
//! Practices 10.object-level, 10.layered, 10.step-up. Attacks: `tests/suite/attacks/s10_access_control/others_documents.rs`.

use crate::{
    access::policy::{Action, Circumstances, Policies, Subject},
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

/// Who asks, and how; decides one document after the other.
pub struct Judge {
    /// The rules.
    pub policies: Policies,
    /// Who asks.
    pub subject: Subject,
    /// How.
    pub circumstances: Circumstances,
    /// Whether they could show a second factor.
    pub can_step_up: bool,
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
        let decision = self.policies.decide(&self.subject, action, &object, self.circumstances);
        let (action_name, outcome) = (action.name(), if decision.is_allowed { "allow" } else { "deny" });
        tracing::info!(policy.action = action_name, policy.object = %object.id, policy.outcome = outcome, policy.ids = ?decision.policies, "policy decision");
        if decision.is_allowed {
            return Ok(());
        }
        let would = |action, assurance| {
            let circumstances = Circumstances { assurance, ..self.circumstances };
            self.policies.decide(&self.subject, action, &object, circumstances).is_allowed
        };
        if self.can_step_up && self.circumstances.assurance < 2 && would(action, 2) {
            return Err(Refusal::NeedsSecondFactor);
        }
        // what is to be was written by who asks; what was deleted is there for those only who may restore it
        let is_seen = action == Action::File || document.deleted_at.is_none() && would(Action::Read, self.circumstances.assurance);
        Err(if is_seen { Refusal::Forbidden } else { Refusal::Hidden })
    }

    /// Those of a list that this may be done to, in their order.
    #[must_use]
    pub fn select(&self, action: Action, found: Vec<Unjudged>) -> Vec<Document> {
        let (considered, mut policies) = (found.len(), BTreeSet::new());
        let mut allowed = Vec::new();
        for Unjudged(document) in found {
            let decision = self.policies.decide(&self.subject, action, &document.object(), self.circumstances);
            policies.extend(decision.policies);
            if decision.is_allowed {
                allowed.push(document);
            }
        }
        tracing::info!(policy.action = action.name(), policy.considered = considered, policy.allowed = allowed.len(), policy.ids = ?policies, "policy decisions of a list");
        allowed
    }
}
