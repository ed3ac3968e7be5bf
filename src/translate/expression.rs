//! Single expressions: `when`, `delivery_key`.

use super::input::Input;
use super::rewrite::RewrittenExpression;
use super::template::used_names;
use super::{Scope, env, names, problem, rewrite, text};
use crate::codes;
use crate::model::Problem;
use minijinja::Value;
use std::collections::HashSet;

/// A compiled expression: `when`, `delivery_key`.
#[derive(Debug)]
pub struct Expression {
    file: String,
    source: String,
    rewritten: Box<RewrittenExpression>,
    inner: minijinja::Expression<'static, 'static>,
    used: HashSet<String>,
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
            file: file.to_owned(),
            source: source.to_owned(),
            rewritten: Box::new(rewritten),
            inner,
            used: used_names(source),
        })
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
        self.inner
            .eval(context)
            .map_err(|error| self.problem(&error))
    }

    fn problem(&self, error: &minijinja::Error) -> Problem {
        problem::of_rewritten(
            error,
            &self.file,
            &self.source,
            codes::EXPRESSION_FAILED,
            &|range| self.rewritten.original_span(range),
        )
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
