//! Whether two stores of shared counters count alike.

use super::app::TestApp;
use portcullis::edge::rate_limit::{Count, Quota, give_back, try_spend_at};
use std::collections::BTreeMap;
use time::{Duration, Time};

/// Walks through time, counts at both under fixed and sliding windows, alone and together, gives some back, and compares every answer
/// and every time to wait.
pub async fn count_alike(one: &TestApp, other: &TestApp) {
    // tomorrow's midnight: the same walk every day, and nothing of it is tidied away meanwhile
    let mut now = one.clock.now().replace_time(Time::MIDNIGHT) + Duration::days(1);
    let (mut passed, mut refused) = (0, BTreeMap::new());
    for step in 0_i64..300 {
        now += Duration::milliseconds(step * step * 7919 % 190_000);
        let quotas: &[Quota] = match step % 3 {
            0 => &[Quota::LoginFromAddress],
            1 => &[Quota::Invitations, Quota::LoginFromAddress],
            _ => &[Quota::Invitations],
        };
        let mut outcomes = Vec::new();
        for node in [one, other] {
            let counts: Vec<Count> = quotas.iter().map(|quota| Count::of(&node.state, *quota, &["somebody"])).collect();
            outcomes.push(match try_spend_at(&node.state, &counts, now).await.expect("somewhere to count") {
                Ok(spent) => {
                    if step % 7 == 0 {
                        give_back(&node.state, &spent).await.unwrap();
                    }
                    None
                }
                Err(exhausted) => Some((exhausted.limit.quota, exhausted.wait)),
            });
        }
        assert_eq!(outcomes[0], outcomes[1], "step {step}");
        match outcomes[0] {
            None => passed += 1,
            Some((quota, _)) => *refused.entry(quota).or_insert(0) += 1,
        }
    }
    let is_walked = passed > 50 && refused.len() == 2 && refused.values().all(|count| *count > 20);
    assert!(is_walked, "{passed} passed, refused: {refused:?}");
}
