//! A kept or written request as the public listener would have handed it over: `Content-Encoding` undone, under
//! the URL that the sender called.

use crate::codes;
use crate::config::Webhook;
use crate::intake::EdgeSettings;
use crate::intake::answer::Refusal;
use crate::intake::budget::Budget;
use crate::intake::coding;
use crate::intake::head::{self, UrlBase};
use crate::model::http_file::SLUG_MASK;
use crate::model::{Problem, Request, limits};

/// Makes a request that was kept, or written as an `.http` file, what the webhook would have received: its body
/// decoded within `max_body`, its URL the configured public one. Call it once, before anything is changed in it.
///
/// `edge`: the public listener's settings; none for a template alone.
///
/// # Errors
/// `HG0103` when the body is not what `Content-Encoding` says, or too large.
pub fn receive(
    request: &mut Request,
    webhook: &Webhook,
    edge: Option<&EdgeSettings>,
) -> Result<(), Problem> {
    undo_coding(request, webhook.max_body)?;
    set_url(request, webhook, edge);
    Ok(())
}

/// Decodes the body of a request that came without a webhook.
///
/// # Errors
/// As [`receive`].
pub fn undo_coding(request: &mut Request, max_body: usize) -> Result<(), Problem> {
    // One request at a time, and `max_body` bounds it: the budget only has to be large enough for two codings.
    let mut permit = Budget::new(limits::BODY_BYTES_MAX.saturating_mul(4)).permit();
    let codings = request.headers.all("content-encoding");
    let decoded = coding::decode(&request.wire_body, codings, max_body, &mut permit);
    match decoded {
        Ok(body) if body.len() > max_body => Err(too_large(max_body)),
        Ok(body) => {
            request.body = body;
            Ok(())
        }
        Err(Refusal::TooLarge) => Err(too_large(max_body)),
        Err(refusal) => {
            let coding = request.headers.text("content-encoding").unwrap_or_default();
            let coding = coding.chars().take(100).collect::<String>();
            let why = match refusal {
                Refusal::UnsupportedCoding => "which is not supported",
                _ => "but its body is not in that form",
            };
            let message = format!("the request says `Content-Encoding: {coding}`, {why}");
            Err(Problem::new(codes::REQUEST_FILE, message).help(
                "keep the body byte for byte as it was sent; or write it decoded and remove the header",
            ))
        }
    }
}

fn too_large(max: usize) -> Problem {
    let message = format!("the request's body has more than {max} bytes, which is `max_body`");
    Problem::new(codes::REQUEST_FILE, message).help("the gateway would answer 413")
}

/// The URL that the sender called. A kept request shows a mark where the slug was.
fn set_url(request: &mut Request, webhook: &Webhook, edge: Option<&EdgeSettings>) {
    let base = UrlBase {
        webhook: webhook.public_url.as_deref(),
        server: edge.and_then(|edge| edge.public_url.as_deref()),
        secure: edge.is_some_and(|edge| edge.tls.is_some()),
    };
    let slug = webhook.slug.expose();
    let path = format!("/hooks/{slug}{}", request.path);
    // The file's own target says whether there was a `?`, which counts even where nothing follows it.
    let query = request.url.split_once('?').map(|(_, query)| query);
    if let Some(url) = head::public_url(base, &path, &request.path, query) {
        request.url = url;
        return;
    }
    let marked = format!("/hooks/{SLUG_MASK}");
    if request.url.contains(&marked) {
        let url = request.url.replacen(&marked, &format!("/hooks/{slug}"), 1);
        request.url = match url.strip_prefix("http://") {
            Some(rest) if base.secure => format!("https://{rest}"),
            _ => url,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides, load};
    use crate::model::http_file;
    use std::io::Write as _;

    const SLUG: &str = "fakeslug00000000000001";

    fn config(server: &str, lines: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("webhooks.toml");
        let text = format!(
            "[server]\n{server}\n[[webhook]]\nname = \"w\"\nslug = \"{SLUG}\"\nverify = \"none\"\n\
             event = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n{lines}\n"
        );
        std::fs::write(&file, text).unwrap();
        load(&file, &Overrides::default()).config.unwrap()
    }

    fn request(bytes: &[u8]) -> Request {
        http_file::parse(bytes, jiff::Timestamp::UNIX_EPOCH).unwrap()
    }

    fn gzipped(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body).unwrap();
        let mut bytes = b"POST /hooks/{slug} HTTP/1.1\nContent-Encoding: gzip\n\n".to_vec();
        bytes.extend(encoder.finish().unwrap());
        bytes
    }

    #[test]
    fn the_coding_is_undone_within_the_limit() {
        let config = config("", "max_body = \"1 KiB\"");
        let webhook = &config.webhooks[0];
        let mut kept = request(&gzipped(b"{\"a\": 1}"));
        let wire = kept.wire_body.clone();
        receive(&mut kept, webhook, Some(&config.edge)).unwrap();
        assert_eq!(
            (&kept.body[..], &kept.wire_body),
            (&b"{\"a\": 1}"[..], &wire)
        );
        let mut large = request(&gzipped(&[b'x'; 2000]));
        let problem = receive(&mut large, webhook, Some(&config.edge)).unwrap_err();
        assert!(problem.message.contains("1024 bytes"), "{problem:?}");
        for (coding, said) in [("gzip", "not in that form"), ("zip", "not supported")] {
            let text = format!("POST /hooks/x HTTP/1.1\nContent-Encoding: {coding}\n\n{{}}");
            let problem = receive(&mut request(text.as_bytes()), webhook, None).unwrap_err();
            assert!(problem.message.contains(said), "{problem:?}");
            assert_eq!(problem.code, codes::REQUEST_FILE);
        }
    }

    #[test]
    fn the_url_is_the_one_that_was_called() {
        let server = "public_url = \"https://a.example/in\"";
        let webhook = "subpaths = true\npublic_url = \"https://b.example/x\"";
        for (server, lines, target, want) in [
            (
                "",
                "",
                "/hooks/{slug}/m?a=1",
                "http://h.example/hooks/SLUG/m?a=1",
            ),
            (
                "",
                "",
                "http://c.example/hooks/y",
                "http://c.example/hooks/y",
            ),
            (
                server,
                "",
                "/hooks/{slug}?a=%20b",
                "https://a.example/in/hooks/SLUG?a=%20b",
            ),
            (
                server,
                "",
                "/hooks/x/m?",
                "https://a.example/in/hooks/SLUG/m?",
            ),
            (
                server,
                webhook,
                "/hooks/x/m?a=1",
                "https://b.example/x/m?a=1",
            ),
        ] {
            let config = config(server, lines);
            let text = format!("POST {target} HTTP/1.1\nHost: h.example\n\n");
            let mut request = request(text.as_bytes());
            receive(&mut request, &config.webhooks[0], Some(&config.edge)).unwrap();
            assert_eq!(request.url, want.replace("SLUG", SLUG), "{target}");
        }
    }
}
