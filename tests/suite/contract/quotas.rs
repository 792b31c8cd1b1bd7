//! The closed list of quotas and its table in the documents: the same rows, each with a test that exists.

use portcullis::{
    edge::rate_limit::Quota,
    settings::{Settings, list::SETTINGS},
};
use std::{collections::BTreeSet, fs};

/// The test of each quota, in `tests/suite/attacks/s04_rate_limits/` unless it says otherwise.
fn test_of(quota: Quota) -> &'static str {
    match quota {
        Quota::Address => "address_flood",
        Quota::Person => "scraping",
        Quota::ApiKey => "runaway_key",
        Quota::InHand => "request_flood",
        Quota::LoginFromAddress | Quota::LoginToAccount | Quota::LoginFromNetwork | Quota::Reauthentication => "password_guessing",
        Quota::LoginFromDevice | Quota::LoginFailures | Quota::WrongProofs | Quota::LettersFromAddress | Quota::LettersFromAddressADay => {
            "lock_out_weapon"
        }
        Quota::SecondFactor | Quota::SecondFactorFailures => "second_factor_guessing",
        Quota::RefreshOfSession | Quota::RefreshOfPerson | Quota::RefreshFromNetwork => "refresh_flood",
        Quota::NewPasswords => "hash_flood",
        Quota::PasskeyOptions | Quota::WrongPasskeys => "passkey_flood",
        Quota::Letters
        | Quota::LettersADay
        | Quota::LetterCooldown
        | Quota::LettersFromNetwork
        | Quota::LettersFromNetworkADay
        | Quota::Notices
        | Quota::MailboxCodes
        | Quota::FactorChanges => "letter_bombing",
        Quota::OAuth => "sign_in_flood",
        Quota::OperatorLetters => "suspicious_patterns",
        Quota::WebhookRefusals | Quota::Webhooks => "webhook_flood",
        Quota::Invitations => "boundary_burst",
    }
}

fn time(seconds: i64) -> String {
    match seconds {
        0 => "–".into(),
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[test]
fn the_table_in_the_documents_is_the_list() {
    let quotas = Settings::from_map([].into()).map_err(|error| error.to_string()).unwrap().quotas;
    let mut table = "| quota | counts | for each | strategy | number | window | setting | test |\n|---|---|---|---|---|---|---|---|\n".to_owned();
    for quota in Quota::ALL {
        let test = format!("tests/suite/attacks/s04_rate_limits/{}.rs", test_of(*quota));
        assert!(fs::exists(&test).unwrap(), "{test}");
        let (name, about, by, strategy) = (quota.name(), quota.about().trim_end_matches('.'), quota.by().name(), quota.strategy().name());
        let (number, window, setting) = (quota.number(&quotas), time(quota.window(&quotas).whole_seconds()), quota.setting());
        table += &format!("| `{name}` | {about} | {by} | {strategy} | {number} | {window} | `{setting}` | `{}` |\n", test_of(*quota));
        assert!(SETTINGS.iter().any(|known| known.name == setting), "{setting} is no setting");
    }
    let page = fs::read_to_string("docs/rate-limits.md").unwrap();
    let shown = page.split("<!-- quotas -->\n\n").nth(1).and_then(|rest| rest.split("\n<!-- /quotas -->").next()).unwrap_or_default();
    assert_eq!(shown, table, "docs/rate-limits.md should have:\n{table}");
    let names: BTreeSet<&str> = Quota::ALL.iter().map(|quota| quota.name()).collect();
    assert_eq!(names.len(), Quota::ALL.len(), "a name twice");
}
