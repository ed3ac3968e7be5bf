//! The pages: rendered on the server by minijinja from `ui/`, which is embedded; no script is needed.
//!
//! The environment is its own, with HTML escaping on for every value: what senders sent is only ever
//! text. Assets have one address with the hash of them all, and browsers keep them for good.
//!
//! # A new page
//! 1. A struct with what it shows: `#[derive(Serialize)] struct SinksPage { … }`. Times, sizes and ids get
//!    their look in Rust ([`show`]) or by the filters `short`, `thousands`, `size`, `code`, `in_path`.
//! 2. A template, `ui/sinks.html`, that begins with `{% extends "base.html" %}`, fills the blocks `title`
//!    and `main` (one `h1`, inside of `.head`) and reads the struct as `page`. `{% block wide %}` widens it,
//!    `{% block query %}` puts fields into the search form. Macros of all pages are in `parts.html`.
//! 3. A route in [`configure`] and its handler:
//!    ```ignore
//!    pub(super) async fn page(ask: Ask) -> Result<HttpResponse, ApiError> {
//!        ask.answer("sinks.html", "sinks", |ask| Ok(SinksPage { … })).await
//!    }
//!    ```
//!    The closure runs on a thread that may block; `"sinks"` marks the entry of the navigation. The entries
//!    are in [`frame`]: one is shown as soon as its template exists, and templates ask the same with
//!    `{% if has("webhook.html") %}` before they link to a page.
//! 4. A change is a form: `<form method="post" action="…">{{ form_token() }} …`, handled with
//!    [`Ask::form`] (which checks the token) and answered with [`form::see_other`].
//! 5. A script is a module `ui/<behaviour>.js`: every page loads all of them, so that each looks for its
//!    `data-` attribute and else does nothing. `import "./other.js"` works. Buttons that only a script serves
//!    have `data-copy` (the text to copy) or `data-script`, and are not shown where none runs. A link or button
//!    with `<kbd data-script>r</kbd>` in it is what that key presses. The feed exchanges its `main` in place:
//!    a script that looks for something there does so again at `hookgate:page` (and at `hookgate:rows`, when
//!    rows were added), or listens on the document.

mod advice;
mod ask;
mod assets;
mod audit;
mod catalogue;
mod dead_letters;
mod delivery;
mod docs;
mod event;
mod feed;
mod form;
mod frame;
mod markdown;
mod playground;
mod settings;
mod show;
mod sign_in;
mod sinks;
mod summary;
mod theme;
mod tree;
mod webhooks;

use self::ask::Ask;
use self::assets::Assets;
use self::form::{FormToken, TOKEN_FIELD};
use self::frame::{Around, Frame};
use self::theme::Theme;
use super::problem::ApiError;
use super::{api, at, get};
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use include_dir::{Dir, include_dir};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior, Value};
use serde::Serialize;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

static UI: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/ui");

pub(super) fn configure(service: &mut web::ServiceConfig) {
    service
        .service(at("/", get().to(feed::page)))
        .service(at("/deliveries/{id}", get().to(delivery::page)))
        .service(at("/events/{id}", get().to(event::page)))
        .service(at("/webhooks", get().to(webhooks::page)))
        .service(at("/webhooks/{name}", get().to(webhooks::one::page)))
        .service(
            at("/webhooks/{name}/playground", get().to(playground::page))
                .route(web::post().to(playground::run)),
        )
        .service(at(
            "/ui/playground/{name}",
            web::post().to(playground::parts),
        ))
        .service(at("/catalogue", get().to(catalogue::page)))
        .service(at("/catalogue/{provider}", get().to(catalogue::one)))
        .service(at(
            "/deliveries/{id}/replay",
            web::post().to(delivery::replay),
        ))
        .service(at("/dead-letters", get().to(dead_letters::page)))
        .service(at(
            "/dead-letters/retry",
            web::post().to(dead_letters::retry),
        ))
        .service(at(
            "/dead-letters/discard",
            web::post().to(dead_letters::discard),
        ))
        .service(at("/sinks", get().to(sinks::list)))
        .service(at("/sinks/{name}", get().to(sinks::page)))
        .service(at("/sinks/{name}/test", web::post().to(sinks::test)))
        .service(at("/sinks/{name}/hold", web::post().to(sinks::hold)))
        .service(at("/sinks/{name}/resume", web::post().to(sinks::resume)))
        .service(at("/docs/errors", get().to(docs::list)))
        .service(at("/docs/search", get().to(docs::search)))
        .service(at("/docs/errors/{code}", get().to(docs::page)))
        .service(at("/settings", get().to(settings::page)))
        .service(at("/settings/tokens", web::post().to(settings::create)))
        .service(at(
            "/settings/tokens/{id}/revoke",
            web::post().to(settings::revoke),
        ))
        .service(at("/settings/reload", web::post().to(settings::reload)))
        .service(at("/audit", get().to(audit::page)))
        .service(at("/sign-in", get().to(sign_in::page)).route(web::post().to(sign_in::sign_in)))
        .service(at("/sign-out", web::post().to(sign_in::sign_out)))
        .service(at("/theme", web::post().to(theme::choose)))
        .service(at("/ui/rows", get().to(feed::rows)))
        .service(at("/ui/{hash}/{name}", get().to(asset)));
}

