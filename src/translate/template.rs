//! Templates that print events as JSON, and templates of plain text.

use super::input::{Context, Input, NAMES, ORIGINAL};
use super::json::Doc;
use super::rewrite::{self, Rewritten};
use super::sink::{self, Sink};
use super::undefined::Read;
use super::{Failure, Scope, Traced, Translated, env, names, problem, schema, undefined};
use crate::codes;
use crate::model::{Place, Problem};
use minijinja::{Environment, Value};
use std::collections::HashSet;
use std::sync::OnceLock;

/// Past this many bytes of output a failed render is not repeated to find the line that wrote it.
const REPEAT_BYTES_MAX: usize = 1024 * 1024;

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    file: String,
    /// The text as its owner wrote it.
    source: String,
    rewritten: Rewritten,
    env: Environment<'static>,
    /// The template as one of plain text, compiled when it is first used so.
    plain: OnceLock<Box<Plain>>,
    used: HashSet<String>,
    /// Paths that it reads, such as `body.repository.name`, and where.
    reads: Vec<Read>,
}

/// A template as one of plain text.
#[derive(Debug)]
struct Plain {
    rewritten: Rewritten,
    env: Result<Environment<'static>, Problem>,
}

/// The names of the request's context that a text mentions. A name mentioned for something else costs a little time only.
pub(crate) fn used_names(source: &str) -> HashSet<String> {
    let mut used: HashSet<String> = NAMES
        .iter()
        .filter(|name| source.contains(**name))
        .map(|name| (*name).to_owned())
        .collect();
    if source.contains("from_cloud_event") {
        used.insert(ORIGINAL.to_owned());
    }
    used
}

impl Template {
    /// Its name in errors.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text as its owner wrote it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Compiles the text of a template that prints events as JSON. `file` is its name in errors.
    ///
    /// # Errors
    /// Syntax, unknown filters, tests and functions, with line, column and the line's text.
    pub fn compile(file: &str, source: String) -> Result<Self, Problem> {
        names::check(file, &source)?;
        let rewritten = rewrite::rewrite(file, &source)?;
        let mut env = env::base().clone();
        env.add_template_owned(file.to_owned(), rewritten.source.clone())
            .map_err(|error| {
                problem::of_rewritten(&error, file, &source, codes::TEMPLATE_SYNTAX, &|at| {
                    rewritten.original_span(at)
                })
            })?;
        Ok(Self {
            file: file.to_owned(),
            reads: undefined::reads(&source),
            plain: OnceLock::new(),
            used: used_names(&source),
            source,
            rewritten,
            env,
        })
    }

    /// Renders plain text (a webhook's `response.body`), nothing escaped.
    ///
    /// # Errors
    /// As a translation.
    pub fn render_text(&self, scope: &Scope<'_>) -> Result<String, Problem> {
        let input = Input::new(scope);
        let context = Value::from_object(input.context(&self.used));
        let plain = self.plain.get_or_init(|| {
            let mut env = env::base().clone();
            let rewritten = rewrite::operators_of(&self.source);
            let added = env.add_template_owned(self.file.clone(), rewritten.source.clone());
            let env = added
                .map(|()| env)
                .map_err(|error| self.problem_in(&rewritten, &error));
            Box::new(Plain { rewritten, env })
        });
        let env = plain.env.as_ref().map_err(Clone::clone)?;
        let template = env.get_template(&self.file);
        template
            .and_then(|template| template.render(context))
            .map_err(|error| self.problem_in(&plain.rewritten, &error))
    }

    /// Translates a request.
    ///
    /// # Errors
    /// When it fails, or what it prints is no JSON or no valid event.
    pub(crate) fn translate(&self, scope: &Scope<'_>) -> Result<Translated, Failure> {
        let input = Input::new(scope);
        let (output, printed) = self.render(&input)?;
        let mut undefined = Vec::new();
        if printed > 0 {
            let context = Value::from_object(input.context(&self.used));
            undefined =
                undefined::printed(&context, &self.reads, printed, &self.file, &self.source);
        }
        let mut notes = Vec::new();
        let (events, keys) = if output.trim().is_empty() {
            (Vec::new(), scope.keys.clone())
        } else {
            let doc = match Doc::parse(output) {
                Ok(doc) => doc,
                Err((output, invalid)) => {
                    return Err(self
                        .not_json(&input, &output, invalid.at, invalid.what)
                        .into());
                }
            };
            schema::events(&doc, &input, &mut notes)
                .map_err(|problem| because(problem, &undefined))?
        };
        notes.extend(undefined.iter().map(undefined::note));
        notes.extend(input.notes());
        Ok(Translated {
            events,
            keys,
            contents: Vec::new(),
            notes,
            undefined,
        })
    }

    fn template(&self) -> Result<minijinja::Template<'_, '_>, Problem> {
        self.env
            .get_template(&self.file)
            .map_err(|error| self.problem(&error))
    }

    fn context(&self, input: &Input<'_>, sink: &Sink) -> Value {
        let context: Context = input.context(&self.used);
        Value::from_object(context.with(sink::NAME, Value::from_object(sink.clone())))
    }

    fn render(&self, input: &Input<'_>) -> Result<(String, usize), Problem> {
        let sink = Sink::default();
        let context = self.context(input, &sink);
        match self.template()?.render_captured_to(context, sink.clone()) {
            Ok(_) => Ok(sink.take()),
            Err(error) => Err(self.explain(input, &error)),
        }
    }

    fn problem(&self, error: &minijinja::Error) -> Problem {
        self.problem_in(&self.rewritten, error)
    }

