//! Event definitions: a table whose strings may hold expressions.
//!
//! A string that is one whole expression gives the value itself, any other is rendered to text. Nothing
//! needs escaping: the result is a value, not text to be read again.

use super::expression::Expression;
use super::input::{Input, ParsedBody};
use super::json::{Doc, string_into};
use super::template::because;
use super::template::used_names;
use super::undefined::{self, Read};
use super::{
    Failure, Keys, Scope, Traced, Translated, aliases, env, names, problem, rewrite, schema, text,
};
use crate::codes;
use crate::model::http_file::Masking;
use crate::model::{Headers, Place, Problem, Request, limits};
use minijinja::value::ValueKind;
use minijinja::{Environment, Value};
use serde_json::Value as Json;
use std::collections::HashSet;

/// Undefined values of one delivery that are told.
const UNDEFINED_MAX: usize = 10;
/// The name of an item of `each`.
const ITEM: &str = "item";

/// A compiled event definition.
#[derive(Debug)]
pub struct Definition {
    root: Vec<(String, Part)>,
    env: Environment<'static>,
    used: HashSet<String>,
    /// A list: one event for each of its items.
    each: Option<Expression>,
    /// Where its fields, and the members of these, stand in the configuration; the whole table is the path "".
    places: Vec<(String, Place)>,
    warnings: Vec<Problem>,
}

/// Events of one request by `each`.
const EVENTS_MAX: usize = 10_000;

/// A part of a definition.
#[derive(Debug)]
enum Part {
    /// JSON as it is.
    Static(String),
    /// A whole expression.
    Whole(minijinja::Expression<'static, 'static>, Source),
    /// Text with expressions: a template of the environment by this name.
    Text(String, Source),
    /// A table.
    Map(Vec<(String, Part)>),
    /// A list.
    List(Vec<Part>),
}

/// What a part was compiled from, for errors.
#[derive(Debug)]
struct Source {
    text: String,
    path: String,
    place: Option<Place>,
    reads: Vec<Read>,
}

