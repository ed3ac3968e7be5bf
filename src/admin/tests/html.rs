//! Pages as the trees that browsers make of them, and what must hold for every one.

use super::{get, send};
use crate::admin::Admin;
use scraper::{ElementRef, Html, Selector};
use std::collections::HashSet;
use std::sync::Arc;

/// A page that was asked for.
pub(super) struct Page {
    pub(super) document: Html,
    pub(super) path: String,
}

/// Asks for a page and checks what holds for all.
pub(super) async fn page(admin: &Arc<Admin>, path: &str) -> Page {
    let answer = send(admin, get(path).insert_header(("accept", "text/html"))).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert!(answer.header("content-type").starts_with("text/html"));
    let page = Page {
        document: Html::parse_document(&answer.text()),
        path: path.to_owned(),
    };
    page.is_sound();
    page
}

impl Page {
    pub(super) fn all(&self, selector: &str) -> Vec<ElementRef<'_>> {
        let selector = Selector::parse(selector).unwrap();
        self.document.select(&selector).collect()
    }

    /// The one element that there is of this kind.
    pub(super) fn one(&self, selector: &str) -> ElementRef<'_> {
        let found = self.all(selector);
        assert_eq!(
            found.len(),
            1,
            "{}: {selector}: {}",
            self.path,
            self.document.html()
        );
        found[0]
    }

    /// The text of all elements of a kind, white space made single.
    pub(super) fn text(&self, selector: &str) -> String {
        let found = self.all(selector);
        let texts: Vec<String> = found.iter().map(|element| text(*element)).collect();
        texts.join(" | ")
    }

    /// Whether a text stands somewhere on the page.
    pub(super) fn says(&self, words: &str) -> bool {
        text(self.document.root_element()).contains(words)
    }

    /// Addresses on this listener that the page links to.
    pub(super) fn links(&self) -> Vec<String> {
        let mut links: Vec<String> = self
            .all("a[href]")
            .iter()
            .filter_map(|a| a.attr("href"))
            .filter(|href| href.starts_with('/'))
            .map(|href| href.split('#').next().unwrap().to_owned())
            .collect();
        links.sort();
        links.dedup();
        links
    }

    /// What holds for every page: landmarks, one heading of the first order, names for all that can be used,
    /// nothing inline that could run, nothing from elsewhere.
    fn is_sound(&self) {
        let path = &self.path;
        for landmark in [
            "main#main",
            "header.top",
            "nav#nav",
            "form[role=search]",
            "h1",
            "a.skip",
        ] {
            self.one(landmark);
        }
        self.one("main h1");
        self.one("html[lang=en]");
        assert_eq!(self.all("body > *")[0].attr("href"), Some("#main"));
        let mut ids = HashSet::new();
        for element in self.all("[id]") {
            let id = element.attr("id").unwrap();
            assert!(
                ids.insert(id.to_owned()),
                "{path}: the id `{id}` is there twice"
            );
        }
        for element in self.all("*") {
            let html = element.html();
            let shown = html.chars().take(200).collect::<String>();
            for (name, value) in element.value().attrs() {
                assert!(
                    !name.starts_with("on") && name != "style",
                    "{path}: {shown}"
                );
                let points =
                    ["aria-labelledby", "aria-describedby", "popovertarget"].contains(&name);
                assert!(
                    !points || ids.contains(value),
                    "{path}: {name} points nowhere: {shown}"
                );
                let away = ["src", "href", "action"].contains(&name)
                    && !value.starts_with(['/', '#', '?'])
                    && !value.starts_with("data:,");
                assert!(!away, "{path}: leads away: {shown}");
            }
            match element.value().name() {
                "script" => assert!(element.attr("src").is_some(), "{path}: {shown}"),
                "style" | "iframe" | "object" | "base" | "img" => panic!("{path}: {shown}"),
                "a" | "button" => {
                    let named = !text(element).is_empty() || element.attr("aria-label").is_some();
                    assert!(named, "{path}: has no name: {shown}");
                }
                "nav" | "aside" | "section" => {
                    let named = element
                        .attr("aria-label")
                        .or(element.attr("aria-labelledby"));
                    let step = element.attr("class") == Some("step");
                    assert!(named.is_some() || step, "{path}: has no name: {shown}");
                }
                "form" if element.attr("method") == Some("post") => {
                    assert!(html.contains("name=\"form_token\""), "{path}: {shown}");
                }
                _ => {}
            }
        }
    }
}

/// The text of an element, white space made single.
pub(super) fn text(element: ElementRef<'_>) -> String {
    let pieces: Vec<&str> = element.text().collect();
    let text = pieces.join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Asks for every address that a page links to; each must be there.
pub(super) async fn links_work(admin: &Arc<Admin>, page: &Page) {
    let links = page.links();
    assert!(!links.is_empty());
    for link in links {
        let answer = send(admin, get(&link)).await;
        assert_eq!(
            answer.status,
            200,
            "{} links to {link}: {}",
            page.path,
            answer.text()
        );
    }
}
