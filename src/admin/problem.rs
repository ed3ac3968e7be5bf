//! RFC 9457 problem documents: the one form of every error that the admin listener gives.

use crate::codes::{self, Code};
use crate::config::Finding;
use crate::feed::FeedError;
use crate::log::LogError;
use crate::model::{Place, Problem};
use crate::query::QueryError;
use crate::state::StateError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use std::fmt;

/// Media type of a problem document.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// An error of the API or of a page: what the client is told, with its status.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    /// One sentence or two: what is wrong, and what to do where that is short.
    pub(crate) detail: String,
    pub(crate) errors: Vec<Item>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// One thing that is wrong, with its place in the request or in a file.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Item {
    /// JSON pointer into the request body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// Name of the query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Code>,
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
}

/// The document itself.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: Code,
    detail: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    instance: &'a str,
    #[serde(skip_serializing_if = "<[Item]>::is_empty")]
    errors: &'a [Item],
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// 400: the request to the API is not valid.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, codes::API_INVALID, detail)
    }

    /// 404.
    /// 409: not as things are.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, codes::API_CONFLICT, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, codes::API_NOT_FOUND, detail)
    }

    /// 400 about one query parameter.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>, help: Option<String>) -> Self {
        let detail = detail.into();
        Self::invalid(format!("parameter `{name}`: {detail}")).with(Item {
            parameter: Some(name.to_owned()),
            detail,
            help,
            ..Item::default()
        })
    }

    /// 400 about a search query, with the column.
    pub(crate) fn query(name: &str, error: QueryError) -> Self {
        Self::invalid(format!(
            "the query is not valid at column {}: {}",
            error.column, error.message
        ))
        .with(Item {
            parameter: Some(name.to_owned()),
            detail: error.message,
            column: Some(u32::try_from(error.column).unwrap_or(u32::MAX)),
            help: error.help,
            ..Item::default()
        })
    }

    /// 422 about what an owner wrote: a template, a configuration.
    pub(crate) fn unprocessable(problem: Problem, pointer: Option<&str>) -> Self {
        let error = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            problem.code,
            problem.message.clone(),
        );
        error.with(Item::of_problem(problem, pointer))
    }

    /// 422 with every error of a configuration that was refused.
    pub(crate) fn refused_configuration(findings: Vec<Finding>) -> Self {
        let code = findings
            .first()
            .map_or(codes::API_INVALID, |finding| finding.problem.code);
        let mut error = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            code,
            format!(
                "the configuration was refused with {} finding{}; the running one stays",
                findings.len(),
                if findings.len() == 1 { "" } else { "s" }
            ),
        );
        error.errors = findings
            .into_iter()
            .map(|finding| Item::of_problem(finding.problem, None))
            .collect();
        error
    }

    /// 503: a store does not answer.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            codes::API_UNAVAILABLE,
            detail,
        )
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// What a bare status from the framework means.
    pub(crate) fn of_status(status: StatusCode, method: &str, path: &str) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(format!("there is nothing at `{path}`")),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                codes::API_METHOD,
                format!("`{path}` does not take {method}; the Allow header says what it takes"),
            ),
            _ if status.is_server_error() => {
                let mut error = Self::unavailable("the request could not be handled");
                error.status = status;
                error
            }
            _ => Self::new(status, codes::API_INVALID, "the request is not valid"),
        }
    }

    pub(crate) fn with(mut self, item: Item) -> Self {
        self.errors.push(item);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The document as JSON; `instance` is the path that was asked for.
    pub(crate) fn to_json(&self, instance: &str) -> String {
        let document = Document {
            r#type: format!("/docs/errors/{}", self.code),
            title: self.code.title(),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            instance,
            errors: &self.errors,
        };
        // Strings and numbers only: this cannot fail.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

impl Item {
    fn of_problem(problem: Problem, pointer: Option<&str>) -> Self {
        let Place {
            file,
            line,
            column,
            end_column,
            source,
        } = match problem.place {
            Some(place) => place,
            None => {
                return Self {
                    pointer: pointer.map(str::to_owned),
                    code: Some(problem.code),
                    detail: problem.message,
                    help: problem.help,
                    ..Self::default()
                };
            }
        };
        Self {
            pointer: pointer.map(str::to_owned),
            parameter: None,
            code: Some(problem.code),
            detail: problem.message,
            file: Some(file),
            line: Some(line),
            column: Some(column),
            end_column,
            source,
            help: problem.help,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.content_type(MEDIA_TYPE);
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response.body(self.to_json(""))
    }
}

impl From<FeedError> for ApiError {
    fn from(error: FeedError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        if let LogError::Damaged { .. } = error {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Self::new(status, error.code(), error.to_string());
        }
        let mut answer = Self::unavailable(error.to_string());
        answer.code = error.code();
        answer
    }
}
