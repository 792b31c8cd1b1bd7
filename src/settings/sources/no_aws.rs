//! In place of AWS Secrets Manager where the cargo feature `aws` is off.

use super::{Fault, field::Fields};

pub(super) struct Aws;

impl Aws {
    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn read(_: &mut Option<Self>, _: &str) -> Result<Fields, Fault> {
        Err(Fault::Refused("this binary was built without the cargo feature `aws`".to_owned()))
    }
}
