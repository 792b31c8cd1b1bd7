//! The attacker runs SQL as the service. They cannot change the walls: no tables, no keys, nothing that was recorded.

use crate::support::TestDatabase;
use portcullis::platform::db;

#[tokio::test]
async fn schema_change_by_the_service_is_refused() {
    let t = TestDatabase::create().await;
    db::check_schema(&t.pool).await.unwrap();
    // with a login of its own, and with one that owns the tables
    for pool in [t.pool.clone(), db::pool(t.owner.clone(), 1)] {
        for sql in [
            "CREATE TABLE x ()",
            "DROP TABLE users",
            "ALTER TABLE users ADD x int",
            "TRUNCATE keyring",
            "DELETE FROM keyring",
            "UPDATE audit_events SET event = 'x'",
            "DELETE FROM audit_events",
            "TRUNCATE audit_events",
        ] {
            let error = sqlx::query(sql).execute(&pool).await.unwrap_err();
            assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("42501"), "{sql}");
        }
    }
}
