//! For those who start and stop the service. `livez`: the process answers. `readyz`: it can do its work. Neither says more.

use crate::{api::shapes::HealthStatus, edge::guard::Anyone, error::ApiError, platform::db, state::State};
use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;

/// How it is.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(value_type = HealthStatus)]
    status: &'static str,
}

/// Is the process alive
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "It answers", body = Health)))]
pub async fn livez(_: Anyone) -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Can it serve
///
/// Asks the database.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, description = "It can", body = Health)))]
pub async fn readyz(_: Anyone, state: Data<State>) -> Result<HttpResponse, ApiError> {
    db::check_schema(&state.pool).await.map_err(ApiError::unavailable)?;
    Ok(HttpResponse::Ok().json(Health { status: "ok" }))
}
