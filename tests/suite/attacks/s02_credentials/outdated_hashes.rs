//! Hashes of yesterday's cost, or equal passwords that would show as equal hashes.

use crate::support::TestDatabase;
use portcullis::credentials::password::{Cost, HashPool, Password, Passwords, Verdict};

#[tokio::test]
async fn passwords_are_salted_verified_and_rehashed_when_the_cost_rises() {
    let t = TestDatabase::create().await;
    let pool = HashPool::start(1, 8).unwrap();
    let old = Passwords::new(pool.clone(), t.keyring.clone(), Cost { memory_kib: 7_168, iterations: 5, parallelism: 1 });
    let new = Passwords::new(pool, t.keyring.clone(), Cost::DEFAULT);
    let password = Password::new("wet gravel under a tin moon");
    let (first, second) = (old.create(&password, vec![]).await.unwrap(), old.create(&password, vec![]).await.unwrap());
    assert_ne!(first.phc, second.phc, "equal passwords, different hashes");
    let Verdict::Right { upgraded: Some(better) } = new.verify(&password, Some(first)).await.unwrap() else { panic!("no upgrade") };
    assert!(better.phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", better.phc);
    assert!(matches!(new.verify(&password, Some(better.clone())).await.unwrap(), Verdict::Right { upgraded: None }));
    assert!(matches!(new.verify(&Password::new("wet gravel under a tin moon "), Some(better)).await.unwrap(), Verdict::Wrong));
    let before = new.computed();
    assert!(matches!(new.verify(&password, None).await.unwrap(), Verdict::Wrong));
    assert_eq!(new.computed(), before + 1, "an unknown account costs one verification too");
}
