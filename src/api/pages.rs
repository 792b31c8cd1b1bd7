//! Serves the pages that links in letters lead to, and the viewer of the API document. Reading them changes nothing.
//! Practice 5.csp.

use crate::{
    api::{
        document,
        oauth::ProviderName,
        shapes::{FileContents, LinkAsset, LinkPage, ViewerFile},
    },
    edge::{
        guard::Anyone,
        valid::{Segment, Valid},
    },
    error::{ApiError, ErrorCode},
    pages::{self, File, errors::ErrorEntry},
};
use actix_web::{
    HttpResponse,
    body::SizedStream,
    http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, LOCATION},
    web::Path,
};
use bytes::Bytes;
use futures_util::stream;
use std::{borrow::Cow, sync::Arc};
use utoipa_swagger_ui::{Config, SwaggerFile};

/// Longest name of a file, in bytes.
const MAX_FILE_NAME: usize = 64;

/// A file's name in a path: no folders, no hidden files.
pub struct FileName(String);

impl Segment for FileName {
    fn parse(segment: &str) -> Option<Self> {
        let is_name = segment.len() <= MAX_FILE_NAME && segment.starts_with(|c: char| c.is_ascii_alphanumeric());
        let is_plain = segment.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        (is_name && is_plain).then(|| Self(segment.to_owned()))
    }
}

/// The page behind a link in a letter
///
/// It takes the token out of the link and posts it on the person's click: a scanner that opens links spends nothing.
#[utoipa::path(get, path = "/go/{page}", tag = "pages", params(("page" = LinkPage, Path, description = "Which link")),
    responses((status = 200, description = "A page", content_type = "text/html", body = FileContents)))]
pub async fn link(_: Anyone, page: Valid<Path<FileName>>) -> Result<HttpResponse, ApiError> {
    let html = pages::link_page(&page.0.0).ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").insert_header((CONTENT_SECURITY_POLICY, pages::CSP)).body(html))
}

/// The page that providers send browsers back to
///
/// It takes what the provider said out of the address and posts it: reading the page signs nobody in.
#[utoipa::path(get, path = "/go/oauth/{provider}", tag = "pages", params(("provider" = ProviderName, Path, description = "The provider")),
    responses((status = 200, description = "A page", content_type = "text/html", body = FileContents)))]
pub async fn oauth(_: Anyone, _provider: Valid<Path<ProviderName>>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").insert_header((CONTENT_SECURITY_POLICY, pages::CSP)).body(pages::oauth_page())
}

/// A script or style of a page
#[utoipa::path(get, path = "/go/assets/{name}", tag = "pages", params(("name" = LinkAsset, Path, description = "File name")),
    responses((status = 200, description = "A script or style", content((FileContents = "text/css"), (FileContents = "text/javascript")))))]
pub async fn asset(_: Anyone, name: Valid<Path<FileName>>) -> Result<HttpResponse, ApiError> {
    let File { media_type, text } = pages::asset(&name.0.0).ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    Ok(HttpResponse::Ok().content_type(media_type).insert_header((CONTENT_SECURITY_POLICY, pages::CSP)).body(text))
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "pages",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)))]
pub async fn openapi(_: Anyone) -> HttpResponse {
    HttpResponse::Ok().json(document())
}

/// To the viewer of this document
#[utoipa::path(get, path = "/docs", tag = "pages", responses((status = 308, description = "To /docs/index.html", headers(("Location")))))]
pub async fn docs(_: Anyone) -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/index.html")).finish()
}

/// What each error code means
///
/// Every refusal's `docs` leads here.
#[utoipa::path(get, path = "/docs/errors", tag = "pages",
    responses((status = 200, description = "A page", content_type = "text/html", body = FileContents)))]
pub async fn errors(_: Anyone) -> HttpResponse {
    let codes = ErrorCode::ALL.iter().map(|code| ErrorEntry {
        name: code.name(),
        anchor: code.anchor(),
        status: code.status().as_u16(),
        message: code.message(),
        about: code.about(),
        remedy: code.remedy(),
    });
    HttpResponse::Ok().content_type("text/html; charset=utf-8").insert_header((CONTENT_SECURITY_POLICY, pages::CSP)).body(pages::errors::page(codes))
}

/// The viewer draws its icons as data images. Its layout with a top bar would need inline styles.
const VIEWER_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Bytes of a file that are handed to a connection at once.
const PIECE: usize = 16 * 1024;

/// A file of the viewer of this document
#[utoipa::path(get, path = "/docs/{file}", tag = "pages", params(("file" = ViewerFile, Path, description = "File name")),
    responses((status = 200, description = "A file", content((FileContents = "text/html"), (FileContents = "text/css"), (FileContents = "text/javascript"), (FileContents = "image/png")))))]
pub async fn docs_file(_: Anyone, file: Valid<Path<FileName>>) -> Result<HttpResponse, ApiError> {
    let config = Config::from("/openapi.json").use_base_layout().validator_url("none").with_credentials(true);
    let SwaggerFile { bytes, content_type, gzpipped: is_compressed, .. } = utoipa_swagger_ui::serve(&file.0.0, Arc::new(config))
        .map_err(|error| ApiError::internal(anyhow::anyhow!("{error}")))?
        .ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    let mut answer = HttpResponse::Ok();
    answer.content_type(content_type).insert_header((CONTENT_SECURITY_POLICY, VIEWER_CSP));
    if is_compressed {
        answer.insert_header((CONTENT_ENCODING, "gzip"));
    }
    // in pieces: a client that asks and does not read must not hold the whole file in memory
    let bytes = match bytes {
        Cow::Borrowed(compiled_in) => Bytes::from_static(compiled_in),
        Cow::Owned(made) => Bytes::from(made),
    };
    let length = u64::try_from(bytes.len()).map_err(ApiError::internal)?;
    let pieces = (0..bytes.len()).step_by(PIECE).map(move |from| Ok::<_, std::convert::Infallible>(bytes.slice(from..bytes.len().min(from + PIECE))));
    Ok(answer.body(SizedStream::new(length, stream::iter(pieces.collect::<Vec<_>>()))))
}
