//! Walks the chain and tells everything that is wrong with it, in batches: each link is held against the stored hash before it, so that
//! one changed event is one finding and what follows is still judged.

pub use super::damage::Damage;
use crate::{
    audit::chain::{
        BATCH, GENESIS, Head, form, head_of, is_ours,
        store::{self, Link, Signed, Written},
    },
    platform::{db::StoreError, keyring::Keyring},
};
use sqlx::PgConnection;
use uuid::Uuid;

/// Nothing is committed so long after the time that it bears: a transaction that pauses is ended after seconds, and clocks of nodes are not
/// an hour apart.
const LATEST_COMMIT: i64 = 3_600_000_000;

/// Changed events that are compared with each other's places; more are told as they are met.
const COMPARED: usize = 100;

/// What was found.
#[derive(Debug, Clone)]
pub struct Findings {
    /// What was before this is gone, by a signed checkpoint; 0: nothing is.
    pub start: i64,
    /// Links that were looked at.
    pub links: u64,
    /// Events that wait for the chainer.
    pub waiting: u64,
    /// What is wrong, in numbers.
    pub damage: u64,
    /// Where the chain ends; `None`: it is empty.
    pub head: Option<Head>,
}

/// A link whose hash is not what its event gives.
struct Suspect {
    link: Link,
    previous: Vec<u8>,
    written: Written,
}

struct Walk<'w, F> {
    keyring: &'w Keyring,
    anchor: Option<&'w Head>,
    tell: F,
    findings: Findings,
    /// The last link, or what the chain begins from.
    end: i64,
    /// Its hash; `None` behind a gap.
    hash: Option<Vec<u8>>,
    /// The last head.
    signed: i64,
    /// The newest time of an event that is as it was, as far as signed heads bear it out.
    latest: i64,
    /// The youngest event since the last head.
    youngest: Option<(Uuid, i64)>,
    suspects: Vec<Suspect>,
}

/// Tells all that is wrong. The connection's transaction should see one state ([`store::still`]).
///
/// # Errors
/// [`StoreError`]: it could not be read to the end.
pub async fn verify(
    connection: &mut PgConnection,
    keyring: &Keyring,
    anchor: Option<&Head>,
    tell: impl FnMut(Damage),
) -> Result<Findings, StoreError> {
    let findings = Findings { start: 0, links: 0, waiting: 0, damage: 0, head: None };
    let suspects = Vec::new();
    let mut walk = Walk { keyring, anchor, tell, findings, end: 0, hash: None, signed: 0, latest: i64::MIN, youngest: None, suspects };
    walk.begin(connection).await?;
    walk.chain(connection).await?;
    walk.judge_suspects();
    walk.conclude();
    walk.loose_events(connection).await?;
    walk.count(connection).await?;
    Ok(walk.findings)
}

