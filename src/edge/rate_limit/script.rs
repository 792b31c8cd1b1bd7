//! The shared counters in Redis, where there is one: a script does what `spend_quotas` does in Postgres, as one step. Its keys must live
//! on one server: a Redis Cluster would refuse the script. Every counter ends by itself.
//! Practice 4.distributed. Tests: `tests/cluster/`.

use crate::platform::{
    redis::{Away, Redis, Script},
    window::{Counted, Key, Rule},
};
use std::{fmt::Write, sync::LazyLock};

static SPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("spend.lua")));

/// Out of the part that it was made in, if that still counts.
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for i, key in ipairs(KEYS) do
             if tonumber(redis.call('HGET', key, ARGV[i]) or 0) > 0 then redis.call('HINCRBY', key, ARGV[i], -1) end
         end
         return {}",
    )
});

static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new("redis.call('DEL', KEYS[1]) return {}"));

pub(super) async fn spend(redis: &Redis, asked: &[(Key, Rule)], now_ms: i64) -> Result<Vec<Counted>, Away> {
    let keys: Vec<String> = asked.iter().map(|(key, _)| name(key)).collect();
    let rules = asked.iter().flat_map(|(_, rule)| [rule.number.into(), rule.keep_ms, rule.grain_ms]);
    let arguments: Vec<i64> = std::iter::once(now_ms).chain(rules).collect();
    let answer = redis.run(&SPEND, &keys, &arguments).await?;
    let counted = answer.chunks_exact(4).map(|one| Counted {
        used: u32::try_from(one[0]).unwrap_or(u32::MAX),
        is_over: one[1] != 0,
        start_ms: one[2],
        frees_at_ms: one[3],
    });
    Ok(counted.collect())
}

pub(super) async fn give_back(redis: &Redis, parts: &[(Key, i64)]) -> Result<(), Away> {
    let (keys, starts): (Vec<String>, Vec<i64>) = parts.iter().map(|(key, start)| (name(key), *start)).unzip();
    redis.run(&GIVE_BACK, &keys, &starts).await.map(drop)
}

pub(super) async fn forget(redis: &Redis, key: &Key) -> Result<(), Away> {
    redis.run(&FORGET, &[name(key)], &[]).await.map(drop)
}

fn name((quota, subject): &Key) -> String {
    let mut name = format!("portcullis:quota:{quota}:");
    for byte in subject {
        // writing to a String cannot fail
        _ = write!(name, "{byte:02x}");
    }
    name
}
