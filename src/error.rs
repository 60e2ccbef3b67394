//! Errors in one line, for logs and for the reason a fact is unknown.

use std::error::Error;

/// An error and its causes, joined by colons; a cause that the text says already is not repeated.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        text = format!("{text}: {cause}");
    }
    text
}

/// What led to an error, outermost first, without those whose text was said before.
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if said.iter().all(|before| !before.contains(&text)) {
            said.push(text);
        }
        cause = error.source();
    }
    said.split_off(1)
}
