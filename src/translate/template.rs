//! Templates that print events as JSON, and templates of plain text.

use super::faults::{self, Fault};
use super::input::{Context, Input, NAMES, ORIGINAL};
use super::json::{Doc, Invalid};
use super::rewrite::{self, Rewritten};
use super::sink::{self, Sink};
use super::undefined::Read;
use super::{
    Failure, Scope, Traced, Translated, aliases, blocks, env, names, problem, schema, undefined,
};
use crate::codes;
use crate::model::{Place, Problem};
use minijinja::{Environment, Value};
use std::collections::HashSet;
use std::sync::OnceLock;

/// Past this many bytes of output a failed render is not repeated to find the line that wrote it.
const REPEAT_BYTES_MAX: usize = 1024 * 1024;

/// Undefined values of one delivery that are told.
const UNDEFINED_MAX: usize = 10;

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
    /// Paths that it reads each time, and of which nothing that is printed tells that they are not there.
    hidden: Vec<Read>,
    /// Where its text begins in the file that holds it, where that is another.
    origin: Option<Place>,
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
        // Jinja2 reads every line end as one `\n`.
        let source = if source.contains('\r') {
            source.replace("\r\n", "\n").replace('\r', "\n")
        } else {
            source
        };
        names::check(file, &source)?;
        let rewritten = rewrite::rewrite(file, &source)?;
        let mut env = env::base().clone();
        env.add_template_owned(file.to_owned(), rewritten.source.clone())
            .map_err(|error| {
                let problem =
                    problem::of_rewritten(&error, file, &source, codes::TEMPLATE_SYNTAX, &|at| {
                        rewritten.original_span(at)
                    });
                if problem.code == codes::TEMPLATE_SYNTAX {
                    blocks::explain(problem, file, &source)
                } else {
                    problem
                }
            })?;
        Ok(Self {
            file: file.to_owned(),
            reads: undefined::reads(&source),
            hidden: undefined::hidden_reads(&source),
            plain: OnceLock::new(),
            used: used_names(&source),
            source,
            rewritten,
            env,
            origin: None,
        })
    }

    /// With its text in another file, from this place on: errors name places there.
    #[must_use]
    pub fn from_place(mut self, origin: Place) -> Self {
        self.origin = Some(origin);
        self
    }

    /// What is wrong with it that is no error: names that it reads and that nothing gives.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let unknown = aliases::unknown_names(&self.file, &self.source, &[]);
        unknown.into_iter().map(|p| self.situated(p)).collect()
    }

    /// A problem with its place in the file that holds the text.
    fn situated(&self, mut problem: Problem) -> Problem {
        if let Some(origin) = &self.origin {
            problem.place = problem.place.map(|place| problem::situated(place, origin));
        }
        problem
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
            .map_err(|error| self.situated(self.problem_in(&plain.rewritten, &error)))
    }

    /// Translates a request.
    ///
    /// # Errors
    /// When it fails, or what it prints is no JSON or no valid event.
    pub(crate) fn translate(&self, scope: &Scope<'_>) -> Result<Translated, Failure> {
        self.translated(scope)
            .map_err(|problem| self.situated(problem).into())
    }

    fn translated(&self, scope: &Scope<'_>) -> Result<Translated, Problem> {
        let input = Input::new(scope);
        let (output, printed) = self.render(&input)?;
        let mut undefined = self.hidden_undefined(&input);
        if printed > 0 {
            let found = self.undefined(&input, output.len()).into_iter();
            undefined.extend(found.filter(|p| !undefined.contains(p)).collect::<Vec<_>>());
        }
        let mut notes = Vec::new();
        let (events, keys) = if output.trim().is_empty() {
            (Vec::new(), scope.keys.clone())
        } else {
            let doc = match Doc::parse(output) {
                Ok(doc) => doc,
                Err((output, invalid)) => {
                    return Err(self.not_json(&input, &output, &invalid));
                }
            };
            let bytes = doc.bytes();
            schema::events(&doc, &input, &mut notes).map_err(|(mut problem, spot)| {
                let spot = spot.filter(|_| bytes <= REPEAT_BYTES_MAX);
                // What is empty was written by nothing; what is undefined may say why.
                let empty = problem.message.ends_with("is empty.") && !undefined.is_empty();
                let spot = spot.filter(|_| !empty);
                problem.place = spot.and_then(|spot| self.writer_of(&input, spot.at));
                because(problem, &undefined)
            })?
        };
        let undefined: Vec<Problem> = undefined.into_iter().map(|p| self.situated(p)).collect();
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

    /// What it printed that is undefined: paths that the request has not, or the expressions that printed it.
    fn undefined(&self, input: &Input<'_>, bytes: usize) -> Vec<Problem> {
        let context = Value::from_object(input.context(&self.used));
        let found = undefined::problems(&context, &self.reads, &self.file, &self.source);
        if !found.is_empty() {
            return found;
        }
        let mut spans = self
            .undefined_spans(input)
            .filter(|_| bytes <= REPEAT_BYTES_MAX);
        let mut problems: Vec<Problem> = Vec::new();
        for span in spans.take().unwrap_or_default() {
            let problem = aliases::explain(&context, &self.file, &self.source, span);
            if !problems.contains(&problem) && problems.len() < UNDEFINED_MAX {
                problems.push(problem);
            }
        }
        if problems.is_empty() {
            problems.push(Problem::new(
                codes::UNDEFINED_VALUE,
                "The template printed an undefined value as nothing.",
            ));
        }
        problems
    }

    /// What is undefined of the paths that hide it.
    fn hidden_undefined(&self, input: &Input<'_>) -> Vec<Problem> {
        if self.hidden.is_empty() {
            return Vec::new();
        }
        let context = Value::from_object(input.context(&self.used));
        undefined::problems(&context, &self.hidden, &self.file, &self.source)
    }

    /// The expressions that printed something undefined, found by one more render.
    fn undefined_spans(&self, input: &Input<'_>) -> Option<Vec<std::ops::Range<usize>>> {
        let template = self.env.get_template(&self.file).ok()?;
        let context = self.context(input, &Sink::marking());
        let (output, spans) = template.render_with_spans(context).ok()?;
        let marked = spans.iter().filter(|span| {
            span.kind() != minijinja::OutputSpanKind::Raw
                && output
                    .get(span.output_range())
                    .is_some_and(|text| text.contains(sink::MARK))
        });
        let mut found: Vec<_> = marked
            .map(|span| self.rewritten.original_span(span.source_range()))
            .collect();
        found.dedup();
        Some(found)
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
                let mut place = Place::of_span(&self.file, &self.source, read.span());
                if let Some(origin) = &self.origin {
                    place = problem::situated(place, origin);
                }
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
        let reads = undefined::all_reads(&self.source);
        let inside = |read: &&Read| failing.span.contains(&read.span().start);
        undefined::values(&context, reads.iter().filter(inside))
    }

    /// Fails once more with the engine's memory of where undefined values came from.
    fn explain(&self, input: &Input<'_>, error: &minijinja::Error) -> Problem {
        let problem = self.explained(input, error);
        if problem.code != codes::TEMPLATE_FAILED {
            return problem;
        }
        let place = problem.place.clone();
        let values = place.and_then(|place| self.values(input, &place));
        undefined::with_values(problem, values)
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
    fn not_json(&self, input: &Input<'_>, output: &str, invalid: &Invalid) -> Problem {
        let Fault { at, what, help } = faults::fault(output, invalid);
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
        .help(help);
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
pub(super) fn because(mut problem: Problem, undefined: &[Problem]) -> Problem {
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
