//! A request as the `curl` that sends it. Where the credential is the secret itself, a variable stands for it.

use crate::model::Request;
use crate::model::request::header_text;
use crate::verify::BASIC_MARK;
use base64::Engine as _;
use reqwest::Url;

/// Stands for the secret in a request that is to be printed: survives JSON, forms and URLs as it is.
pub(super) const MARK: &str = "HookgateSecretStandsHere0001";

/// The command, with a line that says what the variable must hold where there is one.
pub(super) fn command(request: &Request, url: &Url, variable: &str) -> String {
    let quoted = |text: &str| with_variable(&quote(text), variable);
    let mut lines = vec![format!(
        "curl -sS -i -g -X {} {}",
        request.method,
        quoted(url.as_str())
    )];
    for (name, value) in request.headers.iter() {
        let line = format!("{name}: {}", header_text(value));
        lines.push(format!("-H {}", quoted(&line)));
    }
    let body = request.wire_body.as_ref();
    let mut before = String::new();
    if !body.is_empty() {
        if request.headers.get("content-type").is_none() {
            lines.push("-H 'content-type:'".to_owned());
        }
        match std::str::from_utf8(body).ok().filter(|t| !t.contains('\0')) {
            Some(text) => lines.push(format!("--data-raw {}", quoted(text))),
            None => {
                let text = base64::engine::general_purpose::STANDARD.encode(body);
                before = format!("printf %s '{text}' | base64 -d | ");
                lines.push("--data-binary @-".to_owned());
            }
        }
    }
    let command = format!("{before}{}\n", lines.join(" \\\n  "));
    if command.contains(&format!("${variable}")) {
        let note =
            format!("# {variable} must hold the webhook's secret, which this request carries\n");
        return format!("{note}{command}");
    }
    command
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The quoted text with the variable in the mark's place.
fn with_variable(quoted: &str, variable: &str) -> String {
    let basic = format!("{BASIC_MARK}{MARK}");
    quoted
        .replace(
            &basic,
            &format!("'\"$(printf %s \"${variable}\" | base64 | tr -d '\\n')\"'"),
        )
        .replace(MARK, &format!("'\"${variable}\"'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;

    #[test]
    fn text_is_quoted_and_the_secret_is_a_variable() {
        let text = format!(
            "POST /hooks/x?a=1 HTTP/1.1\nX-Token: {MARK}\nAuthorization: Basic basic:{MARK}\n\nit's"
        );
        let request = http_file::parse(text.as_bytes(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        let url = Url::parse("http://127.0.0.1:1/hooks/x?a=1").unwrap();
        let got = command(&request, &url, "S");
        let want = "# S must hold the webhook's secret, which this request carries\n\
curl -sS -i -g -X POST 'http://127.0.0.1:1/hooks/x?a=1' \\\n  \
-H 'x-token: '\"$S\"'' \\\n  \
-H 'authorization: Basic '\"$(printf %s \"$S\" | base64 | tr -d '\\n')\"'' \\\n  \
-H 'content-type:' \\\n  \
--data-raw 'it'\\''s'\n";
        assert_eq!(got, want);
        let binary = http_file::parse(b"PUT /x\n\n\x00\xff", jiff::Timestamp::UNIX_EPOCH).unwrap();
        let got = command(&binary, &url, "S");
        assert!(
            got.starts_with("printf %s 'AP8=' | base64 -d | curl "),
            "{got}"
        );
        assert!(got.ends_with("--data-binary @-\n"), "{got}");
    }
}
