//! What the handler of a page has at hand.

use super::form::Form;
use super::frame::Around;
use super::theme::Theme;
use super::{Loaded, Pages, Which};
use crate::admin::Admin;
use crate::admin::actor::Who;
use crate::admin::api::{self, parameters::Parameters};
use crate::admin::guard::Admitted;
use crate::admin::problem::ApiError;
use crate::config::Config;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::future::{Ready, ready};
use std::sync::Arc;

/// A request for a page: an argument of its handler.
pub(super) struct Ask {
    pub(super) admin: Arc<Admin>,
    pages: Arc<Loaded>,
    theme: Theme,
    /// Who asks; nobody knows who, where that is not needed.
    pub(super) who: Option<Who>,
    /// Whether a session's cookie says so.
    by_session: bool,
    /// Whether the request came straight from this machine.
    pub(super) direct: bool,
    /// Path and query of the request.
    back: String,
    query: String,
    /// The text in the search field.
    q: String,
}

impl FromRequest for Ask {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let admin = request.app_data::<web::Data<Admin>>();
        let pages = request.app_data::<web::Data<Pages>>();
        let (Some(admin), Some(pages)) = (admin, pages) else {
            return ready(Err(ApiError::unavailable("the pages are not set up")));
        };
        let admitted = request.extensions().get::<Admitted>().cloned();
        let by_session = admitted.as_ref().is_some_and(|it| it.by_session);
        let direct = admitted.as_ref().is_some_and(|it| it.direct);
        let back = request.uri().path_and_query();
        ready(Ok(Self {
            admin: Arc::clone(admin),
            pages: pages.loaded(),
            theme: Theme::of(request.headers()),
            who: admitted.and_then(|it| it.who),
            by_session,
            direct,
            back: back.map_or("/", |address| address.as_str()).to_owned(),
            query: request.query_string().to_owned(),
            q: String::new(),
        }))
    }
}

impl Ask {
    /// The running configuration.
    pub(super) fn config(&self) -> Arc<Config> {
        self.admin.config.current()
    }

    /// The query parameters.
    ///
    /// # Errors
    /// 400 for an unknown one, or one that is given twice.
    pub(super) fn parameters(&self, known: &[&str]) -> Result<Parameters, ApiError> {
        Parameters::read(&self.query, known)
    }

    /// Puts a text into the search field.
    pub(super) fn searching(mut self, q: String) -> Self {
        self.q = q;
        self
    }

    /// The fields of a form of ours.
    ///
    /// # Errors
    /// As [`Form::read`].
    pub(super) async fn form(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> Result<Form, ApiError> {
        Form::read(request, payload, &self.pages.form_token).await
    }

    /// Gathers and renders on a blocking thread. `here` is the entry of the navigation.
    ///
    /// # Errors
    /// Those of `gather`; 503 where the page cannot be rendered.
    pub(super) async fn answer<T: Serialize>(
        self,
        template: &'static str,
        here: &'static str,
        gather: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<HttpResponse, ApiError> {
        let html = api::block(move || {
            let page = gather(&self)?;
            // A stranger is told nothing of the gateway.
            let around = match &self.who {
                Some(_) => Around::gather(&self.admin, |name| self.pages.has(name)),
                None => Around::default(),
            };
            let signed_in = self.who.as_ref().filter(|_| self.by_session);
            let signed_in = signed_in.map(Who::words).unwrap_or_default();
            let which = Which {
                template,
                here,
                q: &self.q,
                theme: self.theme,
                back: &self.back,
                signed_in: &signed_in,
            };
            self.pages.render(which, around, page)
        })
        .await?;
        Ok(HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .body(html))
    }
}
