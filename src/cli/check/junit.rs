//! `--format junit`: what `check` found as the XML that test dashboards read. A suite for the configuration, with a
//! case for each group of findings (the file, secrets, each template), and one for each webhook with its tests.

use super::page::{self, is_secret};
use super::{Checked, summary};
use crate::codes;
use crate::config::findings::render;
use crate::config::{Finding, Severity};
use crate::engine::{TestFailure, TestResult};
use std::borrow::Cow;
use std::time::Duration;

/// One case.
struct Case {
    class: String,
    name: String,
    /// File and line of what it is about.
    place: (String, Option<u32>),
    time: Duration,
    /// Code, message and text.
    failure: Option<(String, String, String)>,
    /// Why it was not run.
    skipped: Option<&'static str>,
    /// Warnings.
    out: String,
}

/// The document.
pub(super) fn xml(checked: &Checked, folder: &str, no_secrets: bool) -> String {
    let mut suites = vec![(checked.name.clone(), findings(checked, folder, no_secrets))];
    for result in &checked.results {
        let case = test(result, checked, folder);
        match suites.last_mut() {
            Some((name, cases)) if suites_name(&result.webhook) == *name => cases.push(case),
            _ => suites.push((suites_name(&result.webhook), vec![case])),
        }
    }
    let all = suites.iter().flat_map(|(_, cases)| cases);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str(&format!(
        "<testsuites name=\"hookgate check\"{}>\n",
        counts(all)
    ));
    for (name, cases) in &suites {
        xml.push_str(&format!(
            "  <testsuite name=\"{}\"{}>\n",
            escape(name),
            counts(cases.iter())
        ));
        cases.iter().for_each(|case| case.write(&mut xml));
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn suites_name(webhook: &str) -> String {
    format!("webhook {webhook}")
}

fn counts<'c>(cases: impl Iterator<Item = &'c Case>) -> String {
    let (mut tests, mut failures, mut skipped, mut time) = (0, 0, 0, Duration::ZERO);
    for case in cases {
        tests += 1;
        failures += usize::from(case.failure.is_some());
        skipped += usize::from(case.skipped.is_some());
        time += case.time;
    }
    let seconds = time.as_secs_f64();
    format!(
        " tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{seconds:.3}\""
    )
}

/// A case for each file that was checked or has findings, and one for the secrets.
fn findings(checked: &Checked, folder: &str, no_secrets: bool) -> Vec<Case> {
    const SECRETS: &str = "secrets";
    let group = |finding: &Finding| match &finding.problem.place {
        _ if is_secret(finding) => SECRETS.to_owned(),
        Some(place) => place.file.clone(),
        None => checked.name.clone(),
    };
    let mut groups = vec![checked.name.clone(), SECRETS.to_owned()];
    groups.extend(checked.loaded.config.iter().flat_map(page::templates));
    for finding in &checked.loaded.findings {
        let group = group(finding);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let case = |name: String| {
        let found = || checked.loaded.findings.iter().filter(|f| group(f) == name);
        let errors: Vec<&Finding> = found().filter(|f| f.severity == Severity::Error).collect();
        let warnings = found().filter(|f| f.severity == Severity::Warning);
        let first = found().find_map(|f| Some(f.problem.place.as_ref()?.line));
        let file = if name == SECRETS {
            &checked.name
        } else {
            &name
        };
        Case {
            class: checked.name.clone(),
            place: (format!("{folder}{file}"), first),
            time: Duration::ZERO,
            failure: failure(&errors),
            skipped: (no_secrets && name == SECRETS).then_some("--no-secrets"),
            out: warnings.map(text).collect::<Vec<_>>().join("\n"),
            name,
        }
    };
    groups.into_iter().map(case).collect()
}

/// Several findings as one failure: most readers look at the first alone.
fn failure(errors: &[&Finding]) -> Option<(String, String, String)> {
    let problem = &errors.first()?.problem;
    let more = match errors.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    let texts: Vec<String> = errors.iter().map(|finding| text(finding)).collect();
    Some((
        problem.code.to_string(),
        format!("{}{more}", problem.message),
        texts.join("\n"),
    ))
}

fn test(result: &TestResult, checked: &Checked, folder: &str) -> Case {
    let failure = result.failure.as_ref().map(|failure| {
        let code = match failure {
            TestFailure::Request(problem)
            | TestFailure::Unverified(problem)
            | TestFailure::Failed(problem) => problem.code,
            TestFailure::Events { .. } | TestFailure::OtherError { .. } => codes::TEST_FAILED,
        };
        let text = page::test_text(result, checked);
        (code.to_string(), summary(failure), plain(&text))
    });
    Case {
        class: result.webhook.clone(),
        name: result.name.clone(),
        place: (format!("{folder}{}", checked.name), Some(result.line)),
        time: result.duration,
        failure,
        skipped: None,
        out: String::new(),
    }
}

fn text(finding: &Finding) -> String {
    plain(&render(finding))
}

/// Without colours.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

impl Case {
    fn write(&self, xml: &mut String) {
        let (file, line) = &self.place;
        let line = line.map_or_else(String::new, |line| format!(" line=\"{line}\""));
        xml.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\"{line} time=\"{:.3}\"",
            escape(&self.class),
            escape(&self.name),
            escape(file),
            self.time.as_secs_f64()
        ));
        if self.failure.is_none() && self.skipped.is_none() && self.out.is_empty() {
            xml.push_str("/>\n");
            return;
        }
        xml.push_str(">\n");
        if let Some((code, message, text)) = &self.failure {
            xml.push_str(&format!(
                "      <failure type=\"{}\" message=\"{}\">{}</failure>\n",
                escape(code),
                escape(message),
                content(text)
            ));
        }
        if let Some(why) = self.skipped {
            xml.push_str(&format!("      <skipped message=\"{}\"/>\n", escape(why)));
        }
        if !self.out.is_empty() {
            xml.push_str(&format!(
                "      <system-out>{}</system-out>\n",
                content(&self.out)
            ));
        }
        xml.push_str("    </testcase>\n");
    }
}

/// A text as the content of an element.
fn content(text: &str) -> String {
    // What was no reference before is none now: its `&` was escaped.
    escape(text).replace("&#10;", "\n").replace("&#9;", "\t")
}

/// A text as an attribute in double quotes (XML 1.0, sections 2.2 and 2.4). Readers make blanks of line ends in
/// attributes unless these are written as references; what XML cannot hold becomes U+FFFD.
fn escape(text: &str) -> Cow<'_, str> {
    let special =
        |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'') || c.is_control() || c > '\u{fffd}';
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\r' | '\t' => out.push_str(&format!("&#{};", u32::from(c))),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold() {
        assert_eq!(escape("plain é 😀"), "plain é 😀");
        assert_eq!(
            escape("<a b=\"c\">'&\u{0}\u{1b}\u{ffff}\n\r\t"),
            "&lt;a b=&quot;c&quot;&gt;&apos;&amp;\u{fffd}\u{fffd}\u{fffd}&#10;&#13;&#9;"
        );
        assert_eq!(content("a\n&#10;<\t"), "a\n&amp;#10;&lt;\t");
        assert!(matches!(escape("a"), Cow::Borrowed(_)));
    }
}