impl<F: FnMut(Damage)> Walk<'_, F> {
    fn found(&mut self, damage: Damage) {
        self.findings.damage += 1;
        (self.tell)(damage);
    }

    /// From the newest checkpoint that is ours.
    async fn begin(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let mut start = Head { seq: 0, hash: GENESIS };
        for checkpoint in store::checkpoints(connection).await? {
            match head_of(&checkpoint).filter(|head| is_ours(self.keyring, &checkpoint, head)) {
                Some(head) => start = head,
                None => self.found(Damage::CheckpointForged { seq: checkpoint.seq }),
            }
        }
        (self.findings.start, self.end, self.signed) = (start.seq, start.seq, start.seq);
        self.meet_anchor(start.seq, &start.hash);
        if let Some(seq) = self.anchor.map(|anchor| anchor.seq).filter(|seq| *seq < start.seq) {
            self.found(Damage::AnchorTooOld { seq, start: start.seq });
        }
        self.hash = Some(start.hash.to_vec());
        // nothing was signed there that was not removed with its links
        store::heads_before(connection, start.seq, BATCH).await?.into_iter().for_each(|seq| self.found(Damage::HeadForged { seq }));
        let mut beyond = None;
        loop {
            let links = store::links_before(connection, beyond, start.seq, BATCH).await?;
            links.iter().for_each(|link| self.found(Damage::Inserted { seq: link.seq, event: link.event_id }));
            match links.last() {
                Some(last) => beyond = Some(last.seq),
                None => return Ok(()),
            }
        }
    }

    async fn chain(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        loop {
            let links = store::links(connection, self.end, i64::MAX, BATCH).await?;
            let Some((last, _)) = links.last() else { break };
            // no batch of the chainer is empty: there are no more heads than links
            let heads = store::heads(connection, self.signed, last.seq, BATCH + 1).await?;
            let mut heads = heads.into_iter().peekable();
            for (link, written) in links {
                while let Some(head) = heads.next_if(|head| head.seq < link.seq) {
                    self.meet_head(&head, None);
                }
                let hash = link.hash.clone();
                self.meet_link(link, written);
                while let Some(head) = heads.next_if(|head| head.seq == self.end) {
                    self.meet_head(&head, Some(&hash));
                }
            }
        }
        // whoever cut the tail and left its heads
        loop {
            let heads = store::heads(connection, self.signed.max(self.end), i64::MAX, BATCH).await?;
            let Some(known) = heads.last().map(|head| head.seq) else { return Ok(()) };
            let end = self.end;
            heads.iter().for_each(|head| self.meet_head(head, None));
            self.found(Damage::TailCut { end, known });
        }
    }

    fn meet_link(&mut self, link: Link, written: Option<Written>) {
        self.findings.links += 1;
        let expected = self.end.saturating_add(1);
        if link.seq > expected {
            self.found(Damage::LinksRemoved { from: expected, to: link.seq - 1 });
            self.hash = None;
        }
        self.meet_anchor(link.seq, &link.hash);
        let previous = self.hash.replace(link.hash.clone());
        self.end = link.seq;
        match (written, previous) {
            (None, _) => self.found(Damage::Removed { seq: link.seq, event: link.event_id }),
            (Some(_), None) => {}
            (Some(written), Some(previous)) if form::link(&previous, link.seq, &written).as_slice() == link.hash => {
                self.meet_time(written.id, written.at)
            }
            (Some(written), Some(previous)) if self.suspects.len() < COMPARED => self.suspects.push(Suspect { link, previous, written }),
            (Some(_), Some(_)) => self.found(Damage::Altered { seq: link.seq, event: link.event_id }),
        }
    }

    fn meet_time(&mut self, event: Uuid, at: i64) {
        if at < self.latest.saturating_sub(LATEST_COMMIT) {
            self.found(Damage::Backdated { event });
        }
        self.latest = self.latest.max(at);
        if self.youngest.is_none_or(|(_, youngest)| youngest < at) {
            self.youngest = Some((event, at));
        }
    }

    fn meet_anchor(&mut self, seq: i64, hash: &[u8]) {
        if self.anchor.is_some_and(|anchor| anchor.seq == seq && anchor.hash != *hash) {
            self.found(Damage::AnchorContradicted { seq });
        }
    }

    /// `hash`: of the link at its place, where there is one.
    fn meet_head(&mut self, signed: &Signed, hash: Option<&[u8]>) {
        match head_of(signed).filter(|head| is_ours(self.keyring, signed, head)) {
            None => self.found(Damage::HeadForged { seq: signed.seq }),
            Some(head) if hash.is_some_and(|hash| head.hash != *hash) => self.found(Damage::HeadContradicted { seq: signed.seq }),
            Some(_) => {
                let signed_at = form::micros(signed.at).saturating_add(LATEST_COMMIT);
                if let Some((event, _)) = self.youngest.take().filter(|(_, at)| *at > signed_at) {
                    self.found(Damage::Postdated { event });
                }
                // one that lies must not make those behind it look late
                self.latest = self.latest.min(signed_at);
            }
        }
        if signed.after != Some(self.signed) {
            self.found(Damage::HeadsChanged { from: self.signed, to: signed.seq });
        }
        self.signed = signed.seq;
    }

    /// Whether what does not fit where it is fits where another one is.
    fn judge_suspects(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        for (at, suspect) in suspects.iter().enumerate() {
            let Suspect { link, previous, written } = suspect;
            let belongs = suspects.iter().enumerate().filter(|(other, _)| *other != at).find(|(_, other)| {
                let hash = form::link(previous, link.seq, &other.written);
                // its event was put there, or its whole link
                hash.as_slice() == link.hash || hash.as_slice() == other.link.hash
            });
            let (seq, event) = (link.seq, written.id);
            self.found(match belongs {
                Some((_, other)) => Damage::Reordered { seq, event, belongs: other.written.id },
                None => Damage::Altered { seq, event },
            });
        }
    }

    fn conclude(&mut self) {
        let (end, signed) = (self.end, self.signed);
        if end > signed {
            self.found(Damage::Unsigned { from: signed + 1, to: end });
        }
        if let Some(known) = self.anchor.map(|anchor| anchor.seq).filter(|seq| *seq > end) {
            self.found(Damage::TailCut { end, known });
        }
        let hash = self.hash.as_deref().and_then(|hash| hash.try_into().ok());
        self.findings.head = hash.filter(|_| end > 0).map(|hash| Head { seq: end, hash });
    }

    /// What is not in the chain.
    async fn loose_events(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let mut last = None;
        loop {
            let strays = store::strays(connection, last, BATCH).await?;
            strays.iter().for_each(|event| self.found(Damage::NeverChained { event: *event }));
            let Some(beyond) = strays.last() else { break };
            last = Some(*beyond);
        }
        let mut last = None;
        loop {
            let queued = store::queued(connection, last, BATCH).await?;
            let Some(beyond) = queued.last().map(|event| event.id) else { return Ok(()) };
            for event in queued {
                match event.at.filter(|_| !event.is_chained) {
                    None => self.found(Damage::WaitsInVain { event: event.id }),
                    Some(at) => {
                        self.findings.waiting += 1;
                        self.meet_time(event.id, at);
                    }
                }
            }
            last = Some(beyond);
        }
    }

    /// Whether there is more than was met: two links at one place, or what an index hides.
    async fn count(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        // where something was found already, the numbers say nothing
        if self.findings.damage > 0 {
            return Ok(());
        }
        let (links, events) = store::counts(connection).await?;
        let (met, waiting) = (self.findings.links, self.findings.waiting);
        if links.unsigned_abs() != met || events.unsigned_abs() != met + waiting {
            self.found(Damage::Uncounted { links, events });
        }
        Ok(())
    }
}
