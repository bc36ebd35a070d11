//! Type scripts, in which modules of OpenCog declare their types: `FOO_LINK <- LINK,BAR_SIG "Foo"`.

/// A line that declares no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What was expected, and what was found.
    pub fault: String,
}

/// A declaration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The line, from 1.
    pub line: usize,
    /// The long name: `FooLink`.
    pub name: String,
    /// The long name without `Link` or `Node` at its end; empty where it has neither.
    pub short: String,
    /// The long names of the parents.
    pub parents: Vec<String>,
}

/// All declarations of a script.
pub(super) fn lines(script: &str) -> Result<Vec<Line>, ScriptError> {
    let script = script.strip_prefix('\u{feff}').unwrap_or(script);
    let declared = (1..).zip(script.lines()).map(|(line, text)| {
        let text = text.split_once("//").map_or(text, |(text, _)| text).trim();
        match text.is_empty() {
            true => Ok(None),
            false => declaration(line, text).map(Some),
        }
    });
    declared.filter_map(Result::transpose).collect()
}

fn declaration(line: usize, text: &str) -> Result<Line, ScriptError> {
    let fault = |expected: &str| ScriptError {
        line,
        fault: format!("expected {expected}, found `{:.60}`", text.escape_debug()),
    };
    let (text, own) = match text.split_once('"') {
        None => (text, None),
        Some((text, rest)) => {
            let name = rest.strip_suffix('"').filter(|name| is_name(name));
            (text, Some(name.ok_or_else(|| fault("a name of letters in quotes"))?))
        }
    };
    let (word, parents) = text.split_once("<-").unwrap_or((text, ""));
    let parents: Vec<&str> =
        parents.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    let word = word.trim();
    if !is_word(word) || !parents.iter().all(|word| is_word(word)) {
        return Err(fault("`TYPE <- PARENT, PARENT \"Name\"` in capitals"));
    }
    let name = own.map_or_else(|| camel_case(word), str::to_owned);
    let short = ["Link", "Node"].iter().find_map(|end| name.strip_suffix(end));
    Ok(Line {
        line,
        short: short.unwrap_or_default().to_owned(),
        parents: parents.into_iter().map(camel_case).collect(),
        name,
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_word(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    text.bytes().any(|byte| byte.is_ascii_uppercase()) && text.bytes().all(inner)
}

/// `FOO_BAR_LINK` as `FooBarLink`.
fn camel_case(word: &str) -> String {
    let mut name = String::with_capacity(word.len());
    for part in word.split('_').filter(|part| !part.is_empty()) {
        name.push_str(&part[..1]);
        name.push_str(&part[1..].to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_made_as_upstream_makes_them() {
        let text = "S_LINK <- NATURAL_LINK\nFLOAT32_VALUE <- VALUE // wide\n\
            \tSET_TV_LINK <- SET_VALUE_LINK,EVALUATABLE_LINK \"SetTVLink\"\nVARIABLE_SET<-LINK";
        let lines = lines(text).unwrap();
        let names: Vec<_> = lines.iter().map(|of| (&*of.name, &*of.short)).collect();
        let expected =
            [("SLink", "S"), ("Float32Value", ""), ("SetTVLink", "SetTV"), ("VariableSet", "")];
        assert_eq!(names, expected);
        assert_eq!(lines[2].parents, ["SetValueLink", "EvaluatableLink"]);
        assert_eq!(lines[2].line, 3);
    }

    #[test]
    fn other_lines_are_refused() {
        for text in ["lower <- LINK", "A_LINK <- LINK \"a b\"", "A_LINK < LINK", "<- LINK", "\"A\""]
        {
            let fault = lines(&format!("\n{text}")).unwrap_err();
            assert_eq!(fault.line, 2, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([A-Z_a-z0-9\"<\\- ,\n/\u{e9}]|LINK|<-){0,40}") {
            let _ = lines(&text);
        }
    }
}
