//! Paths and their answers. `docs/http.md` is the contract.

use std::time::Instant;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::guard::Guard;
use super::readiness::{self, Verdict};
use super::{Source, page};
use crate::clock::rfc3339;
use crate::metrics::{self, openmetrics};
use crate::status::Status;
use crate::status::latest::Latest;

/// Every path there is.
pub const PATHS: [&str; 8] =
    ["/", page::stream::PATH, "/livez", "/readyz", "/primary", "/replica", "/api/v1/status", "/metrics"];

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The media type of the page.
pub const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SCRAPE: HeaderValue = HeaderValue::from_static(metrics::CONTENT_TYPE);
const OPEN_SCRAPE: HeaderValue = HeaderValue::from_static(openmetrics::CONTENT_TYPE);

/// All paths, answered from one source.
pub fn router(source: Source, guard: Guard) -> Router {
    let [root, events, livez, readyz, primary, replica, status, scrape] = PATHS;
    Router::new()
        .route(root, get(page::answer))
        .route(events, get(page::stream::answer))
        .route(livez, get(async |State(source): State<Source>| probe(&source, readiness::alive)))
        .route(readyz, get(async |State(source): State<Source>| probe(&source, readiness::ready)))
        .route(primary, get(async |State(source): State<Source>, asked| about(&source, asked, readiness::primary)))
        .route(replica, get(async |State(source): State<Source>, asked| about(&source, asked, readiness::replica)))
        .route(status, get(self::status))
        .route(scrape, get(self::scrape))
        .fallback(unknown_path)
        .method_not_allowed_fallback(async || error(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered"))
        .layer(from_fn_with_state(guard, super::guard::check))
        .layer(map_response(async |mut response: Response| {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }))
        .with_state(source)
}

/// What can be asked of `/primary` and `/replica`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    node: Option<String>,
}

/// `/api/v1/status`: the document of `status --json`, and how old it is.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    status: &'a Status,
    observed_at: String,
    age_seconds: f64,
}

async fn status(State(source): State<Source>) -> Response {
    let latest = source.latest.borrow();
    let Some(look) = &latest.look else {
        let because = latest.failure.as_deref().unwrap_or("the first look is not done");
        return error(StatusCode::SERVICE_UNAVAILABLE, &format!("nothing was seen yet: {because}"));
    };
    let age_seconds = look.age(Instant::now()).as_secs_f64();
    let document = Document { status: &look.status, observed_at: rfc3339(look.at), age_seconds };
    json(StatusCode::OK, &document)
}

async fn scrape(State(source): State<Source>, headers: HeaderMap) -> Response {
    let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let (latest, collected) = (source.latest.borrow(), source.collected.borrow());
    let mut response = if openmetrics::is_preferred(&accept.join(",")) {
        let families = metrics::families(&source.passes, &latest, &collected, Instant::now());
        answer(StatusCode::OK, OPEN_SCRAPE, openmetrics::encode(&families))
    } else {
        answer(StatusCode::OK, SCRAPE, metrics::scrape(&source.passes, &latest, &collected, Instant::now()))
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

async fn unknown_path(uri: Uri) -> Response {
    error(StatusCode::NOT_FOUND, &format!("there is no {}; there are {}", uri.path(), PATHS.join(" ")))
}

fn probe(source: &Source, ask: fn(&Latest, Instant) -> Verdict) -> Response {
    tell(ask(&source.latest.borrow(), Instant::now()))
}

fn about(
    source: &Source,
    asked: Result<Query<Asked>, QueryRejection>,
    ask: fn(&Latest, Instant, Option<&str>) -> Verdict,
) -> Response {
    match asked {
        Ok(Query(Asked { node })) => tell(ask(&source.latest.borrow(), Instant::now(), node.as_deref())),
        Err(rejected) => error(StatusCode::BAD_REQUEST, &rejected.body_text()),
    }
}

fn tell(verdict: Verdict) -> Response {
    match verdict {
        Verdict::Yes(text) => answer(StatusCode::OK, TEXT, format!("{text}\n")),
        Verdict::No(text) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{text}\n")),
        Verdict::NoSuchNode(text) => error(StatusCode::NOT_FOUND, &text),
    }
}

/// An error in the shape the command line uses with `--json`.
pub fn error(code: StatusCode, message: &str) -> Response {
    json(code, &serde_json::json!({ "error": { "message": message } }))
}

fn json(code: StatusCode, document: &impl Serialize) -> Response {
    let text = serde_json::to_string(document).expect("keys are text");
    answer(code, JSON, text + "\n")
}

fn answer(code: StatusCode, media_type: HeaderValue, body: String) -> Response {
    (code, [(CONTENT_TYPE, media_type)], body).into_response()
}
