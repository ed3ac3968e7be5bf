//! The search as text: its terms, one added, one taken away. What a person wrote stays as it was.

/// The parts of a query that stand side by side; none where an `OR` joins them, so that none can be taken away alone.
pub(super) fn split(q: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), None);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, c) in q.char_indices() {
        let between = c.is_whitespace() && depth == 0 && !quoted;
        match (between, start) {
            (true, Some(from)) => {
                parts.push(q.get(from..at)?);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if let Some(from) = start {
        parts.push(q.get(from..)?);
    }
    let joined = |word: &str| word.eq_ignore_ascii_case("or") || word.eq_ignore_ascii_case("not");
    if parts.iter().any(|part| joined(part)) {
        return None;
    }
    parts.retain(|part| !part.eq_ignore_ascii_case("and"));
    Some(parts)
}

/// A term in the grammar, quoted where it has to be.
pub(super) fn term(key: &str, value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let word = value.starts_with(|c: char| c.is_ascii_alphanumeric()) && value.chars().all(plain);
    if word {
        return format!("{key}:{value}");
    }
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{key}:\"{quoted}\"")
}

/// The query with one more term.
pub(super) fn with(q: &str, term: &str) -> String {
    match split(q) {
        _ if q.trim().is_empty() => term.to_owned(),
        Some(parts) => format!("{} {term}", parts.join(" ")),
        None => format!("({q}) {term}"),
    }
}

/// The query without a value: without the term that asks for it alone, or with a shorter list. None: it is not
/// asked for.
pub(super) fn without(q: &str, key: &str, value: &str) -> Option<String> {
    let parts = split(q)?;
    let (bare, quoted) = (format!("{key}:{value}"), term(key, value));
    let mut found = false;
    let mut kept = Vec::new();
    for part in parts {
        if part == bare || part == quoted {
            found = true;
            continue;
        }
        let list = part
            .strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(":(")?.strip_suffix(')'));
        let values: Vec<&str> = list.map_or_else(Vec::new, |list| list.split(',').collect());
        let is_it = |given: &&str| given.trim().trim_matches('"') == value;
        if list.is_some_and(|list| !list.contains('\\')) && values.iter().any(is_it) {
            found = true;
            let others: Vec<&str> = values
                .iter()
                .map(|v| v.trim())
                .filter(|v| !is_it(v))
                .collect();
            match others.as_slice() {
                [] => {}
                [one] => kept.push(format!("{key}:{one}")),
                _ => kept.push(format!("{key}:({})", others.join(","))),
            }
            continue;
        }
        kept.push(part.to_owned());
    }
    found.then(|| kept.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_side_by_side() {
        let q = r#"a:b  -c:(d, e) "x y\" z" AND f:"g h""#;
        assert_eq!(
            split(q).unwrap(),
            ["a:b", "-c:(d, e)", r#""x y\" z""#, r#"f:"g h""#]
        );
        assert_eq!(split("a OR b"), None);
        assert_eq!(split("(a OR b) c").unwrap().len(), 2);
        assert_eq!(split("  ").unwrap().len(), 0);
    }

    #[test]
    fn terms_come_and_go() {
        assert_eq!(with("", "a:b"), "a:b");
        assert_eq!(with("x OR y", "a:b"), "(x OR y) a:b");
        assert_eq!(term("resource", "a b\"c"), r#"resource:"a b\"c""#);
        assert_eq!(term("event", "github.push"), "event:github.push");
        assert_eq!(term("event", "a*"), "event:\"a*\"");
        assert_eq!(without("a:b c", "a", "b").as_deref(), Some("c"));
        assert_eq!(without("a:\"b\" c", "a", "b"), None);
        assert_eq!(without("a:\"b d\" c", "a", "b d").as_deref(), Some("c"));
        assert_eq!(
            without("w:(a, b,c) x", "w", "b").as_deref(),
            Some("w:(a,c) x")
        );
        assert_eq!(without("w:(a,b)", "w", "b").as_deref(), Some("w:a"));
        assert_eq!(without("-w:a", "w", "a"), None);
    }
}
