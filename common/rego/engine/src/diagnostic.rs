//! One finding in a policy file, and the way back from the engine's error text to one.

use regorus::unstable::Span;
use serde_json::{json, Value as Json};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    pub path: String,
    pub line: u32,
    pub column: u32,
    pub message: String,
}

impl Diagnostic {
    pub fn at(span: &Span, message: impl Into<String>) -> Self {
        Self {
            path: span.source.get_path().clone(),
            line: span.line,
            column: span.col,
            message: message.into(),
        }
    }

    /// The engine writes `--> path:line:column`, the source line, a caret and `error: text`, and
    /// wraps an inner error as the text of an outer one: the last one is the most precise. An
    /// error without a place keeps `fallback_path` and line 0.
    pub fn from_engine(text: &str, fallback_path: &str) -> Self {
        let place = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("--> "))
            .filter_map(parse_place)
            .next_back();
        let message = match text.rfind("error: ") {
            Some(at) if place.is_some() => &text[at + "error: ".len()..],
            _ => text,
        };
        let (path, line, column) = place.unwrap_or((fallback_path, 0, 0));
        Self { path: path.to_owned(), line, column, message: message.trim().to_owned() }
    }

    pub fn to_json(&self) -> Json {
        json!({"path": self.path, "line": self.line, "column": self.column,
               "message": self.message})
    }

    pub fn to_line(&self) -> String {
        if self.line == 0 {
            return self.message.clone();
        }
        format!("{}:{}:{}: {}", self.path, self.line, self.column, self.message)
    }
}

fn parse_place(place: &str) -> Option<(&str, u32, u32)> {
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next()?.trim().parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    Some((parts.next()?, line, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_and_message_are_found() {
        let text = "\n--> a:b.rego:3:7\n  |\n3 | x := y\n  |      ^\nerror: var y is unsafe";
        let found = Diagnostic::from_engine(text, "");
        assert_eq!((found.path.as_str(), found.line, found.column), ("a:b.rego", 3, 7));
        assert_eq!(found.message, "var y is unsafe");
    }

    #[test]
    fn text_without_a_place_is_kept_whole() {
        let found = Diagnostic::from_engine("something else", "p.rego");
        assert_eq!((found.path.as_str(), found.line), ("p.rego", 0));
        assert_eq!(found.message, "something else");
    }
}
