//! Single expressions: `when`, `delivery_key`.

use super::input::Input;
use super::rewrite::RewrittenExpression;
use super::template::used_names;
use super::{Scope, aliases, env, names, problem, rewrite, text, undefined};
use crate::codes;
use crate::model::{Place, Problem};
use minijinja::Value;
use std::collections::HashSet;

/// What is put before an expression, so that it is read as one of a template.
const OPEN: &str = "{{ ";

/// A compiled expression: `when`, `delivery_key`.
#[derive(Debug)]
pub struct Expression {
    file: Box<str>,
    source: Box<str>,
    rewritten: Box<RewrittenExpression>,
    inner: minijinja::Expression<'static, 'static>,
    used: HashSet<String>,
    /// Where its text begins in the file that holds it.
    origin: Option<Box<Place>>,
}

impl Expression {
    /// Compiles an expression such as `body.type == 'order.created'`. `file` is its name in errors.
    ///
    /// # Errors
    /// Syntax, with the column in the expression's text.
    pub fn compile(file: &str, source: &str) -> Result<Self, Problem> {
        names::check_expression(file, source)?;
        let rewritten = rewrite::operators_of_expression(source);
        let inner = env::base()
            .compile_expression_owned(rewritten.text().to_owned())
            .map_err(|error| {
                let original = |range| rewritten.original_span(range);
                problem::of_rewritten(&error, file, source, codes::TEMPLATE_SYNTAX, &original)
            })?;
        Ok(Self {
            file: file.into(),
            source: source.into(),
            rewritten: Box::new(rewritten),
            inner,
            used: used_names(source),
            origin: None,
        })
    }

    /// With its text in a file, from this place on: errors name places there.
    #[must_use]
    pub fn from_place(mut self, origin: Place) -> Self {
        self.origin = Some(Box::new(origin));
        self
    }

    /// What is wrong with it that is no error: names that it reads and that nothing gives.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let written = self.written();
        let unknown = aliases::unknown_names("", &written, &[]);
        let back = |mut problem: Problem| {
            problem.place = problem.place.map(|place| {
                let skip = u32::try_from(OPEN.len()).unwrap_or(0);
                let back =
                    |column: u32| column.saturating_sub(if place.line == 1 { skip } else { 0 });
                self.situated(Place {
                    file: self.file.to_string(),
                    column: back(place.column),
                    end_column: place.end_column.map(back),
                    source: self
                        .source
                        .lines()
                        .nth(place.line as usize - 1)
                        .map(str::to_owned),
                    ..place
                })
            });
            problem
        };
        unknown.into_iter().map(back).collect()
    }

    /// As a template would print it.
    fn written(&self) -> String {
        format!("{OPEN}{} }}}}", self.source)
    }

    /// Names that it reads, that the request has not, and that are one or two letters away from what is there.
    #[must_use]
    pub fn slips(&self, scope: &Scope<'_>) -> Vec<Problem> {
        let input = Input::new(scope);
        let context = Value::from_object(input.context(&self.used));
        let written = self.written();
        let reads = undefined::all_reads(&written);
        let problems = undefined::problems(&context, &reads, "", &written);
        let near = |problem: &Problem| {
            let help = problem.help.as_deref();
            help.is_some_and(|help| help.starts_with("Did you mean"))
        };
        let slips = problems.into_iter().filter(near);
        slips.map(|problem| problem.at(self.place())).collect()
    }

    fn situated(&self, place: Place) -> Place {
        match &self.origin {
            Some(origin) => problem::situated(place, origin),
            None => place,
        }
    }

    fn value(&self, scope: &Scope<'_>) -> Result<Value, Problem> {
        self.value_of(&Input::new(scope))
    }

    /// Its value as it is.
    ///
    /// # Errors
    /// When it fails or uses up its budget.
    pub(crate) fn value_of(&self, input: &Input<'_>) -> Result<Value, Problem> {
        let context = Value::from_object(input.context(&self.used));
        self.inner.eval(context.clone()).map_err(|error| {
            let problem = self.problem(&error);
            if problem.code != codes::EXPRESSION_FAILED {
                return problem;
            }
            let reads = undefined::all_reads(&self.written());
            undefined::with_values(problem, undefined::values(&context, reads.iter()))
        })
    }

    /// The whole of it.
    pub(crate) fn place(&self) -> Place {
        let place = Place::of_span(&self.file, &self.source, 0..self.source.len());
        self.situated(place)
    }

    /// What its value is made of that the request has not.
    pub(crate) fn undefined(&self, input: &Input<'_>) -> Vec<Problem> {
        let context = Value::from_object(input.context(&self.used));
        let written = self.written();
        let problems = undefined::problems(&context, &undefined::reads(&written), "", &written);
        let back = problems.into_iter().map(|mut problem| {
            problem.place = Some(self.place());
            problem
        });
        back.collect()
    }

    fn problem(&self, error: &minijinja::Error) -> Problem {
        let mut problem = problem::of_rewritten(
            error,
            &self.file,
            &self.source,
            codes::EXPRESSION_FAILED,
            &|range| self.rewritten.original_span(range),
        );
        problem.place = problem.place.map(|place| self.situated(place));
        problem
    }

    /// Its value; undefined is `None`.
    ///
    /// # Errors
    /// When it fails or uses up its budget.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Option<serde_json::Value>, Problem> {
        let value = self.value(scope)?;
        if value.is_undefined() {
            return Ok(None);
        }
        let json = text::json(&value).map_err(|error| self.problem(&error))?;
        let value = serde_json::from_str(&json).map_err(|_| {
            Problem::new(
                codes::EXPRESSION_FAILED,
                "The expression's value has no JSON.",
            )
        })?;
        Ok(Some(value))
    }

    /// Whether its value is true in Jinja's sense.
    ///
    /// # Errors
    /// When it fails or uses up its budget.
    pub fn is_true(&self, scope: &Scope<'_>) -> Result<bool, Problem> {
        Ok(self.value(scope)?.is_true())
    }
}
