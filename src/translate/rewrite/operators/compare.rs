//! Comparisons: one is a filter of its own, a chain of them (`1 < x < 5`) is one filter.

use super::{Read, Reader};

/// A comparison's sign: where its token is, how many tokens it has, its filter, its text.
struct Sign {
    at: usize,
    length: usize,
    filter: &'static str,
    text: &'static str,
}

impl Reader<'_> {
    pub(super) fn comparison(&mut self) -> Read {
        let from = self.at;
        self.sum()?;
        let mut signs = Vec::new();
        while let Some(sign) = self.comparison_sign() {
            self.at += sign.length;
            signs.push(sign);
            self.sum()?;
        }
        let after = self.at;
        let mut first = None;
        match signs.as_slice() {
            [] => {}
            [one] if one.filter.is_empty() => {}
            [one] => first = Some(self.replaced(one, &format!(")|{}(", one.filter))),
            chain => {
                for sign in chain {
                    let text = match first {
                        None => format!(")|__chain('{}',", sign.text),
                        Some(_) => format!(",'{}',", sign.text),
                    };
                    let operator = self.replaced(sign, &text);
                    first = first.or(Some(operator));
                }
            }
        }
        self.at = after;
        if let Some(operator) = first {
            self.operands(from, operator);
        }
        Some(())
    }

    fn replaced(&mut self, sign: &Sign, text: &str) -> usize {
        self.at = sign.at;
        self.replace(sign.length, text)
    }

    /// The comparison that stands here.
    fn comparison_sign(&self) -> Option<Sign> {
        let (operator, length) = self.operator();
        let (filter, text, length) = match operator {
            "<" => ("__lt", "<", length),
            "<=" => ("__le", "<=", length),
            ">" => ("__gt", ">", length),
            ">=" => ("__ge", ">=", length),
            "==" => ("", "==", length),
            "!=" => ("", "!=", length),
            _ if self.is_word("in") => ("__in", "in", 1),
            _ if self.is_word("not")
                && self
                    .tokens
                    .get(self.at + 1)
                    .is_some_and(|t| self.text_of(t) == "in") =>
            {
                ("__notin", "not in", 2)
            }
            _ => return None,
        };
        Some(Sign {
            at: self.at,
            length,
            filter,
            text,
        })
    }
}
