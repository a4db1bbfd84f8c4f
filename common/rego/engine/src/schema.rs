//! JSON Schema validation without any way to fetch a remote reference.

use serde_json::Value as Json;

pub enum Outcome {
    Valid,
    /// One `pointer: message` line for each violation.
    Violations(Vec<String>),
    BadSchema(String),
    BadDocument(String),
}

pub fn validate(schema: &[u8], document: &[u8], violations_max: usize) -> Outcome {
    let schema: Json = match serde_json::from_slice(schema) {
        Ok(parsed) => parsed,
        Err(error) => return Outcome::BadSchema(error.to_string()),
    };
    let document: Json = match serde_json::from_slice(document) {
        Ok(parsed) => parsed,
        Err(error) => return Outcome::BadDocument(error.to_string()),
    };
    let validator = match jsonschema::options().offline().build(&schema) {
        Ok(validator) => validator,
        Err(error) => return Outcome::BadSchema(error.to_string()),
    };
    let violations: Vec<String> = validator
        .iter_errors(&document)
        .take(violations_max)
        .map(|error| format!("{}: {}", pointer(error.instance_path().as_str()), clip(&error)))
        .collect();
    if violations.is_empty() {
        Outcome::Valid
    } else {
        Outcome::Violations(violations)
    }
}

fn pointer(path: &str) -> &str {
    if path.is_empty() {
        "(root)"
    } else {
        path
    }
}

/// A message quotes the offending value, which may be the whole document.
fn clip(error: &jsonschema::ValidationError<'_>) -> String {
    const MESSAGE_CHARS_MAX: usize = 300;
    let text = error.to_string();
    if text.chars().count() <= MESSAGE_CHARS_MAX {
        return text;
    }
    error.masked().to_string().chars().take(MESSAGE_CHARS_MAX).collect()
}