struct Compiler<'p> {
    place: &'p dyn Fn(&[&str]) -> Option<Place>,
    env: Environment<'static>,
    used: HashSet<String>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Definition {
    /// Compiles a table whose strings may hold expressions. `place` finds the place of a path such as
    /// `["resource", "prefect.resource.id"]` in the configuration, for errors.
    ///
    /// # Errors
    /// Every string that does not compile, and every field that cannot be one of an event.
    pub fn compile(
        table: &serde_json::Map<String, Json>,
        place: &dyn Fn(&[&str]) -> Option<Place>,
    ) -> Result<Self, Vec<Problem>> {
        let mut compiler = Compiler::new(place);
        compiler.check_fields(table);
        let definition = compiler.finish(table)?;
        if definition.root.iter().all(|(_, part)| part.is_static()) {
            definition.check_static(place)?;
        }
        Ok(definition)
    }

    /// Compiles a table that holds some fields of an event; the others are made elsewhere.
    ///
    /// # Errors
    /// Every string that does not compile, and a resource without an id.
    pub fn compile_part(
        table: &serde_json::Map<String, Json>,
        place: &dyn Fn(&[&str]) -> Option<Place>,
    ) -> Result<Self, Vec<Problem>> {
        let mut compiler = Compiler::new(place);
        compiler.check_resource(table);
        compiler.finish(table)
    }

    /// Translates a request.
    ///
    /// # Errors
    /// When an expression fails, or the result is no valid event.
    pub(crate) fn translate(&self, scope: &Scope<'_>) -> Result<Translated, Failure> {
        let input = Input::new(scope);
        let mut notes = Vec::new();
        let mut undefined = Vec::new();
        let json = self.json(&input, &mut undefined)?;
        let (events, keys) = if json.is_empty() {
            (Vec::new(), scope.keys.clone())
        } else {
            let doc = Doc::parse(json).map_err(|(_, invalid)| {
                Problem::new(
                    codes::EXPRESSION_FAILED,
                    format!("The definition gave no JSON: {}.", invalid.what),
                )
            })?;
            schema::events(&doc, &input, &mut notes).map_err(|(problem, spot)| {
                because(self.placed(problem, spot.as_ref()), &undefined)
            })?
        };
        undefined.truncate(UNDEFINED_MAX);
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

    /// A problem of an event with the place of what gave the value: the longest path that was written.
    fn placed(&self, mut problem: Problem, spot: Option<&schema::Spot>) -> Problem {
        let path = spot.map_or("", |spot| spot.path.as_str());
        let holds = |outer: &str| {
            let rest = path.strip_prefix(outer);
            outer.is_empty()
                || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let found = self.places.iter().filter(|(path, _)| holds(path));
        let longest = found.max_by_key(|(path, _)| path.len());
        problem.place = problem.place.or_else(|| Some(longest?.1.clone()));
        problem
    }

    /// What its expressions read of a request, and what that was.
    pub(crate) fn trace(&self, scope: &Scope<'_>) -> Vec<Traced> {
        let input = Input::new(scope);
        let context = Value::from_object(input.context(&self.used));
        let mut out = Vec::new();
        self.root
            .iter()
            .for_each(|(_, part)| part.trace(&context, &mut out));
        out
    }

    /// What is wrong with it that is no error: names that it reads and that nothing gives.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// With a list that gives one event for each of its items, which are `item` in expressions.
    #[must_use]
    pub fn for_each(mut self, each: Expression) -> Self {
        self.each = Some(each);
        self
    }

    /// The event as JSON, a list of them where there is `each`, nothing where that list has no items.
    fn json(&self, input: &Input<'_>, undefined: &mut Vec<Problem>) -> Result<String, Problem> {
        let mut out = String::with_capacity(512);
        let Some(each) = &self.each else {
            let context = Value::from_object(input.context(&self.used));
            self.map_into(&mut out, &self.root, &context, undefined)?;
            return Ok(out);
        };
        let list = each.value_of(input)?;
        if list.is_undefined() {
            undefined.extend(each.undefined(input));
        }
        if list.is_undefined() || list.is_none() {
            return Ok(out);
        }
        if !matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable) {
            let mut problem = Problem::new(
                codes::EXPRESSION_FAILED,
                format!("`each` gives no list: {}.", text::glance(&list)),
            )
            .help("It names a list in the request, such as `body.alerts`; each of its items is `item`.");
            problem.place = Some(each.place());
            return Err(problem);
        }
        for (i, item) in list.try_iter().into_iter().flatten().enumerate() {
            if i >= EVENTS_MAX || out.len() > limits::EVENTS_BYTES_MAX {
                let message =
                    format!("`each` gives more than {EVENTS_MAX} events, or too large ones.");
                return Err(Problem::new(codes::TEMPLATE_BUDGET, message));
            }
            out.push(if i == 0 { '[' } else { ',' });
            let context = Value::from_object(input.context(&self.used).with(ITEM, item));
            self.map_into(&mut out, &self.root, &context, undefined)?;
        }
        if !out.is_empty() {
            out.push(']');
        }
        Ok(out)
    }

    /// The JSON of its fields with one more name in scope.
    ///
    /// # Errors
    /// When an expression fails.
    pub(crate) fn json_with(
        &self,
        input: &Input<'_>,
        (name, value): (&'static str, Value),
        undefined: &mut Vec<Problem>,
    ) -> Result<String, Problem> {
        let context = Value::from_object(input.context(&self.used).with(name, value));
        let mut out = String::with_capacity(512);
        self.map_into(&mut out, &self.root, &context, undefined)?;
        Ok(out)
    }

    fn map_into(
        &self,
        out: &mut String,
        members: &[(String, Part)],
        context: &Value,
        undefined: &mut Vec<Problem>,
    ) -> Result<(), Problem> {
        out.push('{');
        for (key, part) in members {
            let before = out.len();
            if !out.ends_with('{') {
                out.push(',');
            }
            string_into(out, key);
            out.push(':');
            if !self.part_into(out, part, context, undefined)? {
                out.truncate(before);
            }
        }
        out.push('}');
        Ok(())
    }

    /// Appends a part's value; false: it has none, and its key is left out.
    fn part_into(
        &self,
        out: &mut String,
        part: &Part,
        context: &Value,
        undefined: &mut Vec<Problem>,
    ) -> Result<bool, Problem> {
        match part {
            Part::Static(json) => out.push_str(json),
            Part::Whole(expression, source) => {
                let value = expression
                    .eval(context.clone())
                    .map_err(|error| source.failed(context, &error))?;
                if value.is_undefined() {
                    source.note_undefined(context, undefined);
                }
                if value.is_undefined() || (value.is_none() && source.in_labels()) {
                    return Ok(false);
                }
                text::json_into(out, &value, text::COMPACT, 0)
                    .map_err(|error| source.failed(context, &error))?;
            }
            Part::Text(name, source) => {
                let template = self
                    .env
                    .get_template(name)
                    .map_err(|error| source.failed(context, &error))?;
                let text = template
                    .render(context.clone())
                    .map_err(|error| source.failed(context, &error))?;
                source.note_undefined(context, undefined);
                string_into(out, &text);
            }
            Part::Map(members) => self.map_into(out, members, context, undefined)?,
            Part::List(parts) => {
                out.push('[');
                for (i, part) in parts.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    if !self.part_into(out, part, context, undefined)? {
                        out.push_str("null");
                    }
                }
                out.push(']');
            }
        }
        Ok(true)
    }

    /// A definition without expressions gives the same event always: it is tried once, now.
    fn check_static(&self, place: &dyn Fn(&[&str]) -> Option<Place>) -> Result<(), Vec<Problem>> {
        let request = Request {
            method: "POST".into(),
            path: String::new(),
            query: String::new(),
            headers: Headers::new(),
            wire_body: bytes::Bytes::new(),
            body: bytes::Bytes::new(),
            peer: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            received: jiff::Timestamp::UNIX_EPOCH,
            url: String::new(),
        };
        let masking = Masking::default();
        let scope = Scope {
            request: &request,
            webhook: "check",
            masking: &masking,
            keys: &Keys::None,
            own_keys: true,
            default_payload: true,
            body: &ParsedBody::default(),
        };
        self.translate(&scope).map(|_| ()).map_err(|failure| {
            let mut problem = failure.problem;
            if problem.place.is_none() {
                problem.place = place(&[]);
            }
            vec![problem]
        })
    }
}

impl Part {
    fn trace(&self, context: &Value, out: &mut Vec<Traced>) {
        match self {
            Self::Static(_) => {}
            Self::Whole(_, source) | Self::Text(_, source) => {
                for read in undefined::all_reads(&source.text) {
                    let path = read.shown();
                    if !path.starts_with(ITEM) && !out.iter().any(|traced| traced.path == path) {
                        let value = read.value(context);
                        out.push(Traced {
                            place: source.place.clone(),
                            path,
                            value,
                        });
                    }
                }
            }
            Self::Map(members) => members
                .iter()
                .for_each(|(_, part)| part.trace(context, out)),
            Self::List(parts) => parts.iter().for_each(|part| part.trace(context, out)),
        }
    }

    fn is_static(&self) -> bool {
        match self {
            Self::Static(_) => true,
            Self::Whole(..) | Self::Text(..) => false,
            Self::Map(members) => members.iter().all(|(_, part)| part.is_static()),
            Self::List(parts) => parts.iter().all(Self::is_static),
        }
    }
}

impl Source {
    fn in_labels(&self) -> bool {
        self.path.starts_with("resource") || self.path.starts_with("related")
    }

    /// Adds what its text reads that the request has not.
    fn note_undefined(&self, context: &Value, undefined: &mut Vec<Problem>) {
        if undefined.len() >= UNDEFINED_MAX {
            return;
        }
        for mut problem in undefined::problems(context, &self.reads, "", &self.text) {
            problem.message = format!("`{}`: {}", self.path, problem.message);
            problem.place = self.place.clone();
            if !undefined.contains(&problem) {
                undefined.push(problem);
            }
        }
    }

    /// Why it failed, with what it read.
    fn failed(&self, context: &Value, error: &minijinja::Error) -> Problem {
        let problem = self.problem(error);
        if problem.code != codes::EXPRESSION_FAILED {
            return problem;
        }
        let reads = undefined::all_reads(&self.text);
        undefined::with_values(problem, undefined::values(context, reads.iter()))
    }

    fn problem(&self, error: &minijinja::Error) -> Problem {
        let mut problem = problem::of(error, "", &self.text, codes::EXPRESSION_FAILED);
        problem.message = format!("`{}`: {}", self.path, problem.message);
        problem.place = self.place.clone();
        problem
    }
}

impl<'p> Compiler<'p> {
    fn new(place: &'p dyn Fn(&[&str]) -> Option<Place>) -> Self {
        Self {
            place,
            env: env::base().clone(),
            used: HashSet::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn finish(mut self, table: &serde_json::Map<String, Json>) -> Result<Definition, Vec<Problem>> {
        let root = table
            .iter()
            .map(|(key, value)| (key.clone(), self.part(value, &mut vec![key.as_str()])))
            .collect();
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let places = self.places(table);
        Ok(Definition {
            root,
            env: self.env,
            used: self.used,
            each: None,
            places,
            warnings: self.warnings,
        })
    }

    fn places(&self, table: &serde_json::Map<String, Json>) -> Vec<(String, Place)> {
        let mut places = vec![(String::new(), (self.place)(&[]))];
        for (field, value) in table {
            places.push((field.clone(), (self.place)(&[field])));
            match value {
                Json::Object(members) => places.extend(members.keys().map(|key| {
                    let place = (self.place)(&[field, key]);
                    (format!("{field}.{key}"), place)
                })),
                Json::Array(items) => places.extend((0..items.len()).map(|index| {
                    let place = (self.place)(&[field, &index.to_string()]);
                    (format!("{field}[{index}]"), place)
                })),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
            }
        }
        let known = places.into_iter();
        known
            .filter_map(|(path, place)| Some((path, place?)))
            .collect()
    }

    fn report(&mut self, mut problem: Problem, path: &[&str]) {
        problem.place = (self.place)(path).or(problem.place.take());
        self.problems.push(problem);
    }

    fn check_fields(&mut self, table: &serde_json::Map<String, Json>) {
        for key in table
            .keys()
            .filter(|key| !schema::FIELDS.contains(&key.as_str()))
        {
            let mut problem = Problem::new(
                codes::UNKNOWN_KEY,
                format!("An event has no field `{key}`."),
            );
            problem.help = Some(match env::nearest(key, schema::FIELDS.into_iter()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!(
                    "It has {}. Other things go into `payload`.",
                    schema::FIELDS.join(", ")
                ),
            });
            self.report(problem, &[key.as_str()]);
        }
        for key in ["event", "resource"]
            .into_iter()
            .filter(|key| !table.contains_key(*key))
        {
            self.report(
                Problem::new(
                    codes::EVENT_FIELD_MISSING,
                    format!("The event has no `{key}`."),
                ),
                &[],
            );
        }
        self.check_resource(table);
    }

    fn check_resource(&mut self, table: &serde_json::Map<String, Json>) {
        if let Some(Json::Object(labels)) = table.get("resource")
            && !labels.contains_key(crate::model::event::RESOURCE_ID)
        {
            let problem = Problem::new(
                codes::EVENT_FIELD_MISSING,
                "The event's resource has no `prefect.resource.id`.",
            )
            .help("It names what the event is about: `resource = { \"prefect.resource.id\" = \"order.{{ body.id }}\" }`.");
            self.report(problem, &["resource"]);
        }
    }

    fn part<'k>(&mut self, value: &'k Json, path: &mut Vec<&'k str>) -> Part {
        match value {
            Json::String(text) if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) => {
                self.expression(text, path)
            }
            Json::Object(members) => {
                let parts = members.iter().map(|(key, value)| {
                    path.push(key);
                    let part = self.part(value, path);
                    path.pop();
                    (key.clone(), part)
                });
                Part::Map(parts.collect())
            }
            Json::Array(items) => {
                Part::List(items.iter().map(|item| self.part(item, path)).collect())
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                Part::Static(value.to_string())
            }
        }
    }

    fn expression(&mut self, text: &str, path: &[&str]) -> Part {
        self.used.extend(used_names(text));
        let source = Source {
            text: text.to_owned(),
            path: path.join("."),
            place: (self.place)(path),
            reads: undefined::reads(text),
        };
        if let Err(mut problem) = names::check("", text) {
            problem.place = None;
            problem.message = format!("`{}`: {}", source.path, problem.message);
            self.report(problem, path);
            return Part::Static("null".into());
        }
        for mut problem in aliases::unknown_names("", text, &[ITEM]) {
            problem.message = format!("`{}`: {}", source.path, problem.message);
            problem.place.clone_from(&source.place);
            self.warnings.push(problem);
        }
        if let Some(inner) = whole(text)
            && let Ok(expression) = env::base()
                .compile_expression_owned(rewrite::operators_of_expression(inner).text().to_owned())
        {
            return Part::Whole(expression, source);
        }
        let name = source.path.clone() + "#" + &self.env.templates().count().to_string();
        match self
            .env
            .add_template_owned(name.clone(), rewrite::operators_of(text).source)
        {
            Ok(()) => Part::Text(name, source),
            Err(error) => {
                let mut problem = source.problem(&error);
                problem.code = codes::TEMPLATE_SYNTAX;
                self.report(problem, path);
                Part::Static("null".into())
            }
        }
    }
}

/// The inside of a text that is one `{{ … }}` from end to end.
fn whole(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    Some(inner.strip_suffix('-').unwrap_or(inner))
}