    fn problem_in(&self, rewritten: &Rewritten, error: &minijinja::Error) -> Problem {
        let original = |range| rewritten.original_span(range);
        problem::of_rewritten(
            error,
            &self.file,
            &self.source,
            codes::TEMPLATE_FAILED,
            &original,
        )
    }

    /// What a template reads of a request, and what it was: place, path, value.
    pub(crate) fn trace(&self, scope: &Scope<'_>) -> Vec<Traced> {
        let input = Input::new(scope);
        let context = Value::from_object(input.context(&self.used));
        let mut out: Vec<Traced> = Vec::new();
        for read in undefined::all_reads(&self.source) {
            let path = read.shown();
            if !out.iter().any(|traced| traced.path == path) {
                let place = Place::of_span(&self.file, &self.source, read.span());
                let value = read.value(&context);
                out.push(Traced {
                    place: Some(place),
                    path,
                    value,
                });
            }
        }
        out
    }

    /// What the paths were that the failing piece of a template reads.
    fn values(&self, input: &Input<'_>, place: &Place) -> Option<String> {
        const SHOWN_MAX: usize = 3;
        let context = Value::from_object(input.context(&self.used));
        let segments = super::tokens::segments(&self.source)?;
        let spot = |at: usize| Place::of_span(&self.file, &self.source, at..at + 1);
        let failing = segments.iter().find(|segment| {
            let (from, to) = (
                spot(segment.span.start),
                spot(segment.span.end.saturating_sub(1)),
            );
            let here = (place.line, place.column);
            (from.line, from.column) <= here && here <= (to.line, to.column)
        })?;
        let shown: Vec<String> = undefined::all_reads(&self.source)
            .iter()
            .filter(|read| failing.span.contains(&read.span().start))
            .take(SHOWN_MAX)
            .map(|read| {
                let value = read.value(&context);
                let stop = if value.ends_with('.') || value.ends_with('?') {
                    ""
                } else {
                    "."
                };
                format!("`{}` is {value}{stop}", read.shown())
            })
            .collect();
        (!shown.is_empty()).then(|| shown.join(" "))
    }

    /// Fails once more with the engine's memory of where undefined values came from.
    fn explain(&self, input: &Input<'_>, error: &minijinja::Error) -> Problem {
        let mut problem = self.explained(input, error);
        let values = problem
            .place
            .as_ref()
            .and_then(|place| self.values(input, place));
        if let Some(values) = values.filter(|_| problem.code == codes::TEMPLATE_FAILED) {
            problem.help = Some(match problem.help.take() {
                Some(help) => format!("{values} {help}"),
                None => values,
            });
        }
        problem
    }

    fn explained(&self, input: &Input<'_>, error: &minijinja::Error) -> Problem {
        let plain = self.problem(error);
        if plain.code != codes::TEMPLATE_FAILED {
            return plain;
        }
        let mut env = self.env.clone();
        env.set_debug(true);
        let sink = Sink::default();
        let context = self.context(input, &sink);
        let again = env
            .get_template(&self.file)
            .and_then(|t| t.render_captured_to(context, sink).map(|_| ()));
        match again {
            Err(error) => self.problem(&error),
            Ok(()) => plain,
        }
    }

    /// What was printed is no JSON: says where in the output, and which line of the template wrote it.
    fn not_json(&self, input: &Input<'_>, output: &str, at: usize, what: &str) -> Problem {
        let shown = Place::of_span("output", output, at..at + 1);
        let near: String = shown
            .source
            .unwrap_or_default()
            .chars()
            .skip((shown.column as usize).saturating_sub(21))
            .take(40)
            .collect();
        let problem = Problem::new(
            codes::TEMPLATE_NOT_JSON,
            format!("What the template printed is not JSON: {what} (line {}, column {} of the output, near `{near}`).", shown.line, shown.column),
        )
        .help("Print values outside of quotes with `|tojson`, or inside of quotes as they are; see the output with `hookgate render`.");
        if output.len() > REPEAT_BYTES_MAX {
            return problem;
        }
        match self.writer_of(input, at) {
            Some(place) => problem.at(place),
            None => problem,
        }
    }

    /// The place in the template that wrote byte `at` of the output.
    fn writer_of(&self, input: &Input<'_>, at: usize) -> Option<Place> {
        let template = self.env.get_template(&self.file).ok()?;
        let recording = Sink::default();
        recording.record();
        template
            .render_captured_to(self.context(input, &recording), recording.clone())
            .ok()?;
        let replay = recording.replay();
        let (_, spans) = template
            .render_with_spans(self.context(input, &replay))
            .ok()?;
        let span = spans.iter().rfind(|span| span.output_range().start <= at)?;
        let source = span.source_range();
        let from = if span.kind() == minijinja::OutputSpanKind::Raw {
            let offset = (at - span.output_range().start).min(source.len());
            source.start + offset..source.start + offset + 1
        } else {
            source
        };
        let from = self.rewritten.original_span(from);
        Some(Place::of_span(&self.file, &self.source, from))
    }
}

/// What does not fit the schema, with what was printed as nothing: most often that is why.
fn because(mut problem: Problem, undefined: &[Problem]) -> Problem {
    if let Some(first) = undefined.first() {
        if problem.place.is_none() {
            problem.place.clone_from(&first.place);
        }
        let parts = [
            problem.help.take(),
            Some(first.message.clone()),
            first.help.clone(),
        ];
        problem.help = Some(parts.into_iter().flatten().collect::<Vec<_>>().join(" "));
    }
    problem
}
