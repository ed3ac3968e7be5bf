//! What would help where a sink does not take what is sent, in words.

use crate::codes::{self, Code};
use crate::config::Config;

/// What would help against a failure with this code; `what` is its sentence, which holds the sink's status.
pub(super) fn against(config: &Config, sink: &str, code: Code, what: &str) -> String {
    match status(what) {
        Some(401 | 403) => credentials(config, sink),
        Some(404 | 405 | 410) => format!(
            "There is nothing at the sink's address. {} Then test the sink.",
            key(config, sink, "url", "Look at `url` of the sink")
        ),
        Some(408 | 425 | 429) => {
            "It wants less at once: a smaller `batch` may help. Retry later.".to_owned()
        }
        Some(413) => "The event is too large for it: let it take more, or make the event smaller in its template. \
                      Retrying alone will not help."
            .to_owned(),
        Some(400..=499) => "It does not take the event as it is; its answer says why. Change the template and replay \
                            the delivery, or change the receiver and retry. Retrying alone will not help."
            .to_owned(),
        Some(500..=599) => {
            "The receiver has trouble of its own. Retry when it is well again.".to_owned()
        }
        _ => by_code(config, sink, code),
    }
}

fn by_code(config: &Config, sink: &str, code: Code) -> String {
    match code {
        codes::SINK_MISCONFIGURED => credentials(config, sink),
        codes::SINK_UNCONFIRMED => {
            "It takes the event and does not show it afterwards. Look for it at the receiver; with `confirm = false` \
             its answer alone counts."
                .to_owned()
        }
        codes::SINK_UNREACHABLE => format!(
            "Nobody answers there. {} Nothing is lost meanwhile: it is tried again by itself.",
            key(config, sink, "url", "Look at `url` of the sink, and whether the receiver runs")
        ),
        codes::SINK_CUT_OFF => {
            "It fell behind `max_lag`. What was skipped is in the log: replay it to this sink.".to_owned()
        }
        _ => "Its answer says why. Test the sink, then retry.".to_owned(),
    }
}

fn credentials(config: &Config, sink: &str) -> String {
    let names = ["token", "auth", "headers"];
    let written = names.into_iter().find_map(|name| {
        let path = format!("sink.{sink}.{name}");
        let value = config.outline.iter().find(|value| value.key == path)?;
        Some((name, value))
    });
    match written {
        Some((name, value)) => format!(
            "The credentials were refused. `{name}` of the sink is `{}`, in line {}: renew what it names, reload, test \
             the sink, then retry.",
            value.value.replace('`', "'"),
            value.line
        ),
        None => "It wants credentials, and the sink has none: set `token`, such as `token = { env = \"SINK_TOKEN\" }`, \
                 reload, test the sink, then retry."
            .to_owned(),
    }
}

/// `url` is `"https://…"`, in line 9.
fn key(config: &Config, sink: &str, name: &str, otherwise: &str) -> String {
    let path = format!("sink.{sink}.{name}");
    let written = config.outline.iter().find(|value| value.key == path);
    written.map_or_else(
        || format!("{otherwise}."),
        |value| {
            let text = value.value.replace('`', "'");
            format!("`{name}` is `{text}`, in line {}.", value.line)
        },
    )
}

/// The first number in a sentence that can be a status.
fn status(what: &str) -> Option<u16> {
    let words = what.split(|c: char| !c.is_ascii_digit());
    let mut statuses = words.filter(|word| word.len() == 3);
    statuses.find_map(|word| word.parse().ok().filter(|n| (400..600).contains(n)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load_text};
    use std::path::Path;

    #[test]
    fn the_variable_of_the_token_is_named() {
        let text = "[[sink]]\nname = \"prefect\"\nkind = \"http\"\nurl = \"https://example.com/\"\n\
                    token = { env = \"PATH\" }\n";
        let loaded = load_text(
            Path::new("/x/w.toml"),
            text.to_owned(),
            &Overrides::default(),
        );
        let config = loaded.config.unwrap();
        let said = |code, what| against(&config, "prefect", code, what);
        let credentials = said(codes::SINK_REFUSED, "the sink answered 401");
        assert!(credentials.contains("{ env = \"PATH\" }") && credentials.contains("line 5"));
        assert!(said(codes::SINK_REFUSED, "422 Unprocessable").contains("template"));
        assert!(said(codes::SINK_UNREACHABLE, "no answer").contains("https://example.com/"));
        assert!(against(&config, "none", codes::SINK_MISCONFIGURED, "").contains("set `token`"));
        assert_eq!(status("batch of 200, sequence 1,204,303"), None);
    }
}
