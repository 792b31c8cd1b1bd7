//! Where Redis is, if there is one.

use crate::{
    platform::redis::Address,
    settings::{
        problem::Kind,
        reader::Reader,
        secrets::{Given, password_in},
    },
};

pub(super) fn read(read: &mut Reader, given: &mut Vec<Given>, is_production: bool) -> Option<Address> {
    const NAME: &str = "REDIS_URL";
    let url = read.secret(NAME)?;
    given.extend(
        password_in(&url).filter(|password| !secrecy::ExposeSecret::expose_secret(password).is_empty()).map(|secret| Given { name: NAME, secret }),
    );
    let address = Address::parse(&url).inspect_err(|reason| read.refuse(NAME, reason)).ok()?;
    // whoever sits in between could set every counter to nothing
    if is_production && address.is_clear_text() {
        read.refuse_as(Kind::Transport, NAME, "goes over a network without TLS: use rediss://");
    }
    Some(address)
}
