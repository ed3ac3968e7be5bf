//! Light or dark: the system's choice, or the reader's, which a cookie keeps.

use super::Ask;
use super::form::see_other;
use crate::admin::problem::ApiError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

/// Name of the cookie. Scripts may write it too: it says nothing about anyone.
const COOKIE: &str = "hookgate-theme";

/// How a reader wants it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    fn parse(text: &str) -> Self {
        match text {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::Auto,
        }
    }

    /// What the cookie of a request says.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let cookies = headers
            .get_all(header::COOKIE)
            .filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|value| value.split(';'))
            .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
            .map_or(Self::Auto, Self::parse)
    }

    /// The cookie that keeps it for a year; `Auto` removes it.
    fn cookie(self) -> String {
        let (value, age) = match self {
            Self::Auto => ("auto", 0),
            Self::Light => ("light", 31_536_000),
            Self::Dark => ("dark", 31_536_000),
        };
        format!("{COOKIE}={value}; Path=/; Max-Age={age}; SameSite=Lax")
    }
}

/// `POST /theme`: keeps the choice and goes back to the page it was made on.
pub(super) async fn choose(
    ask: Ask,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let form = ask.form(&request, payload).await?;
    let theme = Theme::parse(form.get("theme").unwrap_or(""));
    let mut response = see_other(form.get("back").unwrap_or("/"));
    if let Ok(cookie) = header::HeaderValue::from_str(&theme.cookie()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies() {
        let theme = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, header::HeaderValue::from_static(text));
            Theme::of(&headers)
        };
        assert_eq!(theme("a=b; hookgate-theme=dark"), Theme::Dark);
        assert_eq!(theme("hookgate-theme=\"><b>"), Theme::Auto);
        assert_eq!(theme("xhookgate-theme=dark"), Theme::Auto);
        assert!(Theme::Auto.cookie().contains("Max-Age=0"));
    }
}
