//! What can be wrong with the audit log, in the words that operators read. Practice 9.least-privilege.
//! Attacks: `tests/suite/attacks/s08_errors/altered_audit_log.rs`.

use uuid::Uuid;

/// Something that we did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// An event, or its place.
    #[error("{seq}: event {event} or its place was altered")]
    Altered {
        /// Where.
        seq: i64,
        /// Which.
        event: Uuid,
    },
    /// It stands where another one was chained.
    #[error("{seq}: reordered: event {event} stands where {belongs} was")]
    Reordered {
        /// Where.
        seq: i64,
        /// What stands there.
        event: Uuid,
        /// What was chained there.
        belongs: Uuid,
    },
    /// The link is there, the event is not.
    #[error("{seq}: event {event} was removed")]
    Removed {
        /// Where.
        seq: i64,
        /// Which.
        event: Uuid,
    },
    /// Neither links nor, maybe, events.
    #[error("{from} to {to}: links were removed, and the first one behind cannot be judged")]
    LinksRemoved {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// A link before the beginning of the chain.
    #[error("{seq}: event {event} was inserted before the beginning of the chain")]
    Inserted {
        /// Where.
        seq: i64,
        /// Which.
        event: Uuid,
    },
    /// An event that is neither chained nor waits for it.
    #[error("event {event} was inserted, or taken out of the chain: it is not chained and does not wait for it")]
    NeverChained {
        /// Which.
        event: Uuid,
    },
    /// The queue names an event that is not there, or is chained.
    #[error("event {event} was removed while it waited for the chainer, or put into its queue by somebody else")]
    WaitsInVain {
        /// Which.
        event: Uuid,
    },
    /// It bears a time of long before what was chained already.
    #[error("event {event} is dated back: events of an hour later were chained before it")]
    Backdated {
        /// Which.
        event: Uuid,
    },
    /// A head that none of our keys signed.
    #[error("{seq}: the head is not signed by us")]
    HeadForged {
        /// Where.
        seq: i64,
    },
    /// The chain is another one than what was signed.
    #[error("{seq}: the chain was rewritten: the signed head is another one")]
    HeadContradicted {
        /// Where.
        seq: i64,
    },
    /// A head names another one before it.
    #[error("heads between {from} and {to} were removed or inserted")]
    HeadsChanged {
        /// The head before.
        from: i64,
        /// The head behind.
        to: i64,
    },
    /// The chain goes on without a head.
    #[error("{from} to {to}: no signed head covers these links")]
    Unsigned {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// A checkpoint that none of our keys signed.
    #[error("{seq}: the checkpoint is not signed by us")]
    CheckpointForged {
        /// Where.
        seq: i64,
    },
    /// The chain went on once.
    #[error("the tail was cut: the chain ends at {end} and was {known} long")]
    TailCut {
        /// Where it ends.
        end: i64,
        /// Where it was known to end.
        known: i64,
    },
    /// There is more than can be walked.
    #[error("there are {links} links and {events} events, other numbers than were met one by one")]
    Uncounted {
        /// Links.
        links: i64,
        /// Events.
        events: i64,
    },
    /// An event says that it is younger than the head that covers it.
    #[error("the event {event} is dated ahead: it was chained before then")]
    Postdated {
        /// The event.
        event: Uuid,
    },
    /// The anchor is no head of this chain.
    #[error("{seq}: the chain is not the one that the anchor was taken from")]
    AnchorContradicted {
        /// Where.
        seq: i64,
    },
    /// The anchor is older than what is kept.
    #[error("the anchor {seq} says nothing any more: what was up to {start} was removed by `audit prune`")]
    AnchorTooOld {
        /// Where.
        seq: i64,
        /// The checkpoint.
        start: i64,
    },
}
