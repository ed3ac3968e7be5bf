//! Schemes of an owner's own: what can be wrong with `verify = …`, and what is said about it.

use super::*;
use std::fmt::Write as _;

/// Files with secrets that the mistakes below name.
const FILES: &[(&str, &str)] = &[
    ("text", "fake-secret-0001"),
    ("blank", "   \n"),
    ("user", "ada:fake-pass-0001"),
    ("empty-user", ":"),
    ("hex", "66616b65"),
    ("base64", "ZmFrZS1rZXktMDAwMQ=="),
    ("zeros", "AAAA"),
    (
        "low-order",
        "0100000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "p384",
        "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEpwC228eo9hbmRVt46KsWFSEWr4m3yxAO\n/SSe3Bl03YwLTbfWoLW9rY4NzX53g+eVUt0RZHzS01twTWDZFiKsZPF+y9Wd1ohV\n+7NU0pT05uHz0eC89gppgFDgFEN0PPBA\n-----END PUBLIC KEY-----\n",
    ),
    (
        "rsa1024",
        "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDhJIyfJVQUsKTbYnJVsfCQPqC4\ndnaskMw7ScTW07WcQQCtSG4m1YsHQj37bF+fxRxO4m2627ER9p1rEyhyQ4pmhq1o\nY1rb6R5Fhw5Sts5Ew58pml9mJb2HKGjlp9ehjmnnZuNzslEIQgLVy2uYQKX9Do7w\n0vKBi8LlpRNb35xDuwIDAQAB\n-----END PUBLIC KEY-----\n",
    ),
    (
        "off-curve",
        "BAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    ),
    (
        "private",
        "-----BEGIN PRIVATE KEY-----\nZmFrZQ==\n-----END PRIVATE KEY-----\n",
    ),
    (
        "certificate",
        "-----BEGIN CERTIFICATE-----\nZmFrZQ==\n-----END CERTIFICATE-----\n",
    ),
];

/// A webhook whose `verify` is this.
fn file(verify: &str) -> String {
    format!(
        "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\n\
         event = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\nverify = {verify}\n"
    )
}

const WRONG: &[&str] = &[
    // Names that nobody knows.
    r#""hmac""#,
    r#"7"#,
    r#"{}"#,
    r#"{ scheme = "hmac-sha-256", header = "X-Sig", secret = { file = "text" } }"#,
    r#"{ scheme = "md5", header = "X-Sig", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", heder = "X-Sig", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", sekret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", encoding = "base32", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", key = "base46", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", signed = "{ts}.{bdy}", timestamp = "header:X-Ts", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", signed = "{body", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", signed = "", secret = { file = "text" } }"#,
    // Places.
    r#"{ scheme = "hmac-sha256", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = 7, secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", query = "sig", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", signature = "hdr:X-Sig", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", signature = { from = "json:sig" }, secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", signature = { form = "header:X-Sig" }, secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", signature = "header:X-Sig", prefix = "v1=", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", signature = { each = "json:/*", key = "/sig" }, secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig-{1..}", secret = { file = "text" } }"#,
    r#"{ scheme = "header-token", secret = { file = "text" } }"#,
    r#"{ scheme = "query-token", query = true, secret = { file = "text" } }"#,
    r#"{ scheme = "body-token", secret = { file = "text" } }"#,
    r#"{ scheme = "body-token", json = "token", secret = { file = "text" } }"#,
    r#"{ scheme = "path-token", secret = { file = "text" } }"#,
    r#"{ scheme = "address", networks = ["10.0.0.0/33"] }"#,
    r#"{ scheme = "address", networks = ["10.0.0.0/8"], secret = { file = "text" } }"#,
    // Times and contradictions.
    r#"{ scheme = "hmac-sha256", header = "X-Sig", signed = "{ts}.{body}", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", timestamp = "header:X-Ts", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", tolerance = "5m", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", signed = "{ts}.{body}", timestamp = "header:X-Ts", tolerance = "5 weeks", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", signed = "{ts}.{body}", timestamp = { from = "header:X-Ts", unit = "minutes" }, secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", id = "header:X-Id", secret = { file = "text" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", signed = "{secret}{body}", secret = { file = "text" } }"#,
    r#"{ scheme = "sha256", header = "X-Sig", secret = { file = "text" } }"#,
    r#"{ scheme = "bearer", header = "Authorization", token = { file = "text" } }"#,
    r#"{ scheme = "none", header = "X" }"#,
    r#"{ scheme = "jwt", header = "Authorization", prefix = "Bearer ", secret = { file = "text" } }"#,
    r#"{ scheme = "jwt", header = "Authorization", algorithms = ["HS256", "RS256"], secret = { file = "text" } }"#,
    r#"{ scheme = "jwt", header = "Authorization", algorithms = ["none"], secret = { file = "text" } }"#,
    r#"{ scheme = "jwt", algorithms = ["HS256"], secret = { file = "text" } }"#,
    // Lists.
    r#"{ any = [] }"#,
    r#"{ any = [{ scheme = "bearer", token = { file = "text" } }], all = [] }"#,
    r#"{ scheme = "bearer", any = [{ scheme = "bearer", token = { file = "text" } }] }"#,
    r#"{ any = { scheme = "bearer", token = { file = "text" } } }"#,
    r#"{ any = [{ all = [{ any = [{ scheme = "bearer", token = { file = "text" } }] }] }] }"#,
    r#"{ any = [{ scheme = "bearer" }, { scheme = "basic", secret = { file = "user" } }] }"#,
    r#"{ any = ["none", { scheme = "bearer", token = { file = "text" } }] }"#,
    r#"{ first = [{ scheme = "bearer", token = { file = "text" } }, "none"] }"#,
    r#"{ first = ["none", { scheme = "bearer", token = { file = "text" } }] }"#,
    r#"{ scheme = "address", networks = [] }"#,
    r#"{ scheme = "address", networks = ["192.0.2.0/24", "::/0"] }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", signed = "always the same", secret = { file = "text" } }"#,
    r#"{ scheme = "sha256", header = "X-Sig", signed = "{secret}", secret = { file = "text" } }"#,
    // Secrets.
    r#"{ scheme = "bearer" }"#,
    r#"{ scheme = "bearer", token = "fake-token-0001" }"#,
    r#"{ scheme = "bearer", token = { file = "text" }, secret = { file = "text" } }"#,
    r#"{ scheme = "bearer", token = [] }"#,
    r#"{ scheme = "bearer", token = { file = "blank" } }"#,
    r#"{ scheme = "bearer", token = [{ file = "text" }, { file = "text", until = "soon" }] }"#,
    r#"{ scheme = "bearer", token = [{ file = "text" }, { file = "hex", until = 2020-01-01T00:00:00Z }] }"#,
    r#"{ scheme = "bearer", token = { file = "text", until = 2020-01-01T00:00:00Z } }"#,
    r#"{ scheme = "basic", secret = { file = "text" } }"#,
    r#"{ scheme = "basic", secret = { file = "empty-user" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", key = "base64", secret = { file = "user" } }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", key = "hex", secret = [{ file = "hex" }, { file = "text" }] }"#,
    r#"{ scheme = "hmac-sha256", header = "X-Sig", key = "base64", secret = { file = "zeros" } }"#,
    r#"{ scheme = "ed25519", header = "X-Sig", secret = { file = "text" } }"#,
    r#"{ scheme = "ed25519", header = "X-Sig", secret = { file = "low-order" } }"#,
    r#"{ scheme = "ed25519", header = "X-Sig", key = "base64", secret = { file = "base64" } }"#,
    r#"{ scheme = "ecdsa-p256-sha256", header = "X-Sig", secret = { file = "p384" } }"#,
    r#"{ scheme = "ecdsa-p256-sha256", header = "X-Sig", key = "base64", secret = { file = "off-curve" } }"#,
    r#"{ scheme = "rsa-sha256", header = "X-Sig", secret = { file = "rsa1024" } }"#,
    r#"{ scheme = "rsa-sha256", header = "X-Sig", secret = { file = "p384" } }"#,
    r#"{ scheme = "rsa-sha256", header = "X-Sig", secret = { file = "private" } }"#,
    r#"{ scheme = "rsa-sha256", header = "X-Sig", secret = { file = "certificate" } }"#,
    r#"{ scheme = "jwt", header = "Authorization", algorithms = ["HS256"], secret = { file = "p384" } }"#,
    r#"{ scheme = "jwt", header = "Authorization", algorithms = ["RS256"], secret = { file = "text" } }"#,
];

#[test]
fn what_is_wrong_with_a_scheme() {
    let mut out = String::new();
    let mut silent = Vec::new();
    for verify in WRONG {
        let said = lines(&load_text(&file(verify), FILES));
        if said.is_empty() {
            silent.push(*verify);
        }
        assert!(!said.contains("fake-"), "{said}");
        writeln!(out, "verify = {verify}\n{said}").unwrap();
    }
    assert!(silent.is_empty(), "nothing is said about {silent:#?}");
    insta::with_settings!({ snapshot_path => "../../../tests/cases/verify", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("wrong-schemes", out);
    });
}
