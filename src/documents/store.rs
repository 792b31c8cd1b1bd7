//! The SQL of documents. What it finds is [`Unjudged`]; lists are a superset of what policies may allow, never the answer.

use crate::documents::{Classification, Document, Shares, Unjudged};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

struct Row {
    id: Uuid,
    owner_id: Uuid,
    department: Option<String>,
    classification: i16,
    title: String,
    body: String,
    version: i32,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    deleted_at: Option<OffsetDateTime>,
    viewers: Vec<Uuid>,
    editors: Vec<Uuid>,
    viewer_roles: Vec<String>,
    editor_roles: Vec<String>,
}

impl From<Row> for Document {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            owner: row.owner_id,
            department: row.department,
            classification: Classification::of(row.classification),
            title: row.title,
            body: row.body,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
            shares: Shares {
                viewers: row.viewers.into_iter().collect(),
                editors: row.editors.into_iter().collect(),
                viewer_roles: row.viewer_roles.into_iter().collect(),
                editor_roles: row.editor_roles.into_iter().collect(),
            },
        }
    }
}

/// Which documents to look through.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Those that this account might read …
    pub reader: Uuid,
    /// … in this department …
    pub reader_department: Option<String>,
    /// … with these roles …
    pub reader_roles: Vec<String>,
    /// … and this department to answer for.
    pub manages: bool,
    /// Whether to look through those that are deleted, instead.
    pub deleted: bool,
    /// Of this owner.
    pub owner: Option<Uuid>,
    /// In this department.
    pub department: Option<String>,
    /// Of this classification.
    pub classification: Option<Classification>,
    /// Older than this one.
    pub before: Option<Uuid>,
}

/// A document, deleted or not.
///
/// # Errors
/// When the database is away.
pub async fn find(connection: &mut PgConnection, id: Uuid, deleted: bool) -> Result<Option<Unjudged>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT d.id, d.owner_id, d.department, d.classification, d.title, d.body, d.version, d.created_at, d.updated_at, d.deleted_at,
           ARRAY(SELECT user_id FROM document_shares WHERE document_id = d.id AND user_id IS NOT NULL AND access = 'viewer') AS "viewers!: Vec<Uuid>",
           ARRAY(SELECT user_id FROM document_shares WHERE document_id = d.id AND user_id IS NOT NULL AND access = 'editor') AS "editors!: Vec<Uuid>",
           ARRAY(SELECT role FROM document_shares WHERE document_id = d.id AND role IS NOT NULL AND access = 'viewer') AS "viewer_roles!: Vec<String>",
           ARRAY(SELECT role FROM document_shares WHERE document_id = d.id AND role IS NOT NULL AND access = 'editor') AS "editor_roles!: Vec<String>"
           FROM documents d WHERE d.id = $1 AND (d.deleted_at IS NOT NULL) = $2"#,
        id,
        deleted
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Unjudged(row.into())))
}

/// The same, to be changed: nobody else changes it until the end of the transaction.
///
/// # Errors
/// When the database is away.
pub async fn lock(connection: &mut PgConnection, id: Uuid, deleted: bool) -> Result<Option<Unjudged>, sqlx::Error> {
    // by itself: what is read in the statement that waits for a lock may be older than the lock
    sqlx::query!("SELECT FROM documents WHERE id = $1 FOR UPDATE", id).fetch_optional(&mut *connection).await?;
    find(connection, id, deleted).await
}

/// Documents that somebody might read, or restore, the newest first, without what they say: more than policies allow, never less than the built-in
/// ones do. Each way to one is looked up by its own index, so that it does not matter how many there are of other people.
///
/// # Errors
/// When the database is away.
pub async fn candidates(connection: &mut PgConnection, filter: &Filter, limit: usize) -> Result<Vec<Unjudged>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"WITH wanted AS NOT MATERIALIZED (
             SELECT * FROM documents WHERE (deleted_at IS NOT NULL) = $4 AND ($5::uuid IS NULL OR owner_id = $5)
               AND ($6::text IS NULL OR department = $6) AND ($7::smallint IS NULL OR classification = $7) AND ($8::uuid IS NULL OR id < $8)
           ), candidate AS (
             (SELECT id FROM wanted WHERE owner_id = $1 ORDER BY id DESC LIMIT $9)
             UNION (SELECT id FROM wanted WHERE classification = 0 AND NOT $4 ORDER BY id DESC LIMIT $9)
             UNION (SELECT id FROM wanted WHERE department = $2 AND (classification = 1 AND NOT $4 OR classification <= 2 AND $10) ORDER BY id DESC LIMIT $9)
             UNION (SELECT w.id FROM document_shares s JOIN wanted w ON w.id = s.document_id WHERE s.user_id = $1 AND NOT $4 ORDER BY w.id DESC LIMIT $9)
             UNION (SELECT DISTINCT w.id FROM document_shares s JOIN wanted w ON w.id = s.document_id WHERE s.role = ANY($3) AND NOT $4
                    ORDER BY w.id DESC LIMIT $9)
           )
           SELECT d.id, d.owner_id, d.department, d.classification, d.title, '' AS "body!", d.version, d.created_at, d.updated_at, d.deleted_at,
           ARRAY(SELECT user_id FROM document_shares WHERE document_id = d.id AND user_id = $1 AND access = 'viewer') AS "viewers!: Vec<Uuid>",
           ARRAY(SELECT user_id FROM document_shares WHERE document_id = d.id AND user_id = $1 AND access = 'editor') AS "editors!: Vec<Uuid>",
           ARRAY(SELECT role FROM document_shares WHERE document_id = d.id AND role = ANY($3) AND access = 'viewer') AS "viewer_roles!: Vec<String>",
           ARRAY(SELECT role FROM document_shares WHERE document_id = d.id AND role = ANY($3) AND access = 'editor') AS "editor_roles!: Vec<String>"
           FROM candidate c JOIN documents d USING (id) ORDER BY d.id DESC LIMIT $9"#,
        filter.reader,
        filter.reader_department,
        &filter.reader_roles,
        filter.deleted,
        filter.owner,
        filter.department,
        filter.classification.map(Classification::level),
        filter.before,
        i64::try_from(limit).unwrap_or(i64::MAX),
        filter.manages
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| Unjudged(row.into())).collect())
}

