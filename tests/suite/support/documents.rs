//! Documents, and what decides on them.

use super::app::{Actor, Answer, TestApp};
use reqwest::Method;
use serde_json::{Value, json};

impl Actor<'_> {
    /// Makes a document of this classification, in this department. Gives its id.
    pub async fn document(&self, classification: &str, department: Option<&str>) -> String {
        let body = json!({ "title": "Plan", "body": "<p>Open at nine</p>", "classification": classification, "department": department });
        let made = self.post("/v1/documents", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()["id"].as_str().unwrap().to_owned()
    }

    /// Changes a document, whatever its version.
    pub async fn edit(&self, id: &str, change: Value) -> Answer {
        self.edit_if(id, "*", change).await
    }

    /// Changes a document of this version.
    pub async fn edit_if(&self, id: &str, version: &str, change: Value) -> Answer {
        Answer::of(self.request(Method::PATCH, &format!("/v1/documents/{id}")).header("if-match", version).json(&change)).await
    }

    /// Shares a document with an account or a role.
    pub async fn share(&self, id: &str, list: &str, with: &str) -> Answer {
        let mut body = json!({ "viewers": [], "editors": [], "viewer_roles": [], "editor_roles": [] });
        body[list] = json!([with]);
        self.put(&format!("/v1/documents/{id}/shares"), body).await
    }

    /// Ids of the documents on all pages of a list.
    pub async fn documents(&self, query: &str) -> Vec<String> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/v1/documents?{query}{cursor}")).await;
            assert_eq!(page.status, 200, "{}", page.text);
            found.extend(page.json()["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            let Some(next) = page.json()["next_cursor"].as_str().map(str::to_owned) else { return found };
            cursor = format!("&cursor={next}");
        }
    }
}

impl TestApp {
    /// A member of a department.
    pub async fn colleague(&self, email: &str, department: &str) -> Actor<'_> {
        let member = self.member(email).await;
        self.place(email, department).await;
        member
    }

    /// Who answers for a department.
    pub async fn manager(&self, email: &str, department: &str) -> Actor<'_> {
        let manager = self.member_with(email, "manager").await;
        self.place(email, department).await;
        manager
    }

    /// As an administrator places somebody.
    pub async fn place(&self, email: &str, department: &str) {
        let placed = sqlx::query("UPDATE users SET department = $2 WHERE email = $1").bind(email).bind(department);
        assert_eq!(placed.execute(&self.database.pool).await.unwrap().rows_affected(), 1);
    }

    /// As if all cookie sessions of an account had shown a second factor, or had not.
    pub async fn assure(&self, email: &str, level: i16) {
        let raised = sqlx::query(
            "UPDATE sessions SET assurance = $2, aal2_until = now() + interval '99 years' WHERE user_id = (SELECT id FROM users WHERE email = $1)",
        )
        .bind(email)
        .bind(level);
        assert!(raised.execute(&self.database.pool).await.unwrap().rows_affected() > 0);
    }
}