/// Templates and assets: those that are built in, or a folder's, read again at every request.
#[derive(Debug)]
pub(crate) struct Pages {
    built_in: Arc<Loaded>,
    folder: Option<PathBuf>,
    form_token: Arc<FormToken>,
}

/// One version of them, compiled.
#[derive(Debug)]
struct Loaded {
    environment: Environment<'static>,
    assets: Assets,
    form_token: Arc<FormToken>,
}

/// Which page is shown to whom.
#[derive(Debug, Clone, Copy)]
struct Which<'a> {
    template: &'a str,
    here: &'static str,
    q: &'a str,
    theme: Theme,
    back: &'a str,
    signed_in: &'a str,
}

impl Pages {
    /// Compiles the templates. One that does not compile is told in the log and by its page.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        let form_token = Arc::new(FormToken::new());
        let mut files = Vec::new();
        embedded(&UI, &mut files);
        Self {
            built_in: Arc::new(Loaded::of(files, Arc::clone(&form_token))),
            folder,
            form_token,
        }
    }

    /// Those that hold now; reads the folder, if there is one.
    fn loaded(&self) -> Arc<Loaded> {
        let Some(folder) = &self.folder else {
            return Arc::clone(&self.built_in);
        };
        let mut files = Vec::new();
        read_folder(folder, "", &mut files);
        Arc::new(Loaded::of(files, Arc::clone(&self.form_token)))
    }

    /// The page of an error; none if even that cannot be rendered. It knows nothing of the gateway: who sees
    /// it may be a stranger.
    pub(super) fn error(&self, request: &HttpRequest, error: &ApiError) -> Option<String> {
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
        let which = Which {
            template: "error.html",
            here: "",
            q: "",
            theme: Theme::of(request.headers()),
            back: "/",
            signed_in: "",
        };
        self.loaded().render(which, Around::default(), page).ok()
    }
}

/// The files of an embedded folder, by their path in it.
fn embedded(folder: &'static Dir<'static>, files: &mut Vec<(String, Cow<'static, str>)>) {
    for file in folder.files() {
        if let (Some(name), Some(text)) = (file.path().to_str(), file.contents_utf8()) {
            files.push((name.to_owned(), Cow::Borrowed(text)));
        }
    }
    for inner in folder.dirs() {
        embedded(inner, files);
    }
}

/// The same of a folder on disk, for those who work on the pages.
fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<(String, Cow<'static, str>)>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        tracing::warn!(folder = %folder.display(), "the folder of the pages cannot be read");
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if path.is_dir() && prefix.len() < 64 {
            read_folder(&path, &format!("{prefix}{name}/"), files);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            files.push((format!("{prefix}{name}"), Cow::Owned(text)));
        }
    }
}

impl Loaded {
    fn of(files: Vec<(String, Cow<'static, str>)>, form_token: Arc<FormToken>) -> Self {
        let assets = Assets::of(&files);
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
        environment.add_function("has", |state: &State<'_, '_>, template: &str| {
            state.env().get_template(template).is_ok()
        });
        let field = format!(
            "<input type=\"hidden\" name=\"{TOKEN_FIELD}\" value=\"{}\">",
            form_token.text()
        );
        environment.add_function("form_token", move || Value::from_safe_string(field.clone()));
        for (name, text) in files {
            if name.ends_with(".html")
                && let Err(error) = environment.add_template_owned(name.clone(), text)
            {
                tracing::error!(template = name, "a page does not compile: {error:#}");
            }
        }
        Self {
            environment,
            assets,
            form_token,
        }
    }

    /// Whether there is a template of this name.
    fn has(&self, template: &str) -> bool {
        self.environment.get_template(template).is_ok()
    }

    fn render<T: Serialize>(
        &self,
        which: Which<'_>,
        around: Around,
        page: T,
    ) -> Result<String, ApiError> {
        let template = which.template;
        let frame = Frame {
            ui: &self.assets.base,
            modules: &self.assets.modules,
            version: env!("CARGO_PKG_VERSION"),
            here: which.here,
            q: which.q,
            theme: which.theme,
            back: which.back,
            signed_in: which.signed_in,
            nav: frame::navigation(&around, |name| self.has(name)),
            around,
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
}

/// `GET /ui/{hash}/{name}`: an asset.
async fn asset(request: HttpRequest, pages: web::Data<Pages>) -> Result<HttpResponse, ApiError> {
    let loaded = pages.loaded();
    let (hash, name) = (
        api::segment(&request, "hash"),
        api::segment(&request, "name"),
    );
    let found = loaded.assets.find(hash, name);
    let asset = found.ok_or_else(|| ApiError::not_found("there is no such asset"))?;
    Ok(HttpResponse::Ok()
        .content_type(asset.media_type)
        .insert_header((
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, max-age=31536000, immutable"),
        ))
        .body(asset.content.clone().into_owned()))
}
