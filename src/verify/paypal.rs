//! PayPal: identifier and time of the transmission, the webhook's own identifier and the CRC-32 of the body, joined
//! by bars (developer.paypal.com, verify webhook signature). The webhook's identifier is what the owner configures
//! as `secret`: without it any webhook of PayPal's would do.

use super::certified::{Failure, Signed};
use super::encoding::Encoding;
use super::public::PublicAlgorithm;
use crate::codes;
use crate::model::Request;
use crate::model::request::header_text;

/// The algorithm's name in `PAYPAL-AUTH-ALGO`; no other is documented.
const ALGORITHM: &str = "SHA256withRSA";

/// `webhooks`: identifiers of webhooks.
pub(super) fn signed<'a>(
    request: &Request,
    webhooks: impl Iterator<Item = &'a str>,
) -> Result<Signed, Failure> {
    let malformed = |message: &str| (codes::CREDENTIAL_MALFORMED, message.to_owned());
    let id = header(request, "paypal-transmission-id")?;
    let time = header(request, "paypal-transmission-time")?;
    let signature = header(request, "paypal-transmission-sig")?;
    let url = header(request, "paypal-cert-url")?;
    if request.headers.get("paypal-auth-algo").is_some()
        && !header(request, "paypal-auth-algo")?.eq_ignore_ascii_case(ALGORITHM)
    {
        return Err(malformed("the algorithm in paypal-auth-algo is not known"));
    }
    let crc = crc32fast::hash(&request.wire_body);
    let contents: Vec<_> = webhooks
        .map(|webhook| format!("{id}|{time}|{}|{crc}", webhook.trim()).into_bytes())
        .collect();
    if contents.is_empty() {
        let message = "no signature can match: every secret's `until` has passed";
        return Err((codes::SIGNATURE_MISMATCH, message.to_owned()));
    }
    let signature = Encoding::Base64.decode(&signature);
    Ok(Signed {
        url,
        algorithm: PublicAlgorithm::RsaSha256,
        signature: signature.ok_or_else(|| malformed("the signature is not base64"))?,
        contents,
        time,
        topic: None,
    })
}

/// The one value of a header. One that holds the mark between the values would let them slide.
fn header(request: &Request, name: &str) -> Result<String, Failure> {
    let mut values = request.headers.all(name).map(header_text);
    let value = match (values.next(), values.next()) {
        (None, _) => {
            let message = format!("the request has no header {name}");
            return Err((codes::CREDENTIAL_MISSING, message));
        }
        (Some(value), None) => value,
        (Some(_), Some(_)) => {
            let message = format!("header {name} arrives more than once");
            return Err((codes::CREDENTIAL_MALFORMED, message));
        }
    };
    let value = value.trim();
    if value.is_empty() || value.contains('|') {
        let message = format!("header {name} has not the form of PayPal's");
        return Err((codes::CREDENTIAL_MALFORMED, message));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::http_file;
    use jiff::Timestamp;

    const HEAD: &str = "Paypal-Transmission-Id: 69cd13f0-d67a-11e5-baa3-778b53f4ae55\nPaypal-Transmission-Time: 2016-02-18T20:01:35Z\nPaypal-Transmission-Sig: AA==\nPaypal-Cert-Url: https://api.paypal.com/v1/notifications/certs/CERT-fake\nPaypal-Auth-Algo: SHA256withRSA";

    fn read(head: &str) -> Result<Signed, Failure> {
        let text = format!("POST /hooks/x HTTP/1.1\n{head}\n\nbody");
        let request = http_file::parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        signed(
            &request,
            ["fake-webhook-0001", "fake-webhook-0002"].into_iter(),
        )
    }

    #[test]
    fn joined_by_bars_once_for_each_webhook() {
        let crc = crc32fast::hash(b"body");
        let want = |webhook: &str| {
            format!("69cd13f0-d67a-11e5-baa3-778b53f4ae55|2016-02-18T20:01:35Z|{webhook}|{crc}")
        };
        let signed = read(HEAD).unwrap();
        let contents: Vec<_> = signed
            .contents
            .into_iter()
            .map(|c| String::from_utf8(c).unwrap())
            .collect();
        assert_eq!(
            contents,
            [want("fake-webhook-0001"), want("fake-webhook-0002")]
        );
        let lines: Vec<&str> = HEAD.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let name = line.split(':').next().unwrap();
            let mut changed = lines.clone();
            changed.remove(at);
            let found = read(&changed.join("\n")).err().map(|(code, _)| code);
            let want = (name != "Paypal-Auth-Algo").then_some(codes::CREDENTIAL_MISSING);
            assert_eq!(found, want, "{name}");
            for more in [
                format!("{HEAD}\n{line}"),
                HEAD.replace(line, &format!("{name}: a|b")),
            ] {
                let found = read(&more).err().map(|(code, _)| code);
                assert_eq!(found, Some(codes::CREDENTIAL_MALFORMED), "{more}");
            }
        }
    }
}
