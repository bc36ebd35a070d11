//! Text from anywhere, made harmless: names and metadata come from files.

/// Text in HTML, between tags or in a quoted attribute.
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(visible(c)),
        }
    }
    escaped
}

/// Text in a paragraph or a table of Markdown: on one line, none of it markup.
pub fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut before = None;
    while let Some(c) = chars.next() {
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match c {
            // Within a word it is no markup, and names are full of it.
            '_' if is_letter(before) && is_letter(chars.peek().copied()) => escaped.push(c),
            // A tag, an entity or an autolink, in every dialect.
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' | '\t' => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '!' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(visible(c)),
        }
        before = Some(c);
    }
    // What would begin a list, a heading or a rule.
    match escaped.chars().next() {
        Some(c @ ('-' | '+' | '=' | ':')) => format!("\\{c}{}", &escaped[1..]),
        _ => escaped,
    }
}

/// Text as a string of YAML, in double quotes.
pub fn yaml(text: &str) -> String {
    let mut escaped = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            c if c.is_control() || is_format(c) => {
                escaped.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    escaped + "\""
}

/// A sign for what has none and would do something instead: control characters, and marks that turn
/// the direction of what follows.
fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        c if u32::from(c) < 0x20 => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        c if c.is_control() || is_format(c) => '\u{fffd}',
        c => c,
    }
}

/// Whether a character is a mark of direction, a line separator, or no character.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(html("<b a='1' b=\"2\">&"), "&lt;b a=&#39;1&#39; b=&quot;2&quot;&gt;&amp;");
        assert_eq!(html("a\u{202e}b\u{7}"), "a\u{fffd}b\u{2407}");
        assert_eq!(markdown("a|b\n`c` [d](e) <f>"), "a\\|b \\`c\\` \\[d\\](e) &lt;f&gt;");
        assert_eq!(markdown("- x"), "\\- x");
        assert_eq!(markdown("Q4_K_M _a_ b__c"), "Q4_K_M \\_a\\_ b\\_\\_c");
        assert_eq!(yaml("a: \"b\"\n\u{1}"), "\"a: \\\"b\\\"\\n\\U00000001\"");
    }

    /// What a browser makes of escaped text.
    fn unescaped(text: &str) -> String {
        let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'")];
        let text = entities.iter().fold(text.to_string(), |text, (of, to)| text.replace(of, to));
        text.replace("&amp;", "&")
    }

    proptest! {
        #[test]
        fn html_reads_as_the_text(text in "[ -~]*") {
            let escaped = html(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            prop_assert_eq!(unescaped(&escaped), text);
        }

        #[test]
        fn markdown_is_one_line_without_markup(text in any::<String>()) {
            let escaped = markdown(&text);
            prop_assert!(!escaped.contains(['<', '>', '\n', '\r']));
            let mut escape = false;
            for c in escaped.chars() {
                prop_assert!(escape || !"`|[]*#".contains(c), "{}", escaped);
                escape = c == '\\' && !escape;
            }
        }

        #[test]
        fn yaml_is_json_but_for_its_long_escapes(text in "[^\u{0}-\u{1f}\u{7f}-\u{9f}\u{200e}\u{200f}\u{2028}-\u{202e}\u{2066}-\u{2069}\u{feff}\u{fffe}\u{ffff}]*") {
            let read: Result<String, _> = serde_json::from_str(&yaml(&text));
            prop_assert_eq!(read.ok(), Some(text));
        }
    }
}
