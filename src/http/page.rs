//! The status page: for people, in any browser, with nothing but what the last look saw.
//!
//! In: the published look and the time. Out: HTML, and a stream that sends the changing part of it again when it changed. The values on it
//! are made by [`view`] and the templates in `templates/` only place them. It loads nothing from anywhere and runs no script but its own.

pub mod stream;
pub mod view;

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{Source, routes};
use view::Page;

const STYLE: &str = include_str!("../../templates/page.css");
const SCRIPT: &str = include_str!("../../templates/page.js");

/// Names what the page may do: the style and the script that are in it, and asking this server for more of itself.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::from_str(&policy).expect("it is ASCII")
});

/// The whole document.
#[derive(Template)]
#[template(path = "page.html")]
struct Document<'a> {
    page: &'a Page,
    looked: &'a str,
    style: &'static str,
    script: &'static str,
    version: &'static str,
    links: &'a [&'static str],
}

/// What changes on it, without when the agent looked.
#[derive(Template)]
#[template(path = "main.html")]
struct Main<'a> {
    page: &'a Page,
    version: &'static str,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `/`
pub async fn answer(State(source): State<Source>) -> Response {
    let html = document(&source, Instant::now(), SystemTime::now());
    let headers: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, routes::HTML),
        (CONTENT_SECURITY_POLICY, POLICY.clone()),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::OK, headers, html).into_response()
}

fn document(source: &Source, now: Instant, clock: SystemTime) -> String {
    let latest = source.latest.borrow();
    let page = Page::of(&latest, &source.passes.findings(), now, clock.into());
    let looked = view::looked(&latest);
    let links: Vec<&str> = routes::PATHS.into_iter().filter(|path| !matches!(*path, "/" | stream::PATH)).collect();
    Document { page: &page, looked: &looked, style: STYLE, script: SCRIPT, version: VERSION, links: &links }
        .render()
        .expect("writing to memory cannot fail")
}

/// The part of the page that changes.
fn main(page: &Page) -> String {
    Main { page, version: VERSION }.render().expect("writing to memory cannot fail")
}

#[cfg(test)]
mod tests;