/// An owner's own documents, the newest first, deleted ones too: for the export of their data.
///
/// # Errors
/// When the database is away.
pub async fn list_own(connection: &mut PgConnection, owner: Uuid, limit: i64) -> Result<Vec<Unjudged>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, owner_id, department, classification, title, body, version, created_at, updated_at, deleted_at,
           ARRAY[]::uuid[] AS "viewers!: Vec<Uuid>", ARRAY[]::uuid[] AS "editors!: Vec<Uuid>",
           ARRAY[]::text[] AS "viewer_roles!: Vec<String>", ARRAY[]::text[] AS "editor_roles!: Vec<String>"
           FROM documents WHERE owner_id = $1 ORDER BY id DESC LIMIT $2"#,
        owner,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| Unjudged(row.into())).collect())
}

/// How many documents an account has, deleted ones too, once whoever else makes one for it has finished.
///
/// # Errors
/// When the database is away.
pub async fn lock_and_count(connection: &mut PgConnection, owner: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query!("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE", owner).fetch_optional(&mut *connection).await?;
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM documents WHERE owner_id = $1"#, owner).fetch_one(connection).await
}

/// Stores a new one.
///
/// # Errors
/// When the database is away.
pub async fn insert(connection: &mut PgConnection, document: &Document) -> Result<(), sqlx::Error> {
    let Document { id, owner, department, classification, title, body, created_at, .. } = document;
    sqlx::query!(
        "INSERT INTO documents (id, owner_id, department, classification, title, body, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        id,
        owner,
        department.as_deref(),
        classification.level(),
        title,
        body,
        created_at
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Stores one as it is now.
///
/// # Errors
/// When the database is away.
pub async fn update(connection: &mut PgConnection, document: &Document) -> Result<(), sqlx::Error> {
    let Document { id, department, classification, title, body, version, updated_at, deleted_at, .. } = document;
    sqlx::query!(
        "UPDATE documents SET department = $2, classification = $3, title = $4, body = $5, version = $6, updated_at = $7, deleted_at = $8
         WHERE id = $1",
        id,
        department.as_deref(),
        classification.level(),
        title,
        body,
        version,
        updated_at,
        *deleted_at
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Shares a document with exactly these. `false`: one of them does not exist.
///
/// # Errors
/// When the database is away.
pub async fn set_shares(connection: &mut PgConnection, id: Uuid, shares: &Shares) -> Result<bool, sqlx::Error> {
    sqlx::query!("DELETE FROM document_shares WHERE document_id = $1", id).execute(&mut *connection).await?;
    let (mut stored, mut asked) = (0, 0);
    for (users, roles, access) in [(&shares.viewers, &shares.viewer_roles, "viewer"), (&shares.editors, &shares.editor_roles, "editor")] {
        let (users, roles): (Vec<Uuid>, Vec<String>) = (users.iter().copied().collect(), roles.iter().cloned().collect());
        asked += users.len() + roles.len();
        let done = sqlx::query!(
            "INSERT INTO document_shares (document_id, user_id, role, access)
             SELECT $1::uuid, u.id, NULL, $4::text FROM users u WHERE u.id = ANY($2)
             UNION ALL SELECT $1::uuid, NULL, r.name, $4::text FROM roles r WHERE r.name = ANY($3)",
            id,
            &users,
            &roles,
            access
        )
        .execute(&mut *connection)
        .await?;
        stored += done.rows_affected();
    }
    Ok(stored == asked as u64)
}

/// Forgets those that were deleted before this, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM documents WHERE id IN (SELECT id FROM documents WHERE deleted_at <= $1 LIMIT $2)", before, batch)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
