//! The pages: rendered on the server by minijinja from `ui/`, which is embedded; no script is needed.
//!
//! The environment is its own, with HTML escaping on for every value: what senders sent is only ever
//! text. Assets have the hash of their content in their name and are kept by browsers for good.

mod delivery;
mod docs;
mod event;
mod feed;
mod markdown;
mod parts;
mod show;
mod tree;

use super::problem::ApiError;
use super::{Admin, api, at, get};
use crate::config::Config;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use include_dir::{Dir, include_dir};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

static UI: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/ui");

/// Templates and assets, made once at the start.
#[derive(Debug)]
pub(crate) struct Pages {
    environment: Environment<'static>,
    assets: Vec<Asset>,
}

#[derive(Debug)]
struct Asset {
    /// `style.1a2b3c4d.css`.
    name: String,
    media_type: &'static str,
    content: String,
}

/// What the frame around every page shows.
#[derive(Debug, Serialize)]
struct Frame<'a, T: Serialize> {
    style: &'a str,
    version: &'static str,
    /// Which entry of the navigation this is.
    here: &'static str,
    /// The text in the search field.
    q: &'a str,
    /// A refused newer configuration, as one line.
    refused: Option<String>,
    /// Webhooks whose learned secret is pending.
    pending: Vec<String>,
    page: T,
}

pub(super) fn configure(service: &mut web::ServiceConfig) {
    service
        .service(at("/", get().to(feed::page)))
        .service(at("/deliveries/{id}", get().to(delivery::page)))
        .service(at("/events/{id}", get().to(event::page)))
        .service(at("/docs/errors", get().to(docs::list)))
        .service(at("/docs/search", get().to(docs::search)))
        .service(at("/docs/errors/{code}", get().to(docs::page)))
        .service(at("/ui/{name}", get().to(asset)));
}

fn hashed(stem: &str, extension: &str, content: &str) -> String {
    let digest = hex::encode(Sha256::digest(content.as_bytes()));
    format!("{stem}.{}.{extension}", digest.get(..12).unwrap_or(""))
}

fn embedded(name: &str) -> &'static str {
    UI.get_file(name)
        .and_then(|file| file.contents_utf8())
        .unwrap_or("")
}

impl Pages {
    /// Compiles the embedded templates. One that does not compile is told in the log and by its page.
    pub(crate) fn new() -> Self {
        let sprite = embedded("sprite.svg").to_owned();
        let sprite_name = hashed("sprite", "svg", &sprite);
        let style = embedded("style.css").replace("sprite.svg", &sprite_name);
        let assets = vec![
            Asset {
                name: hashed("style", "css", &style),
                media_type: "text/css; charset=utf-8",
                content: style,
            },
            Asset {
                name: sprite_name,
                media_type: "image/svg+xml",
                content: sprite,
            },
        ];
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_formatter(|out, _, value| show::write_escaped(out, value));
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        // The default delimiters are valid.
        environment.set_syntax(syntax.unwrap_or_default());
        show::add_filters(&mut environment);
        for file in UI.files() {
            let (Some(name), Some(text)) = (file.path().to_str(), file.contents_utf8()) else {
                continue;
            };
            if name.ends_with(".html")
                && let Err(error) = environment.add_template(name, text)
            {
                tracing::error!(template = name, "a page does not compile: {error:#}");
            }
        }
        Self {
            environment,
            assets,
        }
    }

    fn style(&self) -> String {
        let style = self.assets.first();
        style.map_or_else(String::new, |asset| format!("/ui/{}", asset.name))
    }

    fn render<T: Serialize>(
        &self,
        template: &str,
        here: &'static str,
        q: &str,
        (refused, pending): (Option<String>, Vec<String>),
        page: T,
    ) -> Result<String, ApiError> {
        let frame = Frame {
            style: &self.style(),
            version: env!("CARGO_PKG_VERSION"),
            here,
            q,
            refused,
            pending,
            page,
        };
        let rendered = self
            .environment
            .get_template(template)
            .and_then(|template| template.render(Serde(&frame)));
        rendered.map_err(|error| {
            tracing::error!(template, "a page cannot be rendered: {error:#}");
            ApiError::unavailable("the page cannot be rendered; the log says why")
        })
    }

    /// The page of an error; none if even that cannot be rendered.
    pub(super) fn error(&self, error: &ApiError) -> Option<String> {
        #[derive(Serialize)]
        struct ErrorPage<'a> {
            status: u16,
            code: String,
            title: &'static str,
            detail: &'a str,
            errors: &'a [super::problem::Item],
        }
        let page = ErrorPage {
            status: error.status.as_u16(),
            code: error.code.to_string(),
            title: error.code.title(),
            detail: &error.detail,
            errors: &error.errors,
        };
        self.render("error.html", "", "", (None, Vec::new()), page)
            .ok()
    }
}

/// What every page handler has at hand.
struct Ask {
    admin: std::sync::Arc<Admin>,
    pages: std::sync::Arc<Pages>,
}

impl Ask {
    fn new(admin: &web::Data<Admin>, pages: &web::Data<Pages>) -> Self {
        Self {
            admin: std::sync::Arc::clone(admin),
            pages: std::sync::Arc::clone(pages),
        }
    }

    fn config(&self) -> std::sync::Arc<Config> {
        self.admin.config.current()
    }

    /// Gathers and renders on a blocking thread.
    async fn answer<T: Serialize>(
        self,
        template: &'static str,
        here: &'static str,
        q: String,
        gather: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<HttpResponse, ApiError> {
        let html = api::block(move || {
            let page = gather(&self)?;
            let refused = super::health::refusal(&self.admin.config.last());
            let notices = (refused, self.admin.learner.pending());
            self.pages.render(template, here, &q, notices, page)
        })
        .await?;
        Ok(HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .body(html))
    }
}

/// `GET /ui/{name}`: an asset by its hashed name.
async fn asset(request: HttpRequest, pages: web::Data<Pages>) -> Result<HttpResponse, ApiError> {
    let name = api::segment(&request, "name");
    let found = pages.assets.iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(|| ApiError::not_found("there is no such asset"))?;
    Ok(HttpResponse::Ok()
        .content_type(asset.media_type)
        .insert_header((
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, max-age=31536000, immutable"),
        ))
        .body(asset.content.clone()))
}
