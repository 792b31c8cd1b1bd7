//! In place of Vault where the cargo feature `vault` is off.

use super::{Fault, field::Fields};
use crate::settings::{reader::Reader, secrets::Given};
use std::time::Instant;

/// Told of every secret that is kept there.
pub(super) const NOT_SET: &str = "this binary was built without the cargo feature `vault`";

pub(super) struct Access;

impl Access {
    pub(super) fn read(_: &mut Reader, _: &mut Vec<Given>) -> Option<Self> {
        None
    }
}

pub(super) struct Vault;

#[expect(clippy::unused_async, clippy::unused_self, reason = "as with the feature")]
impl Vault {
    pub(super) fn new(_: Access) -> Option<Self> {
        None
    }

    pub(super) async fn read(&mut self, _: &str) -> Result<Fields, Fault> {
        Err(Fault::Refused(NOT_SET.to_owned()))
    }

    pub(super) fn renew_at(&self) -> Option<Instant> {
        None
    }

    pub(super) async fn renew(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    pub(super) async fn let_go(&mut self) {}
}
