//! `docs/keys.md` says of each purpose what the code does.

use portcullis::platform::keyring::{Purpose, Revocation, Rotation};

#[test]
fn the_page_on_keys_says_how_each_purpose_rotates_and_what_revoking_costs() {
    let page = std::fs::read_to_string("docs/keys.md").unwrap();
    for purpose in Purpose::ALL {
        let start = format!("| `{}` | ", purpose.name());
        let row = page.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{} is missing", purpose.name()));
        let rotation = match purpose.rotation() {
            Rotation::Overlap(overlap) => format!("overlap of {overlap}"),
            other => other.name().to_owned(),
        };
        let revoking = match purpose.revocation() {
            Revocation::Ends(words) => words.to_owned(),
            Revocation::Destroys(words) => format!("`--yes-destroy`: {words}"),
            Revocation::Refused(words) => format!("refused: {words}"),
        };
        assert!(row.ends_with(&format!(" | {rotation} | {revoking} |")), "{row}\nis not\n{rotation} | {revoking}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, Purpose::ALL.len(), "a row too many");
}
